"""Operators that move codes: slices, pads, concatenations, transpositions, pictures resized: the family of `nn::moves`."""

import numpy as np

import draw
from cases import BOTH, LITERT
from draw import pick, size
from elem import f32, finish, near, of, prefix
from tflite_file import Operator, Tensor, write


def shape_of(rng, least, most, committed, limit=None):
    limit = limit or (300 if committed else 5000)
    while True:
        shape = [size(rng, pick(rng, [3, 8, 30])) for _ in range(int(rng.integers(least, most + 1)))]
        if np.prod(shape, dtype=np.int64) <= limit:
            return shape


def constant(values, dtype="int32"):
    values = np.array(values, dtype=dtype)
    return Tensor(values.shape, dtype, data=values)


def like(x, shape):
    return Tensor(tuple(shape), x.dtype, x.scale, x.zero_point)


def from_end(rng, axis, rank):
    """An axis, sometimes counted from the end."""
    return axis - rank if rng.random() < 0.3 else axis


def concatenation(rng, committed, dtype="int8"):
    shape = shape_of(rng, 1, 4, committed, 100 if committed else 2000)
    axis = int(rng.integers(len(shape)))
    x = draw.activation_tensor(rng, shape, dtype)
    parts = []
    for _ in range(int(rng.integers(2, 5))):
        part = like(x, [size(rng, 6) if k == axis else n for k, n in enumerate(shape)])
        if rng.random() < 0.2 and parts:
            part.data = draw.codes(rng, part.shape, dtype)
        parts.append(part)
    whole = [sum(p.shape[axis] for p in parts) if k == axis else n for k, n in enumerate(shape)]
    op = Operator("CONCATENATION", parts, [like(x, whole)], dict(axis=from_end(rng, axis, len(shape))), 2)
    return finish(rng, prefix(dtype) + "concatenation", op, [p for p in parts if p.data is None], op.outputs[0], committed)


def pad(rng, committed, kind, dtype="int8"):
    shape = shape_of(rng, 1, 4, committed, 100)
    if kind == "MIRROR_PAD":
        mode = int(rng.integers(2))
        most = [n - 1 + mode for n in shape]
        before, after = ([int(rng.integers(0, m + 1)) for m in most] for _ in range(2))
    else:
        mode = None
        before, after = ([int(pick(rng, [0, 0, 1, 2, 3])) for _ in shape] for _ in range(2))
    x = draw.activation_tensor(rng, shape, dtype)
    y = like(x, [b + n + a for b, n, a in zip(before, shape, after)])
    inputs = [x, constant([list(p) for p in zip(before, after)])]
    if kind == "PADV2":
        of_pad = Tensor((1,), dtype, x.scale, x.zero_point)
        of_pad.data = draw.codes(rng, (1,), dtype)
        inputs.append(of_pad)
    options = {} if mode is None else dict(mode=mode)
    op = Operator(kind, inputs, [y], options, 1 if kind == "MIRROR_PAD" else 2)
    return finish(rng, prefix(dtype) + kind.lower(), op, [x], y, committed)


def transpose(rng, committed, dtype="int8"):
    shape = shape_of(rng, 1, 5, committed)
    order = [int(k) for k in rng.permutation(len(shape))]
    x = draw.activation_tensor(rng, shape, dtype)
    y = like(x, [shape[k] for k in order])
    op = Operator("TRANSPOSE", [x, constant(order)], [y], {}, 2)
    return finish(rng, prefix(dtype) + "transpose", op, [x], y, committed)


def outputs_of(rng, kind, op, x, committed, rule=BOTH):
    """As `finish`, for operators of several outputs."""
    return kind, write([op], [x], op.outputs), draw.steps(rng, [x], 2), rule


def split(rng, committed, kind, dtype="int8"):
    shape = shape_of(rng, 1, 4, committed, 100 if committed else 2000)
    axis = int(rng.integers(len(shape)))
    parts = int(rng.integers(1, 5))
    sizes = [size(rng, 5)] * parts if kind == "SPLIT" else [size(rng, 5) for _ in range(parts)]
    with_axis = lambda n: [n if k == axis else m for k, m in enumerate(shape)]
    x = draw.activation_tensor(rng, with_axis(sum(sizes)), dtype)
    outputs = [like(x, with_axis(n)) for n in sizes]
    of_axis = constant(np.int32(from_end(rng, axis, len(shape))))
    written = list(sizes)
    if kind == "SPLIT_V" and rng.random() < 0.3:
        # One size is what the others leave.
        written[int(rng.integers(parts))] = -1
    inputs = [of_axis, x] if kind == "SPLIT" else [x, constant(written), of_axis]
    op = Operator(kind, inputs, outputs, dict(num_splits=parts), 2 if kind == "SPLIT_V" else 3)
    return outputs_of(rng, prefix(dtype) + kind.lower(), op, x, committed)


