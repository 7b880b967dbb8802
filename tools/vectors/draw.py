"""What the families draw from: shapes, scales, codes, extreme more often than in nature."""

import numpy as np

from tflite_file import Tensor

RANGE = {"int8": (-128, 127), "int16": (-32768, 32767)}


def pick(rng, options):
    return options[int(rng.integers(len(options)))]


def size(rng, most):
    """1 to `most`, small ones more often, 1 often."""
    return 1 if rng.random() < 0.15 else int(rng.integers(1, pick(rng, [4, most, most]) + 1)) if most > 4 else int(rng.integers(1, most + 1))


def zero_point(rng, dtype):
    if dtype != "int8":
        return 0
    return int(pick(rng, [0, -128, 127, int(rng.integers(-128, 128)), int(rng.integers(-128, 128))]))


def scale(rng):
    """Anything from 2^-12 to 2^3, as f32."""
    return float(np.float32(2.0 ** rng.uniform(-12, 3)))


def factor(rng):
    """A real multiplier: as in nature, or tiny (0 as a code), or close to a power of two, or above 1."""
    kind = rng.random()
    if kind < 0.6:
        return 2.0 ** rng.uniform(-12, -3)
    if kind < 0.7:
        return 2.0 ** rng.uniform(-40, -12)
    if kind < 0.8:
        return 2.0 ** int(rng.integers(-12, 2)) * (1 - pick(rng, [0, 2.0**-24, 2.0**-23, -(2.0**-23)]))
    if kind < 0.95:
        return 2.0 ** rng.uniform(-3, 1)
    return 2.0 ** rng.uniform(1, 6)


def codes(rng, shape, dtype):
    """Over all of the type, or a narrow part of it, or only its ends."""
    least, most = RANGE[dtype]
    kind = rng.random()
    if kind < 0.6:
        values = rng.integers(least, most + 1, shape)
    elif kind < 0.8:
        middle, width = int(rng.integers(least, most + 1)), int(rng.integers(1, 40))
        values = np.clip(rng.integers(middle - width, middle + width + 1, shape), least, most)
    elif kind < 0.9:
        values = np.where(rng.random(shape) < 0.5, least, most)
    else:
        values = np.full(shape, pick(rng, [least, most, 0]))
    return values.astype(dtype)


def activation_tensor(rng, shape, dtype, scale_of=None, zero=None):
    return Tensor(tuple(shape), dtype, scale(rng) if scale_of is None else scale_of, zero_point(rng, dtype) if zero is None else zero)


def steps(rng, tensors, count=3):
    return [[codes(rng, t.shape, t.dtype) for t in tensors] for _ in range(count)]
