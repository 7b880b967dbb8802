"""Golden vectors for the Rust inference: random networks run by `model.py`, every intermediate written down.

    python3 golden.py         writes tests/vectors/lmdvit/NAME.{toml,safetensors}

A file holds the weights as `net/...` and per case, channels last,
    image, previous        u8 [H, W, 3]; `previous` only in two-frame cases
    vectors                i32 [groups, 2], only of a network with motion: displacements in sixteenths of a pixel
    given_cells            u8 cell map; only where the policy is "cells"
    cell_logits, cells     f32 and u8, of the padded picture
    in_proj, stage{k}.block{b}                  f32 [h, w, C]
    stage{k}.block{b}.windows                   u8 [h/M, w/M], the window grid of the rolled map
    stage{k}.predictor{b}                       f32 [h, w, 2]
                           these three only in the first two cases of a file
    output, output_all     f32 [H, W, 3], not clamped; `output_all` with every window and cell active
and in `__metadata__` the list of cases: policy ("own" or "cells") and frames (1 or 2).
No decision is nearer to its threshold than 0.001, so that rounding cannot turn it.
"""
import json
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

import safetensors_io
from model import Config, LmdVit

TARGET = Path(__file__).resolve().parents[2] / "tests" / "vectors" / "lmdvit"
MARGIN = 1e-3

PAPER = Config(space_to_depth=1, widths=[8, 16, 32], depths=[1, 2, 2, 2, 1], heads=[1, 2, 4, 4, 2], ffn_ratio=4,
               skip="concat", down_kernel=4, in_slope=0.01, leff_padding="reflect", modulator=True, gate=True,
               decision="predictors")
CELLS = Config(widths=[8, 16], depths=[2, 1, 2], heads=[1, 2, 1], dilate_previous=1,
               layers=[[4, 4, 1, 8], [3, 2, 1, 12], [3, 1, 2, 8], [1, 1, 1, 1]],
               layers_previous=[[2, 2, 1, 6], [3, 2, 1, 8], [2, 2, 1, 8], [3, 1, 1, 1]])
ODD = Config(space_to_depth=1, widths=[6, 12, 20], depths=[1, 1, 3, 2, 2], heads=[1, 3, 5, 2, 3], window=4,
             ffn_ratio=3, skip="concat", layers=[[3, 2, 1, 5], [3, 1, 2, 6], [1, 1, 1, 1]])
MINI = Config(space_to_depth=1, widths=[3], depths=[2], heads=[1], window=4, ffn_ratio=1,
              layers=[[2, 2, 1, 2], [3, 1, 1, 1]])
MINI_PREDICTORS = Config(space_to_depth=1, widths=[4], depths=[1], heads=[2], window=4, ffn_ratio=1, in_slope=0.01,
                         leff_padding="reflect", gate=True, decision="predictors")

MOTION = Config(widths=[8, 16], depths=[2, 1, 2], heads=[1, 2, 1], motion=True,
                layers_previous=[[4, 4, 1, 8], [3, 2, 1, 12], [1, 1, 1, 1]])

FULL_CASES = 2  # the first cases of a file carry every intermediate, the others decisions and outputs

# name -> network and its cases (height, width, frames, policy)
NETS = {
    "paper": (PAPER, [(32, 32, 1, "own"), (64, 96, 1, "own"), (40, 50, 1, "own"), (32, 32, 1, "cells")]),
    "cells": (CELLS, [(32, 32, 2, "own"), (64, 96, 1, "own"), (32, 32, 1, "own"), (64, 96, 2, "own"),
                      (64, 96, 1, "cells")]),
    "odd": (ODD, [(20, 28, 1, "own"), (33, 50, 1, "own")]),
    "motion": (MOTION, [(64, 96, 2, "own"), (52, 75, 2, "own"), (96, 64, 2, "cells")]),
    "mini": (MINI, [(16, 16, 1, "own")]),
    "mini_predictors": (MINI_PREDICTORS, [(16, 16, 1, "own")]),
}


def random_picture(rng, height, width):
    """Smooth structure at two scales plus noise, u8 [H, W, 3]."""
    smooth = [gaussian_filter(rng.standard_normal((height, width, 3)), (s, s, 0), mode="wrap") for s in (6, 1.5)]
    mixed = sum(0.2 * part / part.std() for part in smooth) + 0.03 * rng.standard_normal((height, width, 3))
    return np.clip((mixed + 0.5) * 255, 0, 255).astype(np.uint8)


