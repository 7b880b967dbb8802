"""Four test pictures and the f32 logits of the small transformer, for the Rust forward pass: tests/vectors/vit."""
from pathlib import Path

import torch

import fashion
import safetensors_io
from bits import BitsVit
from export import WEIGHTS
from vit import normalise

TARGET = Path(__file__).resolve().parents[2] / "tests/vectors/vit"


def main():
    tensors, _ = safetensors_io.read(WEIGHTS / "vit-fashion.safetensors")
    pictures, _ = fashion.load("test")
    with torch.no_grad():
        logits = BitsVit(tensors)(normalise(pictures[:4]))
    TARGET.mkdir(exist_ok=True)
    safetensors_io.write(TARGET / "fashion.safetensors", {"pictures": pictures[:4], "logits": logits.numpy()})


if __name__ == "__main__":
    main()
