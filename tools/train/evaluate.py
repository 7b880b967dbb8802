"""Quality of the exported weights on the test split: one run, the shipped thresholds, everything on u8 pictures.

    python3 evaluate.py              prints the table and writes tests/expected/deblur_quality.json
    python3 evaluate.py NAME...      the same for these weights; the others keep their figures

Photos and cut-outs of the test split were used neither in training nor for a threshold. Recall, precision and active
cells are counted over all cells of the split; a cell counts as truly blurred when a tenth of its pixels is. For the
predictor form a cell counts as active when a level-0 block computed a window that holds it.
"""
import argparse
import json
import platform
from pathlib import Path

import numpy as np
import torch

import measure
import safetensors_io
import synth
from model import Config, LmdVit, mask_to_cells
from training import to_tensor

HERE = Path(__file__).resolve().parent
WEIGHTS = HERE / "weights"
REPORT = HERE.parents[1] / "tests" / "expected" / "deblur_quality.json"
SEED = 3  # of the test split, in synth.py


def read_net(path):
    config = Config.read(path.with_suffix(".toml"))
    net = LmdVit(config)
    tensors, _ = safetensors_io.read(path)
    net.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in tensors.items()})
    return net


def computed_cells(net, trace):
    """The active cells of a run, [h, w]; for predictors those in a window that a level-0 block computed."""
    if net.config.decision == "cells":
        return trace["cells"][0].numpy()
    found = 0
    for name, windows in trace.items():
        if name.endswith(".windows") and net.config.level(int(name[5:name.index(".")])) == 0:
            cells = windows.repeat_interleave(2, 1).repeat_interleave(2, 2)
            shifted = int(name.split("block")[1].split(".")[0]) % 2
            found = torch.maximum(torch.as_tensor(found), torch.roll(cells, (shifted, shifted), (1, 2)))
    return found[0].numpy()


def run_macs(net, trace, frames, policy):
    """Multiply-accumulates per pixel of one run, counted from its decisions."""
    config = net.config
    total = 0.0
    if policy == "own" and config.decision == "cells":
        total = measure.mask_macs(3, config.layers) if frames == 1 else measure.mask_macs(4, config.layers_previous)
        if not trace["cells"].any():
            return total
    share = lambda stage, block: float(trace[f"stage{stage}.block{block}.windows"].mean())
    moving = float(trace["cells"].mean()) if config.motion else 1.0
    return total + measure.network_macs(config, share, policy == "own" and config.decision == "predictors", moving)


def run(net, sample, frames, policy):
    """(u8 output, active cells, MACs per pixel) of one sample."""
    blurred = to_tensor(sample["blurred"][None])
    previous = to_tensor(sample["previous"][None]) if frames == 2 else None
    chosen = mask_to_cells(torch.from_numpy(sample["mask"])[None], net.config.cell) if policy == "true" else policy
    trace = {}
    out = measure.to_u8(net(blurred, previous, chosen, trace))[0]
    return out, computed_cells(net, trace), run_macs(net, trace, frames, policy)