def moved(rng, picture):
    """The frame before: two pieces of the picture stood elsewhere, and its noise is new."""
    before = picture.astype(np.int32) + rng.integers(-2, 3, picture.shape)
    height, width = picture.shape[:2]
    for top, left, dy, dx in ((8, 10, 5, -7), (height // 2, width // 2, -3, 6)):
        h, w = height // 4, width // 4
        before[top + dy:top + dy + h, left + dx:left + dx + w] = picture[top:top + h, left:left + w]
    return np.clip(before, 0, 255).astype(np.uint8)


def randomise(net, generator):
    """Weights of a size that keeps features near one and makes every parameter count."""
    for name, p in net.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        if "norm" in name:
            p.data = 0.2 * noise + (1.0 if name.endswith("weight") else 0.0)
        elif name.endswith(("position_bias", "modulator")):
            p.data = 0.4 * noise
        elif name.endswith("bias"):
            p.data = 0.2 * noise
        else:
            # ConvTranspose2d stores [in, out, k, k] and every output pixel has one source; the others [out, in, ...]
            fan_in = p.shape[0] if name.startswith("ups") else p[0].numel()
            p.data = noise * fan_in ** -0.5
        if name.endswith("fc3.weight"):  # else the map's mean decides for all windows of a picture alike
            p.data[:, p.shape[1] // 2:] *= 0.2
    net.out_proj.weight.data *= 0.3


def to_tensor(picture):
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255


def spread_decisions(net, pictures):
    """Move each predictor's last layer so that about half of the windows of all pictures are active."""
    for k, stage in enumerate(net.stages):
        for b, predictor in enumerate(stage.predictors):
            differences = []
            for picture in pictures:
                trace = {}
                net(to_tensor(picture), trace=trace)
                mean = trace[f"stage{k}.window_logits{b}"]
                differences.append((mean[..., 0] - mean[..., 1]).flatten())
            difference = torch.cat(differences)
            scale = float(1 / difference.std())
            predictor.fc5.weight.data *= scale
            predictor.fc5.bias.data *= scale
            predictor.fc5.bias.data[0] -= float(difference.mean()) * scale


def set_thresholds(net, cases, pictures, previous):
    """About two cells in five are active."""
    def logits(frames):
        found = []
        for case, picture, before in zip(cases, pictures, previous):
            if case[2] == frames:
                trace = {}
                net(to_tensor(picture), to_tensor(before) if frames == 2 else None, trace=trace)
                found.append(trace["cell_logits"].flatten())
        return torch.cat(found)
    if net.config.layers:
        net.config.threshold = round(float(logits(1).quantile(0.6)), 2)
    if net.config.layers_previous:
        net.config.threshold_previous = round(float(logits(2).quantile(0.8)), 2)


def margin(config, trace, frames):
    """Smallest distance of a decision from its threshold."""
    distances = [1.0]
    if "cell_logits" in trace:
        threshold = config.threshold if frames == 1 else config.threshold_previous
        distances.append(float((trace["cell_logits"] - threshold).abs().min()))
    for name, value in trace.items():
        if "window_logits" in name:
            distances.append(float((value[..., 0] - value[..., 1]).abs().min()))
    return min(distances)


def case_tensors(net, case, picture, before, given, full):
    """(tensors of a case, margin of its decisions)."""
    frames, policy = case[2:]
    image, previous = to_tensor(picture), to_tensor(before) if frames == 2 else None
    trace = {}
    output = net(image, previous, "own" if policy == "own" else torch.from_numpy(given)[None], trace)
    tensors = {"image": picture, "output": output[0].permute(1, 2, 0).numpy()}
    if frames == 2:
        tensors["previous"] = before
    if policy == "cells":
        tensors["given_cells"] = given
    for name, value in trace.items():
        value = value[0].numpy()
        if name == "vectors":
            tensors[name] = value[1:]
        elif name == "cells" or name.endswith("windows"):
            tensors[name] = value.astype(np.uint8)
        elif name == "cell_logits" or (full and "window_logits" not in name):
            tensors[name] = value
    tensors["output_all"] = net(image, previous if net.config.motion else None, "all")[0].permute(1, 2, 0).numpy()
    return tensors, margin(net.config, trace, frames)


def attempt(config, cases, seed):
    """Everything of one file, or None where a decision is too close to its threshold."""
    rng = np.random.default_rng(seed)
    net = LmdVit(config)
    randomise(net, torch.Generator().manual_seed(seed))
    pictures = [random_picture(rng, *case[:2]) for case in cases]
    previous = []
    for picture in pictures:
        before = picture.copy()
        h, w = picture.shape[0] // 2, picture.shape[1] // 2
        before[:h, :w] = random_picture(rng, h, w)
        previous.append(moved(rng, picture) if config.motion else before)
    if config.decision == "cells":
        set_thresholds(net, cases, pictures, previous)
    else:
        spread_decisions(net, pictures)
    tensors = {f"net/{name}": value.numpy() for name, value in net.state_dict().items()}
    for i, case in enumerate(cases):
        grid = [-(-side // config.multiple) * config.multiple // config.cell for side in case[:2]]
        given = (rng.random(grid) < 0.15).astype(np.uint8)
        found, distance = case_tensors(net, case, pictures[i], previous[i], given, i < FULL_CASES)
        if distance < MARGIN:
            return None
        tensors.update({f"case{i}/{name}": value for name, value in found.items()})
    return tensors


def main():
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, (config, cases) in NETS.items():
        seed = 1
        while (tensors := attempt(config, cases, seed)) is None:
            seed += 1
        config.write(TARGET / f"{name}.toml", name)
        listed = [{"policy": policy, "frames": frames} for _, _, frames, policy in cases]
        safetensors_io.write(TARGET / f"{name}.safetensors", tensors, {"cases": json.dumps(listed), "seed": str(seed)})
        windows = np.concatenate([v.ravel() for n, v in tensors.items() if n.endswith("windows")])
        weights = sum(v.size for n, v in tensors.items() if n.startswith("net/"))
        print(f"{name}: seed {seed}, {weights} weights, {len(windows)} window decisions, {windows.mean():.2f} active")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