def pack(rng, committed):
    shape = shape_of(rng, 1, 3, committed, 80)
    axis = int(rng.integers(len(shape) + 1))
    x = draw.activation_tensor(rng, shape, "int8")
    parts = [x] + [like(x, shape) for _ in range(int(rng.integers(0, 3)))]
    y = like(x, [*shape[:axis], len(parts), *shape[axis:]])
    options = dict(values_count=len(parts), axis=from_end(rng, axis, len(shape) + 1))
    return finish(rng, "pack", Operator("PACK", parts, [y], options, 2), parts, y, committed)


def unpack(rng, committed):
    shape = shape_of(rng, 2, 4, committed, 100)
    axis = int(rng.integers(len(shape)))
    if shape[axis] > 6:
        shape[axis] = int(rng.integers(1, 7))
    x = draw.activation_tensor(rng, shape, "int8")
    rest = [n for k, n in enumerate(shape) if k != axis]
    op = Operator("UNPACK", [x], [like(x, rest) for _ in range(shape[axis])], dict(num=shape[axis], axis=from_end(rng, axis, len(shape))), 2)
    return outputs_of(rng, "unpack", op, x, committed)


def piece(rng, committed, dtype="int8"):
    shape = shape_of(rng, 1, 4, committed)
    begin = [int(rng.integers(n)) for n in shape]
    count = [int(rng.integers(1, n - b + 1)) for n, b in zip(shape, begin)]
    x = draw.activation_tensor(rng, shape, dtype)
    y = like(x, count)
    # -1: to the end.
    written = [-1 if b + c == n and rng.random() < 0.5 else c for n, b, c in zip(shape, begin, count)]
    op = Operator("SLICE", [x, constant(begin), constant(written)], [y], {}, 2)
    return finish(rng, prefix(dtype) + "slice", op, [x], y, committed)


def strided_slice(rng, committed, dtype="int8"):
    shape = shape_of(rng, 1, 4, committed)
    begin, end, strides, out = [], [], [], []
    begin_mask = end_mask = shrink = 0
    for k, n in enumerate(shape):
        stride = int(pick(rng, [1, 1, 1, 2, 3, -1, -2]))
        low, high = (0, n) if stride > 0 else (-1, n - 1)
        a, b = int(rng.integers(0, n)), int(rng.integers(low, high + 1))
        if rng.random() < 0.2:
            a, b, stride = a, a + 1, 1
            shrink |= 1 << k
        else:
            if rng.random() < 0.3:
                begin_mask |= 1 << k
            if rng.random() < 0.3 or b == -1:
                end_mask |= 1 << k
        first = (0 if stride > 0 else n - 1) if begin_mask >> k & 1 else a
        last = (n if stride > 0 else -1) if end_mask >> k & 1 else b
        length = len(range(first, last, stride))
        if length == 0:
            return strided_slice(rng, committed, dtype)
        begin.append(a - n if rng.random() < 0.2 and not shrink >> k & 1 else a)
        end.append(b)
        strides.append(stride)
        if not shrink >> k & 1:
            out.append(length)
    x = draw.activation_tensor(rng, shape, dtype)
    y = like(x, out)
    options = dict(begin_mask=begin_mask, end_mask=end_mask, ellipsis_mask=0, new_axis_mask=0, shrink_axis_mask=shrink, offset=False)
    op = Operator("STRIDED_SLICE", [x, constant(begin), constant(end), constant(strides)], [y], options, 2)
    return finish(rng, prefix(dtype) + "strided_slice", op, [x], y, committed)


def gather(rng, committed):
    shape = shape_of(rng, 1, 4, committed, 200)
    axis = int(rng.integers(len(shape)))
    picked = rng.integers(0, shape[axis], [int(rng.integers(1, 6)) for _ in range(int(rng.integers(1, 3)))])
    x = draw.activation_tensor(rng, shape, "int8")
    y = like(x, [*shape[:axis], *picked.shape, *shape[axis + 1 :]])
    op = Operator("GATHER", [x, constant(picked)], [y], dict(axis=axis, batch_dims=0), 2)
    return finish(rng, "gather", op, [x], y, committed)


def picture(rng, committed):
    return [int(pick(rng, [1, 1, 2])), size(rng, 8), size(rng, 8), size(rng, 5 if committed else 20)]


