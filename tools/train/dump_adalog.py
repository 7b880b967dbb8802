"""Dump activations of the small Fashion-MNIST transformer for `scrimp calibrate`.

    python3 dump_adalog.py target/fashion-dump.safetensors
    scrimp calibrate target/fashion-dump.safetensors q.toml --bits 4 --plot curve.svg

32 pictures of the training split; of each block the scores before the softmax and the values, of every head, and GELU's
outputs with the weights behind them. The file stays outside git.
"""
import math
import sys

import numpy as np
import torch
from torch.nn import functional as F

import fashion
import safetensors_io
from export import WEIGHTS
from vit import HEADS, WIDTH, Vit, normalise


def main():
    (out,) = sys.argv[1:]
    state, _ = safetensors_io.read(WEIGHTS / "vit-fashion.safetensors")
    state = {name: torch.from_numpy(array.copy()) for name, array in state.items()}
    pictures = normalise(fashion.load("train")[0][:32])
    tensors = {}
    with torch.no_grad():
        x = F.relu(F.conv2d(pictures[:, None], state["stem1.weight"], state["stem1.bias"], 2, 1))
        x = F.conv2d(x, state["stem2.weight"], state["stem2.bias"], 2, 1).flatten(2).transpose(1, 2)
        x = torch.cat([state["class_token"].expand(len(x), -1, -1), x], 1) + state["position"]
        for name, block in enumerate(Vit().blocks):
            prefix = f"blocks.{name}."
            block.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
            count, tokens, _ = x.shape
            q, k, v = block.qkv(block.norm1(x)).view(count, tokens, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
            scores = q @ k.transpose(-1, -2) / math.sqrt(WIDTH // HEADS)
            tensors[f"{prefix}attention.scores"] = scores.reshape(-1, tokens, tokens).numpy()
            tensors[f"{prefix}attention.values"] = v.reshape(-1, tokens, WIDTH // HEADS).numpy()
            x = x + block.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(count, tokens, WIDTH))
            hidden = F.gelu(block.fc1(block.norm2(x)))
            tensors[f"{prefix}fc2.gelu"] = hidden.reshape(-1, hidden.shape[-1]).numpy()
            tensors[f"{prefix}fc2.weight"] = block.fc2.weight.detach().numpy()
            x = x + block.fc2(hidden)
    safetensors_io.write(out, {name: np.ascontiguousarray(array, np.float32) for name, array in tensors.items()})


if __name__ == "__main__":
    main()
