"""Photos with local motion blur: background, one or two moving objects, one exposure and the one before it.

The background stands still, so an exposure is, in linear light (power 2.2),
    blurred = conv(premultiplied object, path) + background * (1 - conv(alpha, path)),
which one FFT computes for all sub-frames of the path together. The sharp picture is the
middle of the exposure; the previous frame is the object one frame time earlier on the same path. The exposure lasts
half a frame time, so the object has moved on by twice its blur length. The blur mask is the union of the object's
alphas over the exposure (background uncovered meanwhile included).

    python3 synth.py          writes the sets of `SETS` to target/train-data/sets
"""
import sys
import time
from functools import partial

import numpy as np
import scipy.fft
from PIL import Image
from scipy.ndimage import gaussian_filter

import photos
from fetch_data import DATA

SETS = DATA / "sets"
GAMMA = 2.2
STILL = 0.2  # share of training samples in which nothing moves

# ---------------------------------------------------------------- backgrounds and objects


def crop_photo(rng, photo, height, width, scale=1.0):
    """A random crop of a u8 photo in linear light, at 1/scale of its resolution where it is large enough."""
    scale = max(1.0, min(scale, photo.shape[0] / height, photo.shape[1] / width))
    h, w = int(height * scale), int(width * scale)
    y = rng.integers(0, photo.shape[0] - h + 1)
    x = rng.integers(0, photo.shape[1] - w + 1)
    crop = Image.fromarray(photo[y:y + h, x:x + w])
    if scale > 1:
        crop = crop.resize((width, height), Image.BOX)
    return (np.asarray(crop, np.float32) / 255) ** GAMMA


def turn(rng, image):
    """One of the eight orientations of a square or oblong array."""
    if rng.random() < 0.5:
        image = image[:, ::-1]
    return np.rot90(image, rng.integers(0, 4))


