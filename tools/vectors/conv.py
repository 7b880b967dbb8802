"""Convolutions, pools, fully connected layers, matrix products: the family of `nn::Conv2dS8` and its kin."""

import numpy as np

import draw
from cases import BOTH, TFLM
from draw import pick, size
from tflite_file import NONE, RELU, RELU6, RELU_N1_TO_1, SAME, VALID, Operator, Tensor, write

ACTIVATIONS = [NONE, NONE, RELU, RELU6, RELU_N1_TO_1]


def out_size(padding, size, kernel, stride, dilation):
    reach = (kernel - 1) * dilation + 1
    return -(-size // stride) if padding == SAME else (size + stride - reach) // stride


def geometry(rng, committed, most_kernel):
    """(padding, h, w, kernel, stride, dilation, out) with at least one output."""
    most = 7 if committed else 12
    while True:
        padding = pick(rng, [SAME, VALID])
        h, w = size(rng, most), size(rng, most)
        kernel = pick(rng, [(1, 1), (3, 3), (size(rng, most_kernel), size(rng, most_kernel)), (size(rng, most_kernel), 1), (1, size(rng, most_kernel))])
        stride = pick(rng, [(1, 1), (2, 2), (size(rng, 4), size(rng, 4))])
        dilation = pick(rng, [(1, 1), (1, 1), (size(rng, 3), size(rng, 3))])
        out = tuple(out_size(padding, i, k, s, d) for i, k, s, d in zip((h, w), kernel, stride, dilation))
        if min(out) > 0:
            return padding, h, w, kernel, stride, dilation, out


def quantized(rng, dtype, channels, depth, axis, per_channel):
    """Input's, weights' and output's scales, such that the factors are what `factor` draws."""
    si, so = draw.scale(rng), draw.scale(rng)
    number = channels if per_channel else 1
    # Sums of 16 bits are 256 times as large.
    shrink = 256.0 if dtype == "int16" else 1.0
    base = draw.factor(rng)
    factors = [base * 2.0 ** rng.uniform(-2, 2) if rng.random() < 0.8 else draw.factor(rng) for _ in range(number)]
    sw = [float(np.float32(f / shrink * so / si)) for f in factors]
    return si, sw, so


def weights_of(rng, shape, sw, axis, zero=0):
    return Tensor(tuple(shape), "int8", sw, zero, axis, draw.codes(rng, shape, "int8"))


def bias_of(rng, dtype, channels, si, sw, wide=True):
    """None in some cases; of int16 activations int64, or int32 if asked for (TFLM then sums in 32 bits; LiteRT does not, and
    neither has it for DEPTHWISE_CONV_2D and TRANSPOSE_CONV, where they read beyond the bias)."""
    if rng.random() < 0.2:
        return None
    kind = "int32" if dtype == "int8" or not wide else "int64"
    most = pick(rng, [100, 20_000, 2_000_000]) * (1 if dtype == "int8" else 100)
    values = rng.integers(-most, most + 1, channels).astype(kind)
    scales = [float(np.float32(np.float32(si) * np.float32(s))) for s in sw]
    return Tensor((channels,), kind, scales, 0, 0, values)


def finish(rng, kind, op, x, y, committed, rule=BOTH):
    model = write([op], [x], [y])
    return kind, model, draw.steps(rng, [x], 2 if committed else 3), rule


def present(*inputs):
    return [x for x in inputs if x is not None]


def prefix(dtype):
    return "" if dtype == "int8" else "i16_"


def conv_2d(rng, committed, dtype="int8", wide=True):
    padding, h, w, kernel, stride, dilation, out = geometry(rng, committed, 5)
    groups = pick(rng, [1, 1, 1, 1, 2, 3])
    most = (6 if committed else 20) // groups + 1
    cin, cout = size(rng, most) * groups, size(rng, most) * groups
    per_channel = rng.random() < 0.8
    si, sw, so = quantized(rng, dtype, cout, kernel[0] * kernel[1] * cin // groups, 0, per_channel)
    batch = pick(rng, [1, 1, 1, 2, 3])
    x = draw.activation_tensor(rng, (batch, h, w, cin), dtype, si)
    y = draw.activation_tensor(rng, (batch, *out, cout), dtype, so)
    weights = weights_of(rng, (cout, *kernel, cin // groups), sw, 0)
    bias = bias_of(rng, dtype, cout, si, sw, wide)
    options = dict(padding=padding, stride_w=stride[1], stride_h=stride[0], activation=pick(rng, ACTIVATIONS), dilation_w=dilation[1], dilation_h=dilation[0])
    op = Operator("CONV_2D", present(x, weights, bias), [y], options, 3 if dtype == "int8" else 4)
    return finish(rng, prefix(dtype) + ("conv" if wide else "conv_narrow"), op, x, y, committed, BOTH if wide else TFLM)


def depthwise(rng, committed, dtype="int8"):
    padding, h, w, kernel, stride, dilation, out = geometry(rng, committed, 7)
    cin, multiplier = size(rng, 9 if committed else 40), pick(rng, [1, 1, 1, 2, 3, 8])
    cout = cin * multiplier
    si, sw, so = quantized(rng, dtype, cout, kernel[0] * kernel[1], 3, rng.random() < 0.8)
    batch = pick(rng, [1, 1, 1, 2])
    x = draw.activation_tensor(rng, (batch, h, w, cin), dtype, si)
    y = draw.activation_tensor(rng, (batch, *out, cout), dtype, so)
    weights = weights_of(rng, (1, *kernel, cout), sw, 3)
    bias = bias_of(rng, dtype, cout, si, sw)
    options = dict(padding=padding, stride_w=stride[1], stride_h=stride[0], multiplier=multiplier, activation=pick(rng, ACTIVATIONS), dilation_w=dilation[1], dilation_h=dilation[0])
    op = Operator("DEPTHWISE_CONV_2D", present(x, weights, bias), [y], options, 3 if dtype == "int8" else 5)
    return finish(rng, prefix(dtype) + "depthwise", op, x, y, committed)


def transpose_conv(rng, committed, dtype="int8"):
    most = 4 if committed else 7
    padding = pick(rng, [SAME, VALID])
    h, w = size(rng, most), size(rng, most)
    kernel = (size(rng, 5), size(rng, 5))
    stride = pick(rng, [(1, 1), (2, 2), (size(rng, 3), size(rng, 3))])
    # The forward convolution of the output gives the input; every output size that does so is possible.
    spare = [int(rng.integers(0, s)) for s in stride]
    if padding == SAME:
        out = tuple(i * s - p for i, s, p in zip((h, w), stride, spare))
    else:
        out = tuple((i - 1) * s + k + p for i, s, k, p in zip((h, w), stride, kernel, spare))
    cin, cout = size(rng, 6 if committed else 16), size(rng, 6 if committed else 16)
    si, sw, so = quantized(rng, dtype, cout, kernel[0] * kernel[1] * cin, 0, rng.random() < 0.8)
    batch = pick(rng, [1, 1, 2])
    x = draw.activation_tensor(rng, (batch, h, w, cin), dtype, si)
    y = draw.activation_tensor(rng, (batch, *out, cout), dtype, so)
    weights = weights_of(rng, (cout, *kernel, cin), sw, 0)
    bias = bias_of(rng, dtype, cout, si, sw)
    shape = Tensor((4,), "int32", data=np.array(y.shape, dtype=np.int32))
    options = dict(padding=padding, stride_w=stride[1], stride_h=stride[0])
    op = Operator("TRANSPOSE_CONV", present(shape, weights, x, bias), [y], options, 3)
    return finish(rng, prefix(dtype) + "transpose_conv", op, x, y, committed)


def pool(rng, committed, kind, dtype="int8"):
    while True:
        padding, h, w, kernel, stride, _, _ = geometry(rng, committed, 9)
        out = tuple(out_size(padding, i, k, s, 1) for i, k, s in zip((h, w), kernel, stride))
        if min(out) > 0:
            break
    if rng.random() < 0.15:
        kernel, out, padding = (h, w), (1, 1), VALID
        stride = (h, w)
    channels = size(rng, 9 if committed else 40)
    batch = pick(rng, [1, 1, 2])
    x = draw.activation_tensor(rng, (batch, h, w, channels), dtype)
    y = draw.activation_tensor(rng, (batch, *out, channels), dtype, x.scale, x.zero_point)
    options = dict(padding=padding, stride_w=stride[1], stride_h=stride[0], filter_w=kernel[1], filter_h=kernel[0], activation=pick(rng, ACTIVATIONS))
    op = Operator(kind, [x], [y], options, 2 if dtype == "int8" else 3)
    return finish(rng, prefix(dtype) + kind.lower(), op, x, y, committed)


def fully_connected(rng, committed, dtype="int8", wide=True):
    depth, outputs = size(rng, 40 if committed else 300), size(rng, 12 if committed else 70)
    lead = pick(rng, [(1,), (3,), (2, 2), (1, 2, 2)])
    # TFLM's kernels multiply the scales of a layer with one scale in f32 up to August 2026 at least, in f64 in the wheel of
    # October 2026; LiteRT 1.2.0 in f32, as we do. That shows only where sums of 32 bits become 16, and there it has no say.
    per_channel = rng.random() < 0.5 or not wide
    si, sw, so = quantized(rng, dtype, outputs, depth, 0, per_channel)
    zero = draw.zero_point(rng, "int8") if not per_channel and dtype == "int8" and rng.random() < 0.3 else 0
    x = draw.activation_tensor(rng, (*lead, depth), dtype, si)
    y = draw.activation_tensor(rng, (*lead, outputs) if len(lead) > 1 else (lead[0], outputs), dtype, so)
    weights = weights_of(rng, (outputs, depth), sw, 0, zero)
    bias = bias_of(rng, dtype, outputs, si, sw, wide)
    options = dict(activation=pick(rng, ACTIVATIONS), weights_format=0, keep_num_dims=len(lead) > 1)
    op = Operator("FULLY_CONNECTED", [x, weights, bias], [y], options, 5 if dtype == "int8" else 7)
    kind = prefix(dtype) + ("fully_connected" if wide else "fully_connected_narrow")
    return finish(rng, kind, op, x, y, committed, BOTH if wide else TFLM)


def fully_connected_of_activations(rng, committed):
    """Weights that are computed: an input of the model."""
    depth, outputs, rows = size(rng, 40), size(rng, 12), size(rng, 5)
    si, sw, so = quantized(rng, "int8", outputs, depth, 0, False)
    x = draw.activation_tensor(rng, (rows, depth), "int8", si)
    weights = draw.activation_tensor(rng, (outputs, depth), "int8", sw[0])
    y = draw.activation_tensor(rng, (rows, outputs), "int8", so)
    bias = bias_of(rng, "int8", outputs, si, sw)
    op = Operator("FULLY_CONNECTED", [x, weights, bias], [y], dict(activation=pick(rng, ACTIVATIONS)), 4)
    model = write([op], [x, weights], [y])
    return "fully_connected_activations", model, draw.steps(rng, [x, weights], 2 if committed else 3), BOTH


def batch_matmul(rng, committed, dtype="int8"):
    most = 9 if committed else 40
    rows, depth, cols = size(rng, most), size(rng, most), size(rng, most)
    lead = [size(rng, 3) for _ in range(pick(rng, [0, 1, 1, 2, 2, 3]))]
    adj_x, adj_y = bool(rng.random() < 0.4), bool(rng.random() < 0.4)
    one = lambda: [n if rng.random() < 0.7 else 1 for n in lead]
    left, right = one(), one()
    out = [max(a, b) for a, b in zip(left, right)]
    # One side may have fewer axes.
    if lead and rng.random() < 0.15:
        right, out = right[1:], [left[0], *out[1:]]
    lhs = (*left, *((depth, rows) if adj_x else (rows, depth)))
    rhs = (*right, *((cols, depth) if adj_y else (depth, cols)))
    si, sw, so = quantized(rng, dtype, cols, depth, 0, False)
    x0 = draw.activation_tensor(rng, lhs, dtype, si)
    x1 = draw.activation_tensor(rng, rhs, dtype, sw[0])
    y = draw.activation_tensor(rng, (*out, rows, cols), dtype, so)
    op = Operator("BATCH_MATMUL", [x0, x1], [y], dict(adj_x=adj_x, adj_y=adj_y), 2)
    model = write([op], [x0, x1], [y])
    # LiteRT 1.2.0 reads the wrong matrices where a transposed left one has more batches than the right.
    rule = TFLM if adj_x and left != right else BOTH
    return prefix(dtype) + "batch_matmul", model, draw.steps(rng, [x0, x1], 2 if committed else 3), rule


def of(function, *args, **kwargs):
    return lambda rng, committed: function(rng, committed, *args, **kwargs)


FAMILY = [
    of(conv_2d),
    of(depthwise),
    of(conv_2d, dtype="int16"),
    of(transpose_conv),
    of(pool, "AVERAGE_POOL_2D"),
    of(fully_connected),
    of(depthwise, dtype="int16"),
    of(conv_2d),
    of(batch_matmul),
    of(pool, "MAX_POOL_2D"),
    of(conv_2d, dtype="int16", wide=False),
    of(depthwise),
    of(fully_connected, dtype="int16"),
    of(transpose_conv, dtype="int16"),
    fully_connected_of_activations,
    of(pool, "AVERAGE_POOL_2D", dtype="int16"),
    of(batch_matmul, dtype="int16"),
    of(fully_connected, dtype="int16", wide=False),
    of(pool, "MAX_POOL_2D", dtype="int16"),
]
