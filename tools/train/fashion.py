"""Fashion-MNIST (MIT): 55,000 pictures to train on, the last 5,000 of the training set to validate, 10,000 to test."""
import gzip

import numpy as np

from fetch_data import DATA

FOLDER = DATA / "dataset-fashion-mnist/usr/share/datasets/fashion-mnist"
FILES = {"train": "train", "val": "train", "test": "t10k"}


def idx(name, header):
    with gzip.open(FOLDER / name) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def load(split):
    """(u8 [N, 28, 28], u8 [N])."""
    stem = FILES[split]
    pictures = idx(f"{stem}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    labels = idx(f"{stem}-labels-idx1-ubyte.gz", 8)
    part = {"train": np.s_[:55000], "val": np.s_[55000:], "test": np.s_[:]}[split]
    return pictures[part], labels[part]