def blob_alpha(rng, size):
    """A star-shaped or a smooth free-form silhouette with a soft edge of about a pixel, f32 [size, size]."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size * 2 - 1
    if rng.random() < 0.5:
        corners = rng.integers(5, 11)
        radii = rng.uniform(0.4, 0.95, corners)
        angle = (np.arctan2(y, x) / (2 * np.pi) + rng.random()) % 1 * corners
        left = angle.astype(int) % corners
        t = angle - np.floor(angle)
        if rng.random() < 0.5:
            t = t * t * (3 - 2 * t)
        edge = radii[left] * (1 - t) + radii[(left + 1) % corners] * t
        stretch = rng.uniform(0.4, 1)
        inside = (edge - np.hypot(x, y / stretch)) * size / 2
    else:
        noise = gaussian_filter(rng.standard_normal((size, size)), size * rng.uniform(0.06, 0.15), mode="wrap")
        inside = (noise / noise.std() * 0.5 + 0.7 - 1.8 * np.hypot(x, y) ** 2) * size / 8
    return np.clip(gaussian_filter(inside, 0.5) + 0.5, 0, 1).astype(np.float32)


def blob_object(rng, backgrounds, size):
    """A silhouette filled with a piece of a photo, shaded and tinted: (premultiplied linear RGB, alpha)."""
    alpha = blob_alpha(rng, size)
    photo = backgrounds[rng.integers(len(backgrounds))]
    colour = turn(rng, crop_photo(rng, photo, size, size, rng.uniform(1, 4)))
    if rng.random() < 0.5:
        direction = rng.uniform(-1, 1, 2)
        ramp = np.add.outer(direction[0] * np.linspace(-1, 1, size), direction[1] * np.linspace(-1, 1, size))
        colour = colour * np.exp(0.7 * ramp)[..., None]
    if rng.random() < 0.15:
        colour = colour * 0.1 + colour.mean((0, 1)) * 0.9
    colour = colour * np.exp(rng.normal(0, 0.3) + rng.normal(0, 0.15, 3))
    return (np.clip(colour, 0, 1) * alpha[..., None]).astype(np.float32), alpha


def cutout_object(rng, cutouts, size):
    """A real object with alpha, its longer side about `size` and never enlarged: (premultiplied linear RGB, alpha)."""
    rgba = cutouts[rng.integers(len(cutouts))]
    linear = rgba.astype(np.float32) / 255
    linear[..., :3] = linear[..., :3] ** GAMMA * linear[..., 3:]
    scale = min(1.0, size / max(rgba.shape[:2]))
    w, h = max(8, round(rgba.shape[1] * scale)), max(8, round(rgba.shape[0] * scale))
    planes = [np.asarray(Image.fromarray(linear[..., c]).resize((w, h), Image.BOX)) for c in range(4)]
    rgba = np.stack(planes, -1)
    if rng.random() < 0.5:
        rgba = rgba[:, ::-1]
    return rgba[..., :3], rgba[..., 3]


# ---------------------------------------------------------------- one exposure


def path_kernel(length, angle, bend, centre, n):
    """Time spent at each (wrapped) offset while t runs over one exposure around `centre`, as an [n, n] kernel.

    The path is a slightly bent line; t = -0.5..0.5 is the current exposure, and one frame time is 2.
    """
    steps = max(17, 4 * int(np.ceil(length)) + 1)
    t = centre + np.linspace(-0.5, 0.5, steps)
    along, across = length * t, length * bend * t * t
    y = along * np.sin(angle) + across * np.cos(angle)
    x = along * np.cos(angle) - across * np.sin(angle)
    y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
    fy, fx = y - y0, x - x0
    kernel = np.zeros((n, n), np.float32)
    for dy, wy in ((0, 1 - fy), (1, fy)):
        for dx, wx in ((0, 1 - fx), (1, fx)):
            np.add.at(kernel, ((y0 + dy) % n, (x0 + dx) % n), wy * wx / steps)
    return kernel, steps


def convolve(planes, kernel):
    spectrum = scipy.fft.rfft2(planes, axes=(0, 1)) * scipy.fft.rfft2(kernel)[..., None]
    return scipy.fft.irfft2(spectrum, s=kernel.shape, axes=(0, 1))


def place(layer, patch, y, x):
    """Paste `patch` with its centre at (y, x), cut at the border of `layer`."""
    y, x = y - patch.shape[0] // 2, x - patch.shape[1] // 2
    top, left = max(0, y), max(0, x)
    bottom, right = min(layer.shape[0], y + patch.shape[0]), min(layer.shape[1], x + patch.shape[1])
    if bottom > top and right > left:
        layer[top:bottom, left:right] = patch[top - y:bottom - y, left - x:right - x]


def expose(background, mover, position, length, angle, bend, frame_time=2.0):
    """Pictures in linear light (blurred, sharp, previous) and the blur mask of one object over a background.

    `frame_time` is the time from one frame to the next in exposures.
    """
    h, w = background.shape[:2]
    margin = int((frame_time + 0.6) * length) + 4  # farther than the object travels, so that nothing wraps into view
    n = scipy.fft.next_fast_len(max(h, w) + 2 * margin, real=True)
    layer = np.zeros((n, n, 4), np.float32)
    colour, alpha = mover
    place(layer, np.dstack([colour, alpha]), position[0] + margin, position[1] + margin)
    window = np.s_[margin:margin + h, margin:margin + w]

    def over(layer):
        shown = np.clip(layer[window], 0, 1)
        return shown[..., :3] + background * (1 - shown[..., 3:])

    now, steps = path_kernel(length, angle, bend, 0.0, n)
    before, _ = path_kernel(length, angle, bend, -frame_time, n)
    swept = convolve((layer[..., 3:] > 0.05).astype(np.float32), now)[window][..., 0] > 0.25 / steps
    return over(convolve(layer, now)), over(layer), over(convolve(layer, before)), swept


def velocity(length, angle, bend, frame_time):
    """Displacement (y, x) of the middle of the exposure since the frame before."""
    along, across = length * frame_time, -length * bend * frame_time ** 2
    return (along * np.sin(angle) + across * np.cos(angle), along * np.cos(angle) - across * np.sin(angle))


def to_u8(rng, linear, sigma):
    picture = np.clip(linear, 0, 1) ** (1 / GAMMA)
    if sigma:
        picture = picture + rng.normal(0, sigma, picture.shape)
    return np.floor(np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def finish(rng, blurred, sharp, previous, mask):
    """The four u8 arrays of a sample; the two frames get their own sensor noise, the sharp picture none."""
    sigma = rng.uniform(0.004, 0.006)
    return to_u8(rng, blurred, sigma), to_u8(rng, sharp, 0), to_u8(rng, previous, sigma), mask.astype(np.uint8)


# ---------------------------------------------------------------- sets


def training_sample(rng, backgrounds, cutouts, size):
    """A varied sample: any share of blur, sometimes two movers, still objects and defocus as hard negatives."""
    return moving_sample(rng, backgrounds, partial(blob_or_cutout, backgrounds, cutouts), size)[:4]


def blob_or_cutout(backgrounds, cutouts, rng, extent):
    if cutouts and rng.random() < 0.7:
        return cutout_object(rng, cutouts, extent)
    return blob_object(rng, backgrounds, extent)


def moving_sample(rng, backgrounds, object_of, size, still_share=STILL, any_shutter=False):
    """[blurred, sharp, previous, mask] and what the motion nets learn from: the mover that a pixel belongs to (1 or 2, 0
    none), the movers' displacements since the frame before, [2, 2], and the shutter (exposure over frame time).
    """
    photo = backgrounds[rng.integers(len(backgrounds))]
    background = turn(rng, crop_photo(rng, photo, size, size, rng.uniform(0.5, 2.5)))
    background = np.clip(background * np.exp(rng.normal(0, 0.25)), 0, 1)
    if rng.random() < 0.2:
        background = gaussian_filter(background, (*[rng.uniform(0.5, 3.0)] * 2, 0))
    still = rng.random() < still_share
    frame_time = rng.uniform(1.1, 2.4) if any_shutter and rng.random() < 0.5 else 2.0
    blurred = sharp = previous = background
    mask = np.zeros((size, size), bool)
    owner, moved = np.zeros((size, size), np.uint8), np.zeros((2, 2), np.float32)
    objects = 1 + (rng.random() < 0.2) if not still else rng.integers(0, 3)
    for i in range(objects):
        extent = int(size * rng.uniform(0.2, 0.9))
        mover = object_of(rng, extent)
        if rng.random() < 0.1:
            softness = rng.uniform(0.5, 2.0)
            mover = gaussian_filter(mover[0], (softness, softness, 0)), gaussian_filter(mover[1], softness)
        position = rng.integers(0, size, 2)
        stands = still or rng.random() < 0.1
        length = 0.0 if stands else rng.uniform(3, 18)
        motion = (length, rng.uniform(0, 2 * np.pi), rng.uniform(-0.15, 0.15))
        blurred, _, _, swept = expose(blurred, mover, position, *motion, frame_time)
        _, sharp, _, _ = expose(sharp, mover, position, *motion, frame_time)
        _, _, previous, _ = expose(previous, mover, position, *motion, frame_time)
        mask = (mask | swept) if not stands else (mask & ~swept)
        if not stands:
            owner[swept] = i + 1
            moved[i] = velocity(*motion, frame_time)
    return *finish(rng, blurred, sharp, previous, mask), owner * mask, moved, np.float32(1 / frame_time)


def scored_sample(rng, background, cutouts, size):
    """A sample for validation and test: one real cut-out, 4 to 16 pixels of path, 5 to 15 % of the pixels blurred."""
    while True:
        mover = cutout_object(rng, cutouts, int(size * rng.uniform(0.2, 0.65)))
        length = rng.uniform(4, 16)
        position = rng.integers(size // 8, size - size // 8, 2)
        scene = expose(background, mover, position, length, rng.uniform(0, 2 * np.pi), rng.uniform(-0.15, 0.15))
        if 0.05 <= scene[3].mean() <= 0.15:
            return *finish(rng, *scene), np.float32(length)


def still_sample(rng, background):
    nothing = np.zeros(background.shape[:2], bool)
    return *finish(rng, background, background, background, nothing), np.float32(0)


def scored_set(split, seed, blurred_per_photo, still_per_photo, size=256):
    """Blurred crops of every photo of a split first, then crops of the same photos without any blur."""
    rng = np.random.default_rng(seed)
    backgrounds = [photos.load_photo(n) for n in photos.photo_names(split)]
    cutouts = photos.load_cutouts(split)
    samples = [scored_sample(rng, crop_photo(rng, p, size, size), cutouts, size)
               for p in backgrounds for _ in range(blurred_per_photo)]
    samples += [still_sample(rng, crop_photo(rng, p, size, size)) for p in backgrounds for _ in range(still_per_photo)]
    return [np.stack(part) for part in zip(*samples)]


def training_set(split, seed, count, size=128):
    rng = np.random.default_rng(seed)
    backgrounds = [photos.load_photo(n) for n in photos.photo_names(split)]
    cutouts = photos.load_cutouts("train") if split == "wide" else []
    samples = []
    started = time.time()
    for i in range(count):
        samples.append(training_sample(rng, backgrounds, cutouts, size))
        if (i + 1) % 1000 == 0:
            print(f"{split}: {i + 1} of {count} samples, {time.time() - started:.0f} s", flush=True)
    return [np.stack(part) for part in zip(*samples)]


def motion_set(seed, count, rich, size=128):
    """A training set of the motion nets; `rich`: rendered cut-outs with real alpha among the movers, more photos."""
    rng = np.random.default_rng(seed)
    names = photos.photo_names("permissive") + (photos.MORE if rich else [])
    backgrounds = [photos.load_photo(n) for n in names]
    renders = photos.load_renders() if rich else []
    object_of = partial(rich_object, backgrounds, renders)
    samples = []
    started = time.time()
    for i in range(count):
        samples.append(moving_sample(rng, backgrounds, object_of, size, 0.05, True))
        if (i + 1) % 1000 == 0:
            print(f"motion: {i + 1} of {count} samples, {time.time() - started:.0f} s", flush=True)
    return [np.stack(part) for part in zip(*samples)]


def rich_object(backgrounds, renders, rng, size):
    """A silhouette, or (60 %) a rendered cut-out, 40 % of these filled with a piece of photo times their shading."""
    if not renders or rng.random() < 0.4:
        return blob_object(rng, backgrounds, size)
    colour, alpha = cutout_object(rng, renders, size)
    colour, alpha = np.dstack([colour, alpha])[..., :3], alpha
    if rng.random() < 0.5:  # any orientation
        k = rng.integers(0, 4)
        colour, alpha = np.rot90(colour, k).copy(), np.rot90(alpha, k).copy()
    if rng.random() < 0.4:
        h, w = alpha.shape
        photo = backgrounds[rng.integers(len(backgrounds))]
        fill = turn(rng, crop_photo(rng, photo, max(h, w), max(h, w), rng.uniform(1, 4)))[:h, :w]
        light = colour.mean(-1) / np.maximum(alpha, 1e-3)
        shading = np.clip(light / max(float(light[alpha > 0.5].mean()) if (alpha > 0.5).any() else 1.0, 1e-3), 0.3, 2)
        colour = np.clip(fill * shading[..., None], 0, 1) * alpha[..., None]
    colour = np.clip(colour * np.exp(rng.normal(0, 0.3) + rng.normal(0, 0.15, 3)), 0, alpha[..., None])
    return colour.astype(np.float32), alpha.astype(np.float32)


FIELDS = ("blurred", "sharp", "previous", "mask", "length")
MOTION_FIELDS = ("blurred", "sharp", "previous", "mask", "owner", "velocity", "shutter")


def save(name, arrays):
    SETS.mkdir(parents=True, exist_ok=True)
    fields = MOTION_FIELDS if len(arrays) == len(MOTION_FIELDS) else FIELDS
    np.savez(SETS / f"{name}.npz", **dict(zip(fields, arrays)))


def load(name):
    with np.load(SETS / f"{name}.npz") as data:
        return {field: data[field] for field in data.files}


RECIPES = {
    "test": lambda: scored_set("test", 3, 6, 3),
    "val": lambda: scored_set("val", 2, 8, 4),
    "permissive": lambda: training_set("permissive", 1, 10000),
    "permissive-2": lambda: training_set("permissive", 5, 10000),
    "permissive-3": lambda: training_set("permissive", 6, 10000),
    "wide": lambda: training_set("wide", 4, 10000),
    "motion": lambda: motion_set(11, 12000, rich=False),
    "motion-rich": lambda: motion_set(12, 5000, rich=True),
}

if __name__ == "__main__":
    for name in sys.argv[1:] or RECIPES:
        save(name, RECIPES[name]())
        print(f"{name}: written", flush=True)
