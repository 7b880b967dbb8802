"""Two test pictures of each kind of clothing as `examples/data/classify/<kind>_<n>.pgm`, for the example and the demo.

    python3 classify_photos.py

The first two of each kind among the 10,000 test pictures of Fashion-MNIST (MIT), whatever the network says of them.
"""
from pathlib import Path

import numpy as np

import fashion

KINDS = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
FOLDER = Path(__file__).resolve().parents[2] / "examples/data/classify"


def main():
    FOLDER.mkdir(exist_ok=True)
    pictures, labels = fashion.load("test")
    for label, kind in enumerate(KINDS):
        for n, at in enumerate(np.flatnonzero(labels == label)[:2]):
            (FOLDER / f"{kind}_{n + 1}.pgm").write_bytes(b"P5\n28 28\n255\n" + pictures[at].tobytes())


if __name__ == "__main__":
    main()
