"""Element-wise operators, functions of one code, conversions, reductions and softmaxes: the family of `nn::AddS8` and its kin."""

import numpy as np

import draw
from cases import BOTH, LITERT, TFLM
from draw import RANGE, pick, size
from tflite_file import NONE, RELU, RELU6, RELU_N1_TO_1, TYPES, Operator, Tensor, write

ACTIVATIONS = [NONE, NONE, RELU, RELU6, RELU_N1_TO_1]


def f32(x):
    return float(np.float32(x))


def prefix(dtype):
    return "" if dtype == "int8" else "i16_"


def near(rng, scale, width=3):
    """A scale within some powers of two of another one, or the same."""
    return scale if rng.random() < 0.1 else f32(scale * 2.0 ** rng.uniform(-width, width))


def shape_of(rng, most_axes, committed):
    axes = int(rng.integers(0, most_axes + 1))
    most = 300 if committed else 5000
    while True:
        shape = [size(rng, pick(rng, [3, 8, 40])) for _ in range(axes)]
        if np.prod(shape, dtype=np.int64) <= most:
            return shape


def two_shapes(rng, committed, most_axes=6):
    """Shapes that broadcast, the usual ways more often: equal, one number, a row, a column, one picture for each channel."""
    whole = shape_of(rng, most_axes, committed)
    kind = rng.random()
    other = list(whole)
    if kind < 0.25:
        pass
    elif kind < 0.4:
        other = pick(rng, [[], [1], [1] * len(whole)])
    elif kind < 0.55:
        other = whole[len(whole) - 1 :]
    elif kind < 0.65:
        other = [*whole[:-1], 1] if whole else []
    else:
        other = [1 if rng.random() < 0.5 else n for n in whole]
        if rng.random() < 0.3:
            whole = [1 if rng.random() < 0.3 else n for n in whole]
        if rng.random() < 0.3:
            while other and other[0] == 1:
                other = other[1:]
    shapes = [whole, other]
    if rng.random() < 0.4:
        shapes.reverse()
    return shapes, list(np.broadcast_shapes(*map(tuple, shapes)))


def operands(rng, shapes, dtype, scales, zeros=None):
    """Two tensors, of which one may be constant."""
    tensors = [draw.activation_tensor(rng, s, dtype, scale, zero) for s, scale, zero in zip(shapes, scales, zeros or [None, None])]
    kind = rng.random()
    if kind < 0.5:
        constant = tensors[0 if kind < 0.2 else 1]
        constant.data = draw.codes(rng, constant.shape, dtype)
    return tensors, [x for x in tensors if x.data is None]


def finish(rng, kind, op, inputs, y, committed, rule=BOTH, least=None):
    steps = draw.steps(rng, inputs, 2 if committed else 3)
    if least is not None:
        steps = [[np.maximum(x, least).astype(x.dtype) for x in step] for step in steps]
    return kind, write([op], inputs, [y]), steps, rule


def pairwise(rng, committed, kind, dtype="int8"):
    shapes, whole = two_shapes(rng, committed)
    s1 = draw.scale(rng) * (1.0 if dtype == "int8" else 2.0**-6)
    s1 = f32(s1)
    s2 = near(rng, s1, pick(rng, [1, 3, 12]))
    if kind in ("ADD", "SUB"):
        so = f32(max(s1, s2) * 2.0 ** rng.uniform(-3, 4))
    elif kind == "MUL":
        so = f32(s1 * s2 * (127 if dtype == "int8" else 32767) * 2.0 ** rng.uniform(-4, 4))
    else:
        so = f32(max(s1, s2) ** 2 * (255 if dtype == "int8" else 32767) * 2.0 ** rng.uniform(-5, 4))
    tensors, inputs = operands(rng, shapes, dtype, [s1, s2])
    y = draw.activation_tensor(rng, whole, dtype, so)
    options = {} if kind == "SQUARED_DIFFERENCE" else dict(activation=pick(rng, ACTIVATIONS))
    op = Operator(kind, tensors, [y], options, {"ADD": 2, "SUB": 2, "MUL": 2, "SQUARED_DIFFERENCE": 2}[kind])
    # The quotients of SUB are f32 in TFLM and f64 in LiteRT, which has no SQUARED_DIFFERENCE of int16.
    rule = TFLM if kind == "SUB" or (kind, dtype) == ("SQUARED_DIFFERENCE", "int16") else BOTH
    return finish(rng, prefix(dtype) + kind.lower(), op, inputs, y, committed, rule)


def min_max(rng, committed, kind, dtype="int8"):
    shapes, whole = two_shapes(rng, committed, 5)
    s, z = draw.scale(rng), draw.zero_point(rng, dtype)
    tensors, inputs = operands(rng, shapes, dtype, [s, s], [z, z])
    y = draw.activation_tensor(rng, whole, dtype, s, z)
    return finish(rng, prefix(dtype) + kind.lower(), Operator(kind, tensors, [y], {}, 2), inputs, y, committed)


