"""Inputs on which the precision of a multiplier decides: products or quotients of scales in f64, as TFLM's program takes them, or in
f32, as its source reads. Random inputs meet one in some millions, so these are looked for.
"""

import numpy as np

import draw
from cases import TFLM
from elem import of
from tflite_file import NONE, Operator, Tensor, write

MANY = 20000


def multiplier(real):
    """TFLite's mantissa and exponent of a real number."""
    fraction, exponent = np.frexp(np.float64(real))
    mantissa = int(np.floor(fraction * 2.0**31 + 0.5))
    return (mantissa // 2, int(exponent) + 1) if mantissa == 1 << 31 else (mantissa, int(exponent))


def scaled(x, real):
    """`x` times a multiplier, rounded twice."""
    mantissa, exponent = multiplier(real)
    product = x * (1 << max(exponent, 0)) * mantissa
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    high = np.where(nudged >= 0, nudged >> 31, -((-nudged) >> 31))
    mask = (1 << max(-exponent, 0)) - 1
    return (high >> max(-exponent, 0)) + ((high & mask) > (mask >> 1) + (high < 0))


def sub(rng, committed, dtype="int8"):
    left, (least, most) = (20, draw.RANGE["int8"]) if dtype == "int8" else (15, draw.RANGE["int16"])
    while True:
        s = [np.float32(draw.scale(rng))]
        s.append(np.float32(s[0] * 2.0 ** rng.uniform(-2, 2)))
        s.append(np.float32(max(s) * 2.0 ** rng.uniform(-1, 1.5)))
        z = [draw.zero_point(rng, dtype) for _ in range(3)]
        x = [rng.integers(least, most + 1, MANY) for _ in range(2)]
        results = []
        for real in (np.float32, np.float64):
            twice = real(2) * max(real(s[0]), real(s[1]))
            a, b = (scaled((x[k] - z[k]) << left, real(s[k]) / twice) for k in range(2))
            results.append(np.clip(scaled(a - b, twice / (real(1 << left) * real(s[2]))) + z[2], least, most))
        at = np.flatnonzero(results[0] != results[1])
        if len(at):
            break
    tensors = [Tensor((1,), dtype, float(s[k]), z[k]) for k in range(3)]
    op = Operator("SUB", tensors[:2], tensors[2:], dict(activation=NONE), 2)
    steps = [[x[k][at[:1]].astype(dtype) for k in range(2)]]
    return f"tie_sub_{dtype}", write([op], tensors[:2], tensors[2:]), steps, TFLM


def product(rng, committed, kind):
    depth, outputs, rows = 8, 200, 200
    while True:
        s = [np.float32(draw.scale(rng)), np.float32(draw.scale(rng) / 16)]
        s.append(np.float32(s[0] * s[1] * depth * 128 * 1.28 * 2.0 ** rng.uniform(-3, 1)))
        w = rng.integers(-127, 128, (depth, outputs))
        x = rng.integers(-128, 128, (rows, depth))
        sums = (x - 3) @ w
        f32_product, f64_product = np.float64(s[0] * s[1]), np.float64(s[0]) * np.float64(s[1])
        results = [np.clip(scaled(sums, p / np.float64(s[2])) - 5, -128, 127) for p in (f32_product, f64_product)]
        at = np.argwhere(results[0] != results[1])
        if len(at):
            break
    row, column = at[0]
    w, x = w[:, column : column + 1].astype(np.int8), x[row : row + 1].astype(np.int8)
    of_x, of_y = Tensor((1, depth), "int8", float(s[0]), 3), Tensor((1, 1), "int8", float(s[2]), -5)
    if kind == "FULLY_CONNECTED":
        weights = Tensor((1, depth), "int8", float(s[1]), 0, data=np.ascontiguousarray(w.T))
        op = Operator(kind, [of_x, weights, None], [of_y], dict(activation=NONE, weights_format=0, keep_num_dims=False), 4)
    else:
        weights = Tensor((depth, 1), "int8", float(s[1]), 0, data=np.ascontiguousarray(w))
        op = Operator(kind, [of_x, weights], [of_y], dict(adj_x=False, adj_y=False), 2)
    return f"tie_{kind.lower()}", write([op], [of_x], [of_y]), [[x]], TFLM


FAMILY = [of(sub), of(sub, dtype="int16"), of(product, "FULLY_CONNECTED"), of(product, "BATCH_MATMUL")]
