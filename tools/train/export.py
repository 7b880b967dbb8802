"""Join trained parts into weights/NAME.{safetensors,toml}; thresholds are chosen on the validation split.

    python3 export.py cells lmdvit-t16 --restorer restorer --mask mask --mask-previous mask_previous
    python3 export.py predictors lmdvit-t16-predictors --restorer predictors
    python3 export.py motion lmdvit-t16-motion --restorer motion_fourth --mask-of lmdvit-t16

The last takes the mask net for two frames, with its threshold, from weights that were exported before.
"""
import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import safetensors_io
import synth
from model import Config, MaskNet, dilate
from train_mask import logits_and_labels
from training import load

WEIGHTS = Path(__file__).resolve().parent / "weights"
# Asked for on the validation split. With two frames the last per cent cost little, so we ask for more than 0.95.
RECALL = {1: 0.80, 2: 0.99}


def choose(logits, labels, recall):
    """(threshold, dilation) with the wanted recall and the fewest active cells in all pictures."""
    has_blur = labels.any((1, 2))
    best = None
    for by in (0, 1):
        reach = dilate(torch.from_numpy(logits), by).numpy()  # dilation = maximum filter of the logits
        threshold = float(np.quantile(reach[labels > 0], 1 - recall))
        active = reach > threshold
        ratio = active[has_blur].sum() / labels.sum()
        still = active[~has_blur].mean()
        print(f"dilate {by}: threshold {threshold:.2f}, active/blurred {ratio:.2f}, still {still:.3f}")
        if best is None or active.sum() < best[0]:
            best = active.sum(), round(threshold, 2), by
    return best[1:]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("decision", choices=("cells", "predictors", "motion"))
    arguments.add_argument("name")
    arguments.add_argument("--restorer", required=True)
    arguments.add_argument("--mask")
    arguments.add_argument("--mask-previous")
    arguments.add_argument("--mask-of")
    arguments = arguments.parse_args()

    run = load(arguments.restorer)
    config, tensors = run["config"], {}
    if arguments.decision == "cells":
        val = synth.load("val")
        for frames, name, prefix in ((1, arguments.mask, "mask"), (2, arguments.mask_previous, "mask_previous")):
            part = load(name)
            net = MaskNet(2 + frames, part["config"])
            net.load_state_dict(part["weights"])
            threshold, by = choose(*logits_and_labels(net, val, frames), RECALL[frames])
            tensors.update({f"{prefix}.{k}": v for k, v in part["weights"].items()})
            config = (replace(config, layers=part["config"], threshold=threshold, dilate=by) if frames == 1 else
                      replace(config, layers_previous=part["config"], threshold_previous=threshold, dilate_previous=by))
    if arguments.decision == "motion":
        other = WEIGHTS / arguments.mask_of
        shipped = Config.read(other.with_suffix(".toml"))
        config = replace(config, layers_previous=shipped.layers_previous,
                         threshold_previous=shipped.threshold_previous, dilate_previous=shipped.dilate_previous)
        found, _ = safetensors_io.read(other.with_suffix(".safetensors"))
        tensors.update({name: torch.from_numpy(value.copy()) for name, value in found.items()
                        if name.startswith("mask_previous.")})
    tensors.update(run["weights"])
    WEIGHTS.mkdir(exist_ok=True)
    config.write(WEIGHTS / f"{arguments.name}.toml", arguments.name)
    safetensors_io.write(WEIGHTS / f"{arguments.name}.safetensors", {k: v.numpy() for k, v in tensors.items()})
    print(f"{arguments.name}: {sum(v.numel() for v in tensors.values())} weights")


if __name__ == "__main__":
    main()
