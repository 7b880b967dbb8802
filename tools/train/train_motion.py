"""Train the restorer that is fed with samples along the motion (`motion.py`), for two frames.

    python3 train_motion.py --name motion_first --steps 2600

As `train_restorer.py` (Charbonnier distance, cells made of the true mask), but the samples are taken from the whole
picture before it is cropped. The motion that the network is told is the true one with noise: 0.3 pixels, and a
random one in 4 % of the samples; the shutter is off by 5 %. Validation estimates the motion as the device does, with
the true cells.
"""
import argparse
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

import measure
import motion
import synth
from model import Config, LmdVit, mask_to_cells
from train_restorer import charbonnier_loss, training_cells
from training import Average, Log, Optimiser, load, save, start, to_tensor

CONFIG = Config(widths=[16, 32, 48], heads=[1, 2, 3, 2, 1], motion=True)
CELL = CONFIG.cell


class MotionCrops:
    """Whole samples, augmented, and the corner of a crop in each."""

    def __init__(self, names, rng):
        sets = [synth.load(name) for name in names.split(",")]
        self.data = {field: np.concatenate([one[field] for one in sets]) for field in synth.MOTION_FIELDS}
        self.rng = rng
        self.with_blur = np.flatnonzero(self.data["mask"].any((1, 2)))

    def batch(self, count, size, on_blur):
        rng, data = self.rng, self.data
        full = data["mask"].shape[1]
        pictures, velocities, corners = [], [], []
        for i in range(count):
            n = rng.choice(self.with_blur) if i < on_blur else rng.integers(len(data["mask"]))
            fields = [data[f][n] for f in ("blurred", "sharp", "previous")] + [data["owner"][n][..., None]]
            stacked, velocity = augment(rng, np.concatenate(fields, -1), data["velocity"][n])
            y, x = rng.integers(0, full - size + 1, 2)
            if i < on_blur:
                spots = np.argwhere(stacked[..., 9])
                spot = spots[rng.integers(len(spots))] - rng.integers(size // 4, size - size // 4 + 1, 2)
                y, x = np.clip(spot, 0, full - size)
            pictures.append(stacked)
            velocities.append(velocity)
            corners.append((y, x, data["shutter"][n]))
        blurred, sharp, previous, owner = np.split(np.stack(pictures), (3, 6, 9), -1)
        gain = torch.from_numpy(rng.uniform(0.6, 1.15, (count, 1, 1, 1)).astype(np.float32))
        pictures = [(to_tensor(p) * gain).clamp(max=1) for p in (blurred, sharp, previous)]
        owner = torch.from_numpy(np.ascontiguousarray(owner[..., 0]))
        return *pictures, owner, torch.tensor(np.stack(velocities)), np.array(corners)


def augment(rng, stacked, velocity):
    velocity = velocity.copy()
    for axis in (0, 1):
        if rng.random() < 0.5:
            stacked = np.flip(stacked, axis)
            velocity[:, axis] *= -1
    if rng.random() < 0.5:
        stacked, velocity = stacked.transpose(1, 0, 2), velocity[:, ::-1]
    order = rng.permutation(3)
    return stacked[..., [*order, *order + 3, *order + 6, 9]], velocity


def told_motion(owner, velocity, shutter, cells):
    """(displacement, blur) as the network is told them, [B, 2, h, w] a cell: of the cell's mover, else of the crop's main one."""
    counts = torch.stack([F.avg_pool2d((owner == k).float()[:, None], CELL)[:, 0] for k in (1, 2)], 1)
    main = counts.sum((2, 3), keepdim=True)
    second = torch.where(counts.sum(1, keepdim=True) > 0, counts[:, 1:] > counts[:, :1], main[:, 1:] > main[:, :1])
    noise = torch.randn(len(velocity), 2, 2) * 0.3
    told = velocity + noise * (velocity != 0).any(-1, keepdim=True)
    length, angle = torch.rand(len(velocity), 1) * 40, torch.rand(len(velocity), 1) * 2 * np.pi
    random = torch.cat([length * angle.sin(), length * angle.cos()], -1)[:, None]
    told = torch.where(torch.rand(len(velocity), 1, 1) < 0.04, random, told)
    told = torch.where(second, told[:, 1, :, None, None], told[:, 0, :, None, None]) * cells[:, None]
    shutter = shutter * torch.exp(torch.randn(len(velocity)) * 0.05)
    return told, told * shutter[:, None, None, None]


def crop(picture, corners, size):
    return torch.stack([p[..., int(y):int(y) + size, int(x):int(x) + size] for p, (y, x, _) in zip(picture, corners)])


def sampled(blurred, previous, corners, told, blur, size):
    """`motion.samples` in floats from whole pictures, for crops of `size`."""
    count, full = len(blurred), blurred.shape[-1]
    told, blur = (m.repeat_interleave(CELL, 2).repeat_interleave(CELL, 3) for m in (told, blur))
    at = torch.arange(size)
    y = torch.tensor(corners[:, 0])[:, None, None] + at[None, :, None]
    x = torch.tensor(corners[:, 1])[:, None, None] + at[None, None, :]
    here = torch.stack(torch.broadcast_tensors(y, x), 1).float()
    out = [None] * len(motion.SAMPLES)
    for from_previous, picture in ((False, blurred), (True, previous)):
        chosen = [i for i, s in enumerate(motion.SAMPLES) if s[0] == from_previous]
        places = torch.cat([here - motion.SAMPLES[i][1] * told + motion.SAMPLES[i][2] / 4 * blur for i in chosen], 2)
        grid = ((places + 0.5) * 2 / full - 1).flip(1).permute(0, 2, 3, 1)
        found = F.grid_sample(picture, grid, padding_mode="border", align_corners=False)
        for i, part in zip(chosen, found.split(size, 2)):
            out[i] = part
    square = blur.square().sum(1, keepdim=True)
    safe = square.clamp(min=1e-9)
    by, bx = blur[:, :1], blur[:, 1:]
    length = square.sqrt() / 16
    return torch.cat([*out, length, (bx * bx - by * by) / safe, 2 * bx * by / safe], 1) - 0.5


@torch.no_grad()
def validate(net, val, prepared, count=24):
    """Gain in dB inside the blur and over the whole picture with the true cells; samples are prepared once."""
    gains, whole = [], []
    for n, i in enumerate(range(0, 48, 48 // count)):
        mask, sharp, blurred = (val[f][i] for f in ("mask", "sharp", "blurred"))
        cells = mask_to_cells(torch.from_numpy(mask)[None], CELL)
        if n == len(prepared):
            labels, vectors = motion.estimate(blurred, val["previous"][i], cells[0].numpy())
            prepared.append(motion.samples(blurred, val["previous"][i], labels, vectors, 128))
        out = measure.to_u8(net.restore_cells(to_tensor(blurred[None]), cells, samples=prepared[n]))[0]
        gains.append(measure.psnr(out, sharp, mask) - measure.psnr(blurred, sharp, mask))
        whole.append(measure.psnr(out, sharp) - measure.psnr(blurred, sharp))
    return sum(gains) / count, sum(whole) / count


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--set", default="motion", help="one set or several with commas between")
    arguments.add_argument("--name", required=True)
    arguments.add_argument("--steps", type=int, required=True)
    arguments.add_argument("--rate", type=float, default=3e-3)
    arguments.add_argument("--start-from")
    arguments.add_argument("--batch", type=int, default=8)
    arguments.add_argument("--crop", type=int, default=64)
    arguments.add_argument("--seed", type=int, default=1)
    arguments = arguments.parse_args()

    crops = MotionCrops(arguments.set, start(arguments.seed))
    val, prepared = synth.load("val"), []
    net, averaged = LmdVit(CONFIG), LmdVit(CONFIG)
    if arguments.start_from:
        net.load_state_dict(load(arguments.start_from)["weights"])
    average = Average(net)
    optimiser = Optimiser(net, arguments.steps, arguments.rate, matrix_rate=arguments.rate * 5 / 3)
    log = Log(arguments.name)
    measured = partial(charbonnier_loss, all_active=0.1)
    for step in range(1, arguments.steps + 1):
        blurred, sharp, previous, owner, velocity, corners = crops.batch(
            arguments.batch, arguments.crop, arguments.batch * 7 // 8)
        cropped = lambda p: crop(p, corners, arguments.crop)
        mask = (cropped(owner) > 0).float()
        cells = training_cells(mask, CELL)
        shutter = torch.tensor(corners[:, 2]).float()
        told, blur = told_motion(cropped(owner), velocity, shutter, cells)
        samples = sampled(blurred, previous, corners, told, blur, arguments.crop)
        out = net.restore_cells(cropped(blurred), cells, True, samples=samples)
        active = cells.repeat_interleave(CELL, 1).repeat_interleave(CELL, 2)
        loss = measured(out, cropped(sharp), mask, active)
        optimiser.step(loss)
        average.update(net)
        if step % 500 == 0 or step == arguments.steps:
            averaged.load_state_dict(average.values)
            inside, whole = validate(averaged, val, prepared)
            log.add(step=step, loss=round(loss.item(), 3), val_gain_db=round(inside, 3), val_whole_db=round(whole, 3))
            save(arguments.name, CONFIG, average.values)


if __name__ == "__main__":
    main()