def prelu(rng, committed, dtype="int8"):
    whole = shape_of(rng, 4, committed)
    s1 = draw.scale(rng)
    slopes = pick(rng, [whole[-1:], [1] * len(whole), [1, *whole[1:]], whole])
    alpha = Tensor(tuple(slopes), "int8", f32(2.0 ** rng.uniform(-9, 0)), draw.zero_point(rng, "int8"))
    alpha.data = draw.codes(rng, alpha.shape, "int8")
    x = draw.activation_tensor(rng, whole, dtype, s1)
    y = draw.activation_tensor(rng, whole, dtype, near(rng, s1))
    op = Operator("PRELU", [x, alpha], [y], {}, 1)
    return finish(rng, prefix(dtype) + "prelu", op, [x], y, committed, BOTH if dtype == "int8" else TFLM)


def unary(rng, committed, kind, dtype="int8", rule=BOTH):
    options, least = {}, None
    all_codes = rng.random() < 0.5 and dtype == "int8"
    shape = [256] if all_codes else shape_of(rng, 4, committed)
    si = draw.scale(rng) * (1.0 if dtype == "int8" else 2.0**-7)
    si = f32(si)
    so, zo = None, None
    if kind == "LOGISTIC":
        so, zo = (1 / 256, -128) if dtype == "int8" else (1 / 32768, 0)
    elif kind == "TANH":
        so, zo = (1 / 128, 0) if dtype == "int8" else (1 / 32768, 0)
    elif kind == "RSQRT":
        so = f32(2.0 ** rng.uniform(-7, 1) / np.sqrt(si) * (1 if dtype == "int8" else 2.0**-8))
    elif kind in ("EXP", "LOG"):
        si = f32(2.0 ** rng.uniform(-9, -4) * (1 if dtype == "int8" else 2.0**-8))
        so = f32(2.0 ** rng.uniform(-8, 2) * (1 if dtype == "int8" else 2.0**-8))
    elif kind == "HARD_SWISH":
        si, so = f32(2.0 ** rng.uniform(-9, 1)), None
        so = near(rng, si)
    else:
        so = near(rng, si)
    if kind == "LEAKY_RELU":
        options = dict(alpha=f32(pick(rng, [0.0, 0.1, 0.01, 1.0, 1.5, float(rng.uniform(0, 1)), -0.3])))
        if options["alpha"] < 0:
            # LiteRT multiplies by a negative mantissa, which rounds otherwise.
            rule = TFLM
    if kind == "GELU":
        options = dict(approximate=bool(rng.random() < 0.5))
    if kind in ("LOGISTIC", "TANH") and dtype == "int16" and rng.random() < 0.4:
        si = f32(2.0 ** int(rng.integers(-14, -8)) * pick(rng, [1.0, 1.0, 1.0005, 0.9995, 1.002]))
    x = draw.activation_tensor(rng, shape, dtype, si)
    if kind in ("RELU6", "RELU_N1_TO_1") and rng.random() < 0.7:
        # As the converter leaves it.
        so, zo = x.scale, x.zero_point
    y = draw.activation_tensor(rng, shape, dtype, so, zo)
    if kind == "RELU6":
        rule = BOTH if (so, y.zero_point) == (x.scale, x.zero_point) else TFLM
    if kind == "RSQRT":
        least = x.zero_point
    version = {"LOGISTIC": 3, "TANH": 3, "LEAKY_RELU": 2, "RELU": 3, "RELU6": 3, "GELU": 2, "ABS": 5, "RSQRT": 3, "EXP": 2, "LOG": 2}.get(kind, 1)
    version = 2 if kind in ("LOGISTIC", "TANH", "RELU", "RELU6", "RSQRT", "ABS") else version
    op = Operator(kind, [x], [y], options, version)
    name, model, steps, rule = finish(rng, prefix(dtype) + kind.lower(), op, [x], y, committed, rule, least)
    if all_codes:
        codes = np.arange(-128, 128).astype(np.int8)
        steps[0] = [np.maximum(codes, -128 if least is None else least).astype(np.int8)]
    return name, model, steps, rule


