"""The demonstration pictures of examples/data: three CC0 or public-domain photos in which one thing moves during the exposure.

    python3 demo_photos.py

The moving thing is cut out of its own photo along a hand-drawn outline, the place behind it is filled smoothly from
its rim (Laplace's equation), and both are exposed by the recipe of `synth.py`. Neither photo is in any training set.
"""
import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import binary_dilation, gaussian_filter
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

import photos
import synth
from fetch_data import DATA

TARGET = Path(__file__).resolve().parents[2] / "examples" / "data"
CLOCK = f"{photos.SKIMAGE}/clock_motion.png"

# outline in pixels of the photo as `photos.load_photo` gives it; crop = left, top, width, height after scaling;
# rim = how many pixels round the outline are filled too
SCENES = {
    "spoon": {
        "photo": f"{photos.SKIMAGE}/coffee.png", "scale": 1.0, "crop": (226, 116, 256, 256),
        "outline": [(390, 196), (388, 211), (385, 222), (385, 233), (390, 246), (401, 256), (408, 270), (408, 282),
                    (404, 298), (396, 310), (384, 320), (366, 328), (351, 326), (340, 321), (331, 311), (325, 300),
                    (323, 287), (325, 273), (329, 261), (338, 251), (351, 245), (363, 241), (371, 234), (373, 222),
                    (378, 213), (383, 204)],
        "feather": 0.8, "rim": 2, "length": 12.0, "angle": 0.35, "bend": 0.05, "seed": 11,
    },
    "dandelion": {
        "photo": f"{photos.LOMIRI16}/seeding_by_Clements_Engelhardt.jpg", "scale": 0.42, "crop": (0, 0, 560, 315),
        "outline": [(385, 52), (462, 62), (527, 97), (580, 160), (610, 228), (614, 288), (588, 347), (535, 398),
                    (470, 422), (400, 427), (328, 418), (255, 382), (203, 325), (176, 262), (176, 198), (207, 126),
                    (260, 82), (318, 57)],
        "feather": 2.0, "rim": 6, "length": 10.0, "angle": 0.1, "bend": 0.08, "seed": 12,
    },
    "rocket": {
        "photo": f"{photos.SKIMAGE}/rocket.jpg", "scale": 1.0, "crop": (160, 100, 320, 240),
        "outline": [(321, 124), (327, 130), (332, 140), (335, 152), (336, 178), (337, 250), (336, 345), (333, 404),
                    (311, 404), (309, 345), (308, 250), (309, 178), (310, 152), (312, 140), (316, 130)],
        "feather": 0.8, "rim": 2, "length": 11.0, "angle": -1.45, "bend": 0.0, "seed": 13,
    },
}


def filled(picture, hole):
    """`picture` f32 [H, W, 3] with the pixels of `hole` replaced by the harmonic continuation of their rim."""
    index = np.full(hole.shape, -1)
    index[hole] = np.arange(hole.sum())
    ys, xs = np.nonzero(hole)
    rows, columns, values = [np.arange(len(ys))], [np.arange(len(ys))], [np.full(len(ys), 4.0)]
    known = np.zeros((len(ys), 3))
    for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        y = np.clip(ys + dy, 0, hole.shape[0] - 1)
        x = np.clip(xs + dx, 0, hole.shape[1] - 1)
        inside = hole[y, x]
        rows.append(np.flatnonzero(inside))
        columns.append(index[y, x][inside])
        values.append(np.full(inside.sum(), -1.0))
        known[~inside] += picture[y, x][~inside]
    system = coo_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))).tocsc()
    result = picture.copy()
    result[hole] = np.stack([spsolve(system, known[:, c]) for c in range(3)], -1)
    return result


def scene(photo, scale, crop, outline, feather, rim, length, angle, bend, seed):
    """(blurred, sharp, previous, mask) as u8."""
    picture = photos.load_photo(photo)
    shape = Image.new("L", (picture.shape[1], picture.shape[0]))
    ImageDraw.Draw(shape).polygon(outline, fill=255)
    size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    left, top, width, height = crop
    window = np.s_[top:top + height, left:left + width]
    small = np.asarray(Image.fromarray(picture).resize(size, Image.LANCZOS))[window].astype(np.float32) / 255
    alpha = np.asarray(shape.resize(size, Image.BOX))[window].astype(np.float32) / 255
    alpha = gaussian_filter(alpha, feather)
    linear = small ** synth.GAMMA
    background = filled(linear, binary_dilation(alpha > 0.02, iterations=rim)).astype(np.float32)
    mover = linear * alpha[..., None], alpha
    exposed = synth.expose(background, mover, (height // 2, width // 2), length, angle, bend)
    return synth.finish(np.random.default_rng(seed), *exposed)


def main():
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, recipe in SCENES.items():
        blurred, sharp, previous, mask = scene(**recipe)
        pictures = {name: blurred, f"{name}_sharp": sharp, f"{name}_previous": previous, f"{name}_mask": mask * 255}
        for file, picture in pictures.items():
            Image.fromarray(picture).save(TARGET / f"{file}.png", optimize=True)
        print(f"{name}: {mask.mean():.1%} of the pixels are blurred")
    shutil.copy(DATA / CLOCK, TARGET / "clock_motion.png")


if __name__ == "__main__":
    main()