def resize(rng, committed, kind, dtype="int8"):
    shape = picture(rng, committed)
    to = [int(pick(rng, [n, 2 * n, 3 * n, max(1, n // 2), size(rng, 12)])) for n in shape[1:3]]
    align = pick(rng, [(False, False), (True, False), (False, True)])
    x = draw.activation_tensor(rng, shape, dtype)
    y = like(x, [shape[0], *to, shape[3]])
    options = dict(align_corners=align[0], half_pixel_centers=align[1])
    op = Operator(kind, [x, constant(to)], [y], options, 3 if kind == "RESIZE_BILINEAR" else 3)
    return finish(rng, prefix(dtype) + kind.lower(), op, [x], y, committed)


def depth_to_space(rng, committed, back=False):
    block = int(pick(rng, [1, 2, 3]))
    n, h, w, c = picture(rng, committed)
    small, large = [n, h, w, c * block * block], [n, h * block, w * block, c]
    shape, out = (large, small) if back else (small, large)
    x = draw.activation_tensor(rng, shape, "int8")
    kind = "SPACE_TO_DEPTH" if back else "DEPTH_TO_SPACE"
    y = like(x, out)
    return finish(rng, kind.lower(), Operator(kind, [x], [y], dict(block=block), 1), [x], y, committed)


def batches(rng, committed, back=False):
    block = [int(pick(rng, [1, 2, 3])) for _ in range(2)]
    n, h, w, c = picture(rng, committed)
    most = n * block[0] * block[1]
    if back:
        around = [[int(rng.integers(0, 2)), int(rng.integers(0, 2))] for _ in range(2)]
        shape = [most, h, w, c]
        out = [n, h * block[0] - sum(around[0]), w * block[1] - sum(around[1]), c]
        if min(out) < 1:
            return batches(rng, committed, back)
    else:
        around = [[int(rng.integers(0, 3)), 0] for _ in range(2)]
        for k, side in enumerate((h, w)):
            around[k][1] = -(side + around[k][0]) % block[k]
        shape = [n, h, w, c]
        out = [most, (h + sum(around[0])) // block[0], (w + sum(around[1])) // block[1], c]
    x = draw.activation_tensor(rng, shape, "int8")
    y = like(x, out)
    kind = "BATCH_TO_SPACE_ND" if back else "SPACE_TO_BATCH_ND"
    # TFLM pads with the code 0, which stands for 0 only where the zero point is 0; LiteRT pads with the zero point.
    rule = BOTH if back else LITERT
    return finish(rng, kind.lower(), Operator(kind, [x, constant(block), constant(around)], [y], {}, 2), [x], y, committed, rule)


def tile(rng, committed):
    shape = shape_of(rng, 1, 4, committed, 40)
    times = [int(pick(rng, [1, 1, 2, 3])) for _ in shape]
    x = draw.activation_tensor(rng, shape, "int8")
    y = like(x, [n * t for n, t in zip(shape, times)])
    return finish(rng, "tile", Operator("TILE", [x, constant(times)], [y], {}, 1), [x], y, committed, LITERT)


def broadcast_to(rng, committed):
    out = shape_of(rng, 1, 4, committed)
    shape = [1 if rng.random() < 0.5 else n for n in out][int(rng.integers(0, len(out))) :]
    x = draw.activation_tensor(rng, shape, "int8")
    y = like(x, out)
    return finish(rng, "broadcast_to", Operator("BROADCAST_TO", [x, constant(out)], [y], {}, 3), [x], y, committed)


def reverse(rng, committed):
    shape = shape_of(rng, 1, 4, committed)
    axis = int(rng.integers(len(shape)))
    x = draw.activation_tensor(rng, shape, "int8")
    y = like(x, shape)
    return finish(rng, "reverse_v2", Operator("REVERSE_V2", [x, constant([axis])], [y], {}, 3), [x], y, committed, LITERT)


def reshape(rng, committed, kind):
    shape = shape_of(rng, 1, 4, committed)
    x = draw.activation_tensor(rng, shape, "int8")
    if kind == "RESHAPE":
        count = int(np.prod(shape))
        first = pick(rng, [d for d in range(1, count + 1) if count % d == 0])
        out, inputs = [first, count // first], [x, constant([first, -1])]
    elif kind == "SQUEEZE":
        out, inputs = [n for n in shape if n != 1], [x]
    else:
        axis = int(rng.integers(len(shape) + 1))
        out, inputs = [*shape[:axis], 1, *shape[axis:]], [x, constant(np.int32(axis))]
    y = like(x, out)
    # An operator whose output is its input is run by neither alone: something must be computed before it.
    middle = like(x, shape)
    middle.scale = near(rng, f32(x.scale))
    y.scale = middle.scale
    before = Operator("QUANTIZE", [x], [middle], {}, 2)
    inputs[0] = middle
    return kind.lower(), write([before, Operator(kind, inputs, [y], {}, 1)], [x], [y]), draw.steps(rng, [x], 2), BOTH


FAMILY = [
    of(concatenation),
    of(pad, "PAD"),
    of(transpose),
    of(strided_slice),
    of(resize, "RESIZE_BILINEAR"),
    of(split, "SPLIT"),
    of(piece),
    of(gather),
    of(resize, "RESIZE_NEAREST_NEIGHBOR"),
    of(pad, "PADV2"),
    of(pack),
    of(unpack),
    of(split, "SPLIT_V"),
    of(pad, "MIRROR_PAD"),
    of(depth_to_space),
    of(depth_to_space, back=True),
    of(batches),
    of(batches, back=True),
    of(broadcast_to),
    of(reshape, "RESHAPE"),
    of(reshape, "SQUEEZE"),
    of(reshape, "EXPAND_DIMS"),
    of(tile),
    of(reverse),
    of(concatenation, dtype="int16"),
    of(pad, "PAD", dtype="int16"),
    of(transpose, dtype="int16"),
    of(strided_slice, dtype="int16"),
    of(resize, "RESIZE_BILINEAR", dtype="int16"),
    of(resize, "RESIZE_NEAREST_NEIGHBOR", dtype="int16"),
    of(split, "SPLIT", dtype="int16"),
    of(piece, dtype="int16"),
]