def rescale(rng, committed, source, target):
    shape = shape_of(rng, 4, committed)
    wide = {"int16": 2.0**-8, "int32": 2.0**-16}
    si = f32(draw.scale(rng) * wide.get(source, 1))
    so = f32(near(rng, si) * pick(rng, [1.0, 1.0, wide.get(target, 1) / wide.get(source, 1)]))
    ends = {**RANGE, "uint8": (0, 255), "int32": (-1000, 1000)}
    zero = lambda dtype: int(pick(rng, [0, int(rng.integers(ends[dtype][0], ends[dtype][1] + 1)), ends[dtype][0], ends[dtype][1]]))
    zi, zo = zero(source), zero(target)
    if {source, target} == {"int8", "uint8"} and rng.random() < 0.5:
        so, zo = si, zi + (128 if target == "uint8" else -128)
    if source == target == "int16":
        zi, zo = 0, 0
    x, y = Tensor(tuple(shape), source, si, zi), Tensor(tuple(shape), target, so, zo)
    op = Operator("QUANTIZE", [x], [y], {}, 2 if "int16" not in (source, target) else 3)
    kind = f"quantize_{source}_{target}"
    if source in RANGE:
        steps = draw.steps(rng, [x], 2)
    elif source == "uint8":
        steps = [[(step[0].astype(np.int32) + 128).astype(np.uint8)] for step in draw.steps(rng, [Tensor(x.shape, "int8")], 2)]
    else:
        steps = [[rng.integers(-(2**15), 2**15, shape).astype(np.int32)], [rng.integers(-(2**24), 2**24, shape).astype(np.int32)]]
    return kind, write([op], [x], [y]), steps, BOTH


def quantize(rng, committed, target):
    shape = shape_of(rng, 4, committed)
    s, z = draw.scale(rng), draw.zero_point(rng, target)
    x, y = Tensor(tuple(shape), "float32"), Tensor(tuple(shape), target, s, z)
    reach = {"int8": 200, "int16": 40000}[target]
    near_ties = lambda: (np.round(rng.uniform(-reach, reach, shape)) + 0.5) * np.float32(s)
    anything = lambda: rng.uniform(-reach * s, reach * s, shape)
    steps = [[f().astype(np.float32)] for f in (near_ties, anything)]
    return f"quantize_float32_{target}", write([Operator("QUANTIZE", [x], [y], {}, 1)], [x], [y]), steps, BOTH


def dequantize(rng, committed, source):
    shape = shape_of(rng, 4, committed)
    s, z = draw.scale(rng), draw.zero_point(rng, source)
    x, y = Tensor(tuple(shape), source, s, z), Tensor(tuple(shape), "float32")
    op = Operator("DEQUANTIZE", [x], [y], {}, 2 if source == "int8" else 3)
    return f"dequantize_{source}", write([op], [x], [y]), draw.steps(rng, [x], 2), BOTH


def axes_of(rng, rank):
    """Some axes in any order, some counted from the end."""
    kind = rng.random()
    if kind < 0.3 and rank >= 3:
        axes = [1, 2]
    elif kind < 0.55:
        axes = [rank - 1]
    else:
        axes = [int(a) for a in rng.permutation(rank)[: int(rng.integers(1, rank + 1))]]
    return axes, [a - rank if rng.random() < 0.3 else a for a in axes]


def reduction(rng, committed, kind, dtype="int8"):
    while True:
        shape = shape_of(rng, 4, committed)
        if shape:
            break
    axes, written = axes_of(rng, len(shape))
    keep = bool(rng.random() < 0.5)
    out = [1 if k in axes else n for k, n in enumerate(shape) if keep or k not in axes]
    terms = int(np.prod([shape[k] for k in axes]))
    s, z = draw.scale(rng), draw.zero_point(rng, dtype)
    so, zo = near(rng, s), None
    if kind == "SUM":
        so = f32(so * terms ** rng.uniform(0.3, 1))
    if kind.startswith("REDUCE"):
        so, zo = s, z
    x = draw.activation_tensor(rng, shape, dtype, s, z)
    y = draw.activation_tensor(rng, out, dtype, so, zo)
    axis = Tensor((len(axes),), "int32", data=np.array(written, dtype=np.int32))
    op = Operator(kind, [x, axis], [y], dict(keep_dims=keep), 2)
    # LiteRT's SUM is wrong, and TFLM has no REDUCE_MAX of int16.
    rule = TFLM if kind == "SUM" else LITERT if kind.startswith("REDUCE") and dtype == "int16" else BOTH
    return finish(rng, prefix(dtype) + kind.lower(), op, [x], y, committed, rule)


def arg(rng, committed, kind, index="int32"):
    while True:
        shape = shape_of(rng, 4, committed)
        if shape:
            break
    axis = int(rng.integers(len(shape)))
    out = [n for k, n in enumerate(shape) if k != axis]
    x = draw.activation_tensor(rng, shape, "int8")
    y = Tensor(tuple(out), index)
    of = Tensor((), "int32", data=np.array(axis - len(shape) if rng.random() < 0.3 else axis, dtype=np.int32))
    op = Operator(kind, [x, of], [y], dict(output_type=TYPES[index]), 2)
    kind = kind.lower() + ("" if index == "int32" else "_int64")
    return finish(rng, kind, op, [x], y, committed, BOTH if index == "int32" else LITERT)


