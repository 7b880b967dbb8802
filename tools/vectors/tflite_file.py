"""Writes `.tflite` files of a few operators: tensors, options, buffers. Only what the cases here need.

The format is FlatBuffers; fields are addressed by their number in their table (`schema.fbs` of TensorFlow Lite, as its
documentation describes it).
"""

from dataclasses import dataclass, field

import flatbuffers
import numpy as np

TYPES = {"float32": 0, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int16": 7, "int8": 9, "int4": 17}

# Operator: its code, the kind of its options (0: none), and the options' fields as (name, number, type).
I, B, F, Y = "int32", "bool", "float32", "int8"  # Y: one byte, an enumeration
CONV_FIELDS = [("padding", 0, Y), ("stride_w", 1, I), ("stride_h", 2, I), ("activation", 3, Y), ("dilation_w", 4, I), ("dilation_h", 5, I)]
POOL_FIELDS = [("padding", 0, Y), ("stride_w", 1, I), ("stride_h", 2, I), ("filter_w", 3, I), ("filter_h", 4, I), ("activation", 5, Y)]
ACTIVATION = [("activation", 0, Y)]
REDUCER = [("keep_dims", 0, B)]
OPERATORS = {
    "ADD": (0, 11, ACTIVATION),
    "AVERAGE_POOL_2D": (1, 5, POOL_FIELDS),
    "CONCATENATION": (2, 10, [("axis", 0, I), ("activation", 1, Y)]),
    "CONV_2D": (3, 1, CONV_FIELDS),
    "DEPTHWISE_CONV_2D": (4, 2, [("padding", 0, Y), ("stride_w", 1, I), ("stride_h", 2, I), ("multiplier", 3, I), ("activation", 4, Y), ("dilation_w", 5, I), ("dilation_h", 6, I)]),
    "DEPTH_TO_SPACE": (5, 94, [("block", 0, I)]),
    "DEQUANTIZE": (6, 0, []),
    "FULLY_CONNECTED": (9, 8, [("activation", 0, Y), ("weights_format", 1, Y), ("keep_num_dims", 2, B)]),
    "L2_NORMALIZATION": (11, 12, ACTIVATION),
    "LOGISTIC": (14, 0, []),
    "MAX_POOL_2D": (17, 5, POOL_FIELDS),
    "MUL": (18, 21, ACTIVATION),
    "RELU": (19, 0, []),
    "RELU_N1_TO_1": (20, 0, []),
    "RELU6": (21, 0, []),
    "RESHAPE": (22, 0, []),
    "RESIZE_BILINEAR": (23, 15, [("align_corners", 2, B), ("half_pixel_centers", 3, B)]),
    "SOFTMAX": (25, 9, [("beta", 0, F)]),
    "SPACE_TO_DEPTH": (26, 19, [("block", 0, I)]),
    "SVDF": (27, 6, [("rank", 0, I), ("activation", 1, Y)]),
    "TANH": (28, 0, []),
    "PAD": (34, 0, []),
    "GATHER": (36, 23, [("axis", 0, I), ("batch_dims", 1, I)]),
    "BATCH_TO_SPACE_ND": (37, 0, []),
    "SPACE_TO_BATCH_ND": (38, 0, []),
    "TRANSPOSE": (39, 0, []),
    "MEAN": (40, 27, REDUCER),
    "SUB": (41, 28, ACTIVATION),
    "DIV": (42, 29, ACTIVATION),
    "SQUEEZE": (43, 0, []),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (44, 71, [("activation", 0, Y), ("cell_clip", 1, F), ("proj_clip", 2, F), ("time_major", 3, B)]),
    "STRIDED_SLICE": (45, 32, [("begin_mask", 0, I), ("end_mask", 1, I), ("ellipsis_mask", 2, I), ("new_axis_mask", 3, I), ("shrink_axis_mask", 4, I), ("offset", 5, B)]),
    "EXP": (47, 0, []),
    "SPLIT": (49, 35, [("num_splits", 0, I)]),
    "LOG_SOFTMAX": (50, 0, []),
    "CAST": (53, 0, []),
    "PRELU": (54, 0, []),
    "MAXIMUM": (55, 0, []),
    "ARG_MAX": (56, 40, [("output_type", 0, Y)]),
    "MINIMUM": (57, 0, []),
    "NEG": (59, 0, []),
    "PADV2": (60, 0, []),
    "SLICE": (65, 0, []),
    "TRANSPOSE_CONV": (67, 49, [("padding", 0, Y), ("stride_w", 1, I), ("stride_h", 2, I), ("activation", 3, Y)]),
    "TILE": (69, 0, []),
    "EXPAND_DIMS": (70, 0, []),
    "LOG": (73, 0, []),
    "SUM": (74, 27, REDUCER),
    "SQRT": (75, 0, []),
    "RSQRT": (76, 0, []),
    "ARG_MIN": (79, 57, [("output_type", 0, Y)]),
    "REDUCE_MAX": (82, 27, REDUCER),
    "PACK": (83, 59, [("values_count", 0, I), ("axis", 1, I)]),
    "UNPACK": (88, 64, [("num", 0, I), ("axis", 1, I)]),
    "REDUCE_MIN": (89, 27, REDUCER),
    "SQUARE": (92, 0, []),
    "ZEROS_LIKE": (93, 0, []),
    "RESIZE_NEAREST_NEIGHBOR": (97, 74, [("align_corners", 0, B), ("half_pixel_centers", 1, B)]),
    "LEAKY_RELU": (98, 75, [("alpha", 0, F)]),
    "SQUARED_DIFFERENCE": (99, 0, []),
    "MIRROR_PAD": (100, 77, [("mode", 0, Y)]),
    "ABS": (101, 0, []),
    "SPLIT_V": (102, 79, [("num_splits", 0, I)]),
    "REVERSE_V2": (105, 0, []),
    "ELU": (111, 0, []),
    "QUANTIZE": (114, 0, []),
    "HARD_SWISH": (117, 0, []),
    "BATCH_MATMUL": (126, 101, [("adj_x", 0, B), ("adj_y", 1, B)]),
    "BROADCAST_TO": (130, 0, []),
    "GELU": (150, 116, [("approximate", 0, B)]),
}

SAME, VALID = 0, 1
NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3


@dataclass
class Tensor:
    """`scale` and `zero_point` are numbers, or lists along `axis`, or None. `data` makes it a constant."""

    shape: tuple
    dtype: str
    scale: object = None
    zero_point: object = 0
    axis: int = 0
    data: object = None
    is_variable: bool = False
    name: str = ""


@dataclass
class Operator:
    """`inputs` and `outputs` are tensors; None is an input that is absent."""

    kind: str
    inputs: list
    outputs: list
    options: dict = field(default_factory=dict)
    version: int = 1


def write(operators, inputs, outputs):
    """The bytes of a model. `inputs` and `outputs` are its tensors, in order."""
    tensors = []

    def index(tensor):
        if tensor is None:
            return -1
        for i, other in enumerate(tensors):
            if other is tensor:
                return i
        tensors.append(tensor)
        return len(tensors) - 1

    for tensor in inputs:
        index(tensor)
    nodes = [([index(t) for t in op.inputs], [index(t) for t in op.outputs], op) for op in operators]
    ends = [index(t) for t in inputs], [index(t) for t in outputs]

    b = flatbuffers.Builder(1024)

    # Buffer 0 is empty, as the format wants it.
    buffers = [None] + [t.data for t in tensors]
    at = []
    for data in buffers:
        vector = None
        if data is not None:
            raw = np.ascontiguousarray(data).tobytes()
            b.StartVector(1, len(raw), 16)
            b.head = b.head - len(raw)
            b.Bytes[b.head : b.head + len(raw)] = raw
            vector = b.EndVector()
        b.StartObject(3)
        if vector is not None:
            b.PrependUOffsetTRelativeSlot(0, vector, 0)
        at.append(b.EndObject())
    buffers = offsets(b, at)

    at = []
    for i, tensor in enumerate(tensors):
        at.append(tensor_table(b, tensor, i))
    tensors_vector = offsets(b, at)

    kinds = []
    for _, _, op in nodes:
        if (op.kind, op.version) not in kinds:
            kinds.append((op.kind, op.version))
    at = []
    for ins, outs, op in nodes:
        _, option_kind, fields = OPERATORS[op.kind]
        options = None
        unknown = set(op.options) - {name for name, _, _ in fields}
        assert not unknown, f"{op.kind} has no {unknown}"
        if option_kind:
            b.StartObject(max((number for _, number, _ in fields), default=0) + 1)
            for name, number, kind in fields:
                if name in op.options:
                    prepend(b, kind, number, op.options[name])
            options = b.EndObject()
        ins, outs = numbers(b, ins, "int32"), numbers(b, outs, "int32")
        b.StartObject(5)
        b.PrependUint32Slot(0, kinds.index((op.kind, op.version)), 0)
        b.PrependUOffsetTRelativeSlot(1, ins, 0)
        b.PrependUOffsetTRelativeSlot(2, outs, 0)
        if options is not None:
            b.PrependUint8Slot(3, option_kind, 0)
            b.PrependUOffsetTRelativeSlot(4, options, 0)
        at.append(b.EndObject())
    operators_vector = offsets(b, at)
    ins, outs = (numbers(b, end, "int32") for end in ends)
    name = b.CreateString("main")
    b.StartObject(5)
    b.PrependUOffsetTRelativeSlot(0, tensors_vector, 0)
    b.PrependUOffsetTRelativeSlot(1, ins, 0)
    b.PrependUOffsetTRelativeSlot(2, outs, 0)
    b.PrependUOffsetTRelativeSlot(3, operators_vector, 0)
    b.PrependUOffsetTRelativeSlot(4, name, 0)
    subgraphs = offsets(b, [b.EndObject()])

    at = []
    for kind, version in kinds:
        code = OPERATORS[kind][0]
        b.StartObject(4)
        b.PrependInt8Slot(0, min(code, 127), 0)
        b.PrependInt32Slot(2, version, 1)
        b.PrependInt32Slot(3, code, 0)
        at.append(b.EndObject())
    codes = offsets(b, at)
    text = b.CreateString("scrimp test vector")
    b.StartObject(5)
    b.PrependUint32Slot(0, 3, 0)
    b.PrependUOffsetTRelativeSlot(1, codes, 0)
    b.PrependUOffsetTRelativeSlot(2, subgraphs, 0)
    b.PrependUOffsetTRelativeSlot(3, text, 0)
    b.PrependUOffsetTRelativeSlot(4, buffers, 0)
    b.Finish(b.EndObject(), file_identifier=b"TFL3")
    return bytes(b.Output())


def offsets(b, at):
    b.StartVector(4, len(at), 4)
    for offset in reversed(at):
        b.PrependUOffsetTRelative(offset)
    return b.EndVector()


def numbers(b, values, dtype):
    return b.CreateNumpyVector(np.asarray(values, dtype=dtype))


def prepend(b, kind, number, value):
    if kind == I:
        b.PrependInt32Slot(number, int(value), None)
    elif kind == B:
        b.PrependBoolSlot(number, bool(value), None)
    elif kind == F:
        b.PrependFloat32Slot(number, float(value), None)
    else:
        b.PrependInt8Slot(number, int(value), None)


def tensor_table(b, tensor, i):
    quant = None
    if tensor.scale is not None:
        scales = np.atleast_1d(np.asarray(tensor.scale, dtype=np.float32))
        zeros = np.atleast_1d(np.asarray(tensor.zero_point, dtype=np.int64))
        if len(zeros) != len(scales):
            zeros = np.full(len(scales), zeros[0], dtype=np.int64)
        scales, zeros = numbers(b, scales, "float32"), numbers(b, zeros, "int64")
        b.StartObject(7)
        b.PrependUOffsetTRelativeSlot(2, scales, 0)
        b.PrependUOffsetTRelativeSlot(3, zeros, 0)
        b.PrependInt32Slot(6, tensor.axis, 0)
        quant = b.EndObject()
    shape = numbers(b, tensor.shape, "int32")
    name = b.CreateString(tensor.name or f"t{i}")
    b.StartObject(6)
    b.PrependUOffsetTRelativeSlot(0, shape, 0)
    b.PrependInt8Slot(1, TYPES[tensor.dtype], 0)
    b.PrependUint32Slot(2, i + 1, 0)
    b.PrependUOffsetTRelativeSlot(3, name, 0)
    if quant is not None:
        b.PrependUOffsetTRelativeSlot(4, quant, 0)
    b.PrependBoolSlot(5, tensor.is_variable, False)
    return b.EndObject()
