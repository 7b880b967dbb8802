"""What the training scripts share: batches from a set in memory, parameter average, learning rate, log."""
import csv
import random
import time
from math import cos, pi
from pathlib import Path

import numpy as np
import torch

import synth
from fetch_data import DATA
from muon import Muon

RUNS = DATA / "runs"
RESULTS = Path(__file__).resolve().parent / "results"


def start(seed):
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # tiny gradients would slow the CPU down tenfold
    torch.manual_seed(seed)
    random.seed(seed)
    return np.random.default_rng(seed)


def to_tensor(pictures):
    """u8 [B, H, W, 3] -> f32 [B, 3, H, W] in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255


class Crops:
    """Random crops of the samples of training sets; flips, transposition, brightness, colour order."""

    def __init__(self, names, rng):
        sets = [synth.load(name) for name in names.split(",")]
        self.data = {field: np.concatenate([one[field] for one in sets]) for field in sets[0]}
        self.rng = rng
        blurred = self.data["mask"].any((1, 2))
        self.with_blur, self.still = np.flatnonzero(blurred), np.flatnonzero(~blurred)

    def batch(self, count, size, on_blur=0, still=0):
        """The first `on_blur` crops lie round a blurred pixel, the last `still` ones are of samples without motion."""
        rng, data = self.rng, self.data
        full = data["mask"].shape[1]
        crops = []
        for i in range(count):
            centred = i < on_blur
            if centred or i >= count - still:
                n = rng.choice(self.with_blur if centred else self.still)
            else:
                n = rng.integers(len(data["mask"]))
            y, x = rng.integers(0, full - size + 1, 2)
            if centred:
                spots = np.argwhere(data["mask"][n])
                spot = spots[rng.integers(len(spots))] - rng.integers(size // 4, size - size // 4 + 1, 2)
                y, x = np.clip(spot, 0, full - size)
            window = np.s_[n, y:y + size, x:x + size]
            crop = [data[f][window] for f in ("blurred", "sharp", "previous")] + [data["mask"][window][..., None]]
            crops.append(augment(rng, np.concatenate(crop, -1)))
        blurred, sharp, previous, mask = np.split(np.stack(crops), (3, 6, 9), -1)
        gain = torch.from_numpy(rng.uniform(0.6, 1.15, (count, 1, 1, 1)).astype(np.float32))
        pictures = [(to_tensor(p) * gain).clamp(max=1) for p in (blurred, sharp, previous)]
        return *pictures, torch.from_numpy(np.ascontiguousarray(mask[..., 0])).float()


def augment(rng, stacked):
    if rng.random() < 0.5:
        stacked = stacked[::-1]
    if rng.random() < 0.5:
        stacked = stacked[:, ::-1]
    if rng.random() < 0.5:
        stacked = stacked.transpose(1, 0, 2)
    order = rng.permutation(3)
    return stacked[..., [*order, *order + 3, *order + 6, 9]]


class Average:
    """Exponential average of the parameters; the averaged network is what is validated and shipped."""

    def __init__(self, net, decay=0.999):
        self.decay, self.count = decay, 0
        self.values = {k: v.clone() for k, v in net.state_dict().items()}

    @torch.no_grad()
    def update(self, net):
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        for k, v in net.state_dict().items():
            if v.is_floating_point():
                self.values[k].lerp_(v, 1 - decay)


class Optimiser:
    """Fixed number of steps: 200 of warm-up, then a cosine down to a hundredth; gradients clipped to norm 1.

    With `matrix_rate` the matrices inside the network go through Muon, the rest through AdamW.
    """

    def __init__(self, net, steps, rate, matrix_rate=None):
        self.net = net
        matrices = [p for n, p in net.named_parameters() if matrix_rate and is_matrix(n, p)]
        chosen = {id(p) for p in matrices}
        parts = [torch.optim.AdamW([p for p in net.parameters() if id(p) not in chosen], rate)]
        if matrices:
            parts.append(Muon(matrices, matrix_rate))
        shape = lambda step: min(step / 200, 1) * (0.505 + 0.495 * cos(pi * max(0, step - 200) / (steps - 200)))
        self.parts = [(part, torch.optim.lr_scheduler.LambdaLR(part, lambda n: shape(n + 1))) for part in parts]

    def step(self, loss):
        self.net.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        for part, schedule in self.parts:
            part.step()
            schedule.step()


def is_matrix(name, parameter):
    """Linear layers and dense convolutions between features; not tables, not depthwise, not the zero-born out-proj."""
    return parameter.dim() >= 2 and not any(part in name for part in ("position_bias", "depthwise", "out_proj"))


class Log:
    """One CSV row per validation, with the CPU seconds of this process."""

    def __init__(self, name):
        RESULTS.mkdir(exist_ok=True)
        self.path = RESULTS / f"{name}.csv"
        self.rows = []

    def add(self, **row):
        self.rows.append({**row, "cpu_seconds": round(time.process_time())})
        with open(self.path, "w", newline="") as file:
            writer = csv.DictWriter(file, self.rows[0])
            writer.writeheader()
            writer.writerows(self.rows)
        print(", ".join(f"{k} {v}" for k, v in self.rows[-1].items()), flush=True)


def save(name, config, values):
    """Weights after a validation; written beside and moved, so that a reader never sees half a file."""
    RUNS.mkdir(parents=True, exist_ok=True)
    torch.save({"config": config, "weights": values}, RUNS / f"{name}.partial")
    (RUNS / f"{name}.partial").replace(RUNS / f"{name}.pt")


def load(name):
    """{"config", "weights"} of a run."""
    return torch.load(RUNS / f"{name}.pt", **({"weights_only": False} if torch.__version__ >= "2" else {}))