def l2_normalization(rng, committed):
    while True:
        shape = shape_of(rng, 4, committed)
        if shape:
            break
    x = draw.activation_tensor(rng, shape, "int8")
    y = draw.activation_tensor(rng, shape, "int8", 1 / 128, 0)
    return finish(rng, "l2_normalization", Operator("L2_NORMALIZATION", [x], [y], {}, 2), [x], y, committed)


def softmax(rng, committed, source="int8", target="int8"):
    while True:
        shape = shape_of(rng, 4, committed)
        if shape:
            break
    scale, zero = {"int8int8": (1 / 256, -128), "int8int16": (1 / 65536, -32768), "int16int16": (1 / 32768, 0)}[source + target]
    x = draw.activation_tensor(rng, shape, source, f32(draw.scale(rng) * (1 if source == "int8" else 2.0**-6)))
    y = draw.activation_tensor(rng, shape, target, scale, zero)
    beta = f32(pick(rng, [1.0, 1.0, 0.5, 2.0, float(rng.uniform(0.1, 3))]))
    op = Operator("SOFTMAX", [x], [y], dict(beta=beta), 2 if source == "int8" else 3)
    return finish(rng, f"softmax_{source}_{target}", op, [x], y, committed)


def log_softmax(rng, committed):
    while True:
        shape = shape_of(rng, 4, committed)
        if shape:
            break
    x = draw.activation_tensor(rng, shape, "int8")
    y = draw.activation_tensor(rng, shape, "int8", 1 / 16, 127)
    return finish(rng, "log_softmax", Operator("LOG_SOFTMAX", [x], [y], {}, 2), [x], y, committed)


def of(function, *args, **kwargs):
    return lambda rng, committed: function(rng, committed, *args, **kwargs)


FAMILY = [
    of(pairwise, "ADD"),
    of(pairwise, "MUL"),
    of(pairwise, "SUB"),
    of(pairwise, "SQUARED_DIFFERENCE"),
    of(unary, "LOGISTIC"),
    of(pairwise, "ADD", dtype="int16"),
    of(unary, "TANH"),
    of(reduction, "MEAN"),
    of(unary, "HARD_SWISH"),
    of(unary, "RELU"),
    of(unary, "LEAKY_RELU"),
    of(pairwise, "MUL", dtype="int16"),
    of(min_max, "MAXIMUM"),
    of(unary, "RSQRT"),
    of(unary, "GELU", rule=LITERT),
    of(rescale, "int8", "int8"),
    of(rescale, "int8", "uint8"),
    of(rescale, "uint8", "int8"),
    of(rescale, "int16", "int8"),
    of(reduction, "SUM"),
    of(pairwise, "SUB", dtype="int16"),
    of(unary, "LOGISTIC", dtype="int16"),
    of(unary, "TANH", dtype="int16"),
    of(prelu),
    of(unary, "ABS"),
    of(softmax),
    of(min_max, "MINIMUM", dtype="int16"),
    of(unary, "LEAKY_RELU", dtype="int16"),
    of(reduction, "MEAN", dtype="int16"),
    of(reduction, "REDUCE_MAX"),
    of(arg, "ARG_MAX"),
    of(rescale, "int16", "int32"),
    of(rescale, "int8", "int16"),
    of(l2_normalization),
    of(log_softmax),
    of(unary, "RELU6"),
    of(unary, "ELU"),
    of(unary, "EXP", rule=LITERT),
    of(unary, "LOG", rule=LITERT),
    of(quantize, "int8"),
    of(dequantize, "int8"),
    of(pairwise, "SQUARED_DIFFERENCE", dtype="int16"),
    of(softmax, target="int16"),
    of(softmax, source="int16", target="int16"),
    of(unary, "RELU", dtype="int16"),
    of(unary, "ABS", dtype="int16"),
    of(unary, "RSQRT", dtype="int16", rule=TFLM),
    of(unary, "EXP", dtype="int16", rule=LITERT),
    of(unary, "LOG", dtype="int16", rule=LITERT),
    of(rescale, "int8", "int32"),
    of(rescale, "int16", "int16"),
    of(rescale, "int32", "int8"),
    of(rescale, "int32", "int16"),
    of(quantize, "int16"),
    of(dequantize, "int16"),
    of(reduction, "REDUCE_MIN"),
    of(arg, "ARG_MIN"),
    of(arg, "ARG_MAX", index="int64"),
    of(unary, "RELU6", dtype="int16"),
    of(unary, "RELU_N1_TO_1", rule=LITERT),
    of(prelu, dtype="int16"),
    of(min_max, "MAXIMUM", dtype="int16"),
    of(min_max, "MINIMUM"),
    of(reduction, "SUM", dtype="int16"),
]