def quality(net, data, frames, policy):
    """All figures of one mode; pictures without blur come last in the set and count only as `still`."""
    figures = {name: [] for name in ("before", "after", "whole", "macs", "still", "length")}
    hits = truth = active_total = outside = 0
    for i in range(len(data["mask"])):
        sample = {field: values[i] for field, values in data.items()}
        if not sample["mask"].any():
            if policy == "own":
                figures["still"].append(run(net, sample, frames, policy)[1].mean())
            continue
        out, active, macs = run(net, sample, frames, policy)
        before, mask, sharp = sample["blurred"], sample["mask"], sample["sharp"]
        labels = mask_to_cells(torch.from_numpy(mask)[None], net.config.cell)[0].numpy()
        figures["before"].append(measure.psnr(before, sharp, mask))
        figures["after"].append(measure.psnr(out, sharp, mask))
        figures["whole"].append(measure.psnr(out, sharp) - measure.psnr(before, sharp))
        figures["macs"].append(macs)
        figures["length"].append(sample["length"])
        hits, truth, active_total = hits + (active * labels).sum(), truth + labels.sum(), active_total + active.sum()
        inside = np.kron(active, np.ones((net.config.cell,) * 2)) > 0
        outside += int((out != before).any(-1)[~inside].sum())
    before, after, whole = (np.array(figures[name]) for name in ("before", "after", "whole"))
    dense = measure.network_macs(net.config, lambda stage, block: 1.0)
    length = np.array(figures["length"])
    bins = {"4-8": length < 8, "8-12": (length >= 8) & (length < 12), "12-16": length >= 12}
    result = {
        "cases": len(before),
        "psnr_blur_before_db": before.mean(),
        "psnr_blur_after_db": after.mean(),
        "gain_blur_db": (after - before).mean(),
        "gain_blur_db_by_path_length": {name: (after - before)[chosen].mean() for name, chosen in bins.items()},
        "whole_image_change_db": whole.mean(),
        "share_falling_over_0_1_db": (whole < -0.1).mean(),
        "cell_recall": hits / truth,
        "cell_precision": hits / max(active_total, 1),
        "active_over_blurred_cells": active_total / truth,
        "mac_per_pixel": np.mean(figures["macs"]),
        "mac_ratio_to_all": np.mean(figures["macs"]) / dense,
        "changed_pixels_outside_active_cells": outside,
    }
    if figures["still"]:
        result["active_share_without_blur"] = np.mean(figures["still"])
    return rounded(result)


def rounded(value):
    if isinstance(value, dict):
        return {name: rounded(v) for name, v in value.items()}
    return value if isinstance(value, int) else round(float(value), 4)


def modes(net):
    if net.config.motion:
        return {"two_frame_own": (2, "own"), "true_mask": (2, "true"), "all": (2, "all")}
    if net.config.decision == "predictors":
        return {"own": (1, "own"), "true_mask": (1, "true"), "all": (1, "all")}
    return {"single_own": (1, "own"), "two_frame_own": (2, "own"), "true_mask": (1, "true"), "all": (1, "all")}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("names", nargs="*", help="weights to evaluate; default: every deblurring network in weights/")
    arguments.add_argument("--split", default="test")
    arguments.add_argument("--no-report", action="store_true", help="print only")
    arguments = arguments.parse_args()
    torch.set_num_threads(1)
    data = synth.load(arguments.split)
    names = arguments.names or sorted(path.stem for path in WEIGHTS.glob("lmdvit*.safetensors"))
    report = {
        "command": "python3 tools/train/evaluate.py", "split": arguments.split, "seed": SEED,
        "python": platform.python_version(),
        "psnr_blur": "-10 log10 of the mean squared error over the mask's pixels of u8 pictures, averaged over cases",
        "forms": {},
    }
    if arguments.names and REPORT.exists():
        report["forms"] = json.loads(REPORT.read_text())["forms"]
    print(f"{'form':34} {'gain dB':>8} {'whole dB':>9} {'fall':>6} {'recall':>7} {'prec.':>6} {'act/true':>9} "
          f"{'still':>6} {'MAC':>6} {'outside':>8}")
    for name in names:
        net = read_net(WEIGHTS / f"{name}.safetensors")
        weights = sum(p.numel() for p in net.parameters())
        found = report["forms"][name] = {"weights": weights, "machine": cpu_name(), "torch": torch.__version__, "modes": {}}
        for mode, (frames, policy) in modes(net).items():
            q = found["modes"][mode] = quality(net, data, frames, policy)
            print(f"{name + ' ' + mode:34} {q['gain_blur_db']:8.2f} {q['whole_image_change_db']:9.2f} "
                  f"{q['share_falling_over_0_1_db']:6.3f} {q['cell_recall']:7.3f} {q['cell_precision']:6.3f} "
                  f"{q['active_over_blurred_cells']:9.2f} {q.get('active_share_without_blur', float('nan')):6.3f} "
                  f"{q['mac_ratio_to_all']:6.2f} {q['changed_pixels_outside_active_cells']:8d}", flush=True)
    if not arguments.no_report:
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(json.dumps(report, indent=1) + "\n")


def cpu_name():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


if __name__ == "__main__":
    main()
