"""Motion between two frames, and samples along it: what the restorer "motion" is fed with. The oracle of the Rust code.

Not from the LMD-ViT paper, whose net has to find direction and length of the blur by itself. Two frames give both: the
displacement of each connected group of active cells is found by integer block matching, and the exposure lasted
`shutter` of it. Integers are exact, so that Rust and Python find the same vectors.

Units: displacements in 1/16 pixel, (y, x), from the previous frame to this one; `shutter` in 1/256 of a frame time.
"""
import numpy as np
import torch
from scipy.ndimage import label

CELL = 8          # pixels a side
REACH = 22        # farthest displacement, in pixels of half resolution
SEARCHED = 1200   # positions looked at, at half resolution
REFINED = 750     # and at full resolution, four pixels each
FEWEST = 8        # moving positions below which a group stands still
CAP = 24          # difference at which a pixel counts as wrong, whatever it is
MOVING = 64       # sixteen times the difference above which a position moves
GROUPS = 250      # groups beyond these stand still

# (previous frame?, by how many displacements back, quarters of the blur)
SAMPLES = ([(False, 0, k) for k in range(-4, 5)] + [(True, 1, k) for k in (-4, -2, 0, 2, 4)]
           + [(True, 0, k) for k in (-4, 0, 4)] + [(False, 1, 0)])
CHANNELS = 3 * len(SAMPLES) + 3


def luma(rgb):
    return (rgb.astype(np.int32) @ np.array([77, 150, 29], np.int32) + 128) >> 8


def half(y):
    """Means of 2x2, rounded; an odd edge repeats its last row or column."""
    y = np.pad(y, ((0, y.shape[0] % 2), (0, y.shape[1] % 2)), mode="edge")
    return (y[::2, ::2] + y[::2, 1::2] + y[1::2, ::2] + y[1::2, 1::2] + 2) >> 2


def moving(current, previous):
    """Where two pictures differ after a binomial 3x3 filter."""
    d = np.pad(current - previous, 1, mode="edge")
    d = d[:-2] + 2 * d[1:-1] + d[2:]
    d = d[:, :-2] + 2 * d[:, 1:-1] + d[:, 2:]
    return np.abs(d) > MOVING


def at(picture, y, x):
    return picture[np.clip(y, 0, picture.shape[0] - 1), np.clip(x, 0, picture.shape[1] - 1)]


def every(positions, count):
    """At most `count` of the positions, evenly."""
    return positions[::max(1, -(-len(positions) // count))]


def group_positions(mark, labels, group):
    """The moving positions of a group, cell by cell."""
    side, found = CELL // 2, []
    for row, col in np.argwhere(labels == group):
        cell = np.argwhere(mark[row * side:(row + 1) * side, col * side:(col + 1) * side])
        found.append(cell + (row * side, col * side))
    return np.concatenate(found)


def displacement(current, previous, current_half, previous_half, positions):
    """Of one group, by the least capped absolute difference: half resolution, full resolution, parabola."""
    if len(positions) < FEWEST:
        return 0, 0
    chosen = every(positions, SEARCHED)
    y, x = chosen.T
    wanted = at(current_half, y, x)
    best = None
    for dy in range(-REACH, REACH + 1):
        for dx in range(-REACH, REACH + 1):
            if 2 <= dy * dy + dx * dx <= REACH * REACH:
                cost = np.minimum(np.abs(wanted - at(previous_half, y - dy, x - dx)), CAP).sum()
                if best is None or cost < best[0]:
                    best = cost, dy, dx
    chosen = every(positions, REFINED)
    y = (2 * chosen[:, :1] + [0, 0, 1, 1]).ravel()
    x = (2 * chosen[:, 1:] + [0, 1, 0, 1]).ravel()
    wanted = at(current, y, x)

    def cost(dy, dx):
        return int(np.minimum(np.abs(wanted - at(previous, y - dy, x - dx)), CAP).sum())
    coarse = 2 * best[1], 2 * best[2]
    best = None
    for dy in range(coarse[0] - 2, coarse[0] + 3):
        for dx in range(coarse[1] - 2, coarse[1] + 3):
            c = cost(dy, dx)
            if best is None or c < best[0]:
                best = c, dy, dx
    middle, dy, dx = best
    return (16 * dy + parabola(cost(dy - 1, dx), middle, cost(dy + 1, dx)),
            16 * dx + parabola(cost(dy, dx - 1), middle, cost(dy, dx + 1)))


def parabola(before, middle, after):
    """Sixteenths from the middle to the vertex, rounded half up, at most half a step."""
    bend = 2 * (before - 2 * middle + after)
    return 0 if bend <= 0 else max(-8, min(8, (32 * (before - after) + bend) // (2 * bend)))


def estimate(image, previous, cells):
    """(group of each cell from 1, 0 for none; displacements [groups + 1, 2]) of u8 pictures and a cell map."""
    labels, count = label(cells > 0, np.ones((3, 3)))
    labels[labels > GROUPS] = 0
    current, before = luma(image), luma(previous)
    current_half, before_half = half(current), half(before)
    mark = moving(current_half, before_half)
    vectors = np.zeros((min(count, GROUPS) + 1, 2), np.int32)
    for group in range(1, len(vectors)):
        positions = group_positions(mark, labels, group)
        vectors[group] = displacement(current, before, current_half, before_half, positions)
    return labels, vectors


def offset(vector, shutter, back, quarters):
    """Where a sample lies, in sixteenths of a pixel."""
    return -back * vector + ((vector * shutter * quarters + 512) >> 10)


def numbers(vector, shutter):
    """Length of the blur over 16 pixels, cosine and sine of twice its angle."""
    b = vector.astype(np.float64) * shutter / 4096
    square = (b * b).sum()
    if square == 0:
        return np.zeros(3, np.float32)
    return np.array([square ** 0.5 / 16, (b[1] ** 2 - b[0] ** 2) / square, 2 * b[0] * b[1] / square], np.float32)


def bilinear(picture, y, x):
    """u8 [H, W, 3] at places in sixteenths of a pixel: f32 in [0, 1] from exact integers."""
    iy, ix, fy, fx = y >> 4, x >> 4, (y & 15)[:, None], (x & 15)[:, None]
    picture = picture.astype(np.int32)
    upper = at(picture, iy, ix) * (16 - fx) + at(picture, iy, ix + 1) * fx
    lower = at(picture, iy + 1, ix) * (16 - fx) + at(picture, iy + 1, ix + 1) * fx
    return (upper * (16 - fy) + lower * fy).astype(np.float32) / np.float32(65280)


def samples(image, previous, labels, vectors, shutter):
    """f32 [1, CHANNELS, rows * CELL, columns * CELL] of the padded picture, less 0.5; u8 pictures without padding."""
    of_pixel = labels.repeat(CELL, 0).repeat(CELL, 1)
    out = np.zeros((*of_pixel.shape, CHANNELS), np.float32)
    for group, vector in enumerate(vectors):
        y, x = np.nonzero(of_pixel == group)
        for i, (from_previous, back, quarters) in enumerate(SAMPLES):
            dy, dx = offset(vector, shutter, back, quarters)
            out[y, x, 3 * i:3 * i + 3] = bilinear(previous if from_previous else image, 16 * y + dy, 16 * x + dx)
        out[y, x, -3:] = numbers(vector, shutter)
    return torch.from_numpy(out - np.float32(0.5)).permute(2, 0, 1)[None].contiguous()
