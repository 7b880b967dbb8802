"""Train one mask net: a logit per cell of 8x8 pixels, "is a tenth of this cell blurred?".

    python3 train_mask.py --frames 1 --name mask          from the image alone
    python3 train_mask.py --frames 2 --name mask_previous with the difference to the previous frame as 4th channel

A quarter of each batch shows no motion; for the single image these are partly out of focus, the blur that is most
easily taken for motion. Binary cross-entropy, positives weighted by two; cells that are touched but below a tenth count a quarter.
Each validation names, for a threshold chosen on the validation split for the wanted recall, the active cells as a
multiple of the blurred ones and the active share on pictures without blur.
"""
import argparse

import numpy as np
import torch
import torch.nn.functional as F

import synth
from model import Config, MaskNet, mask_to_cells, with_difference
from training import Average, Crops, Log, Optimiser, save, start, to_tensor

BATCH, CROP, STILL = 16, 128, 4
CELL = Config().cell
LAYERS = {
    1: [[3, 2, 1, 12], [3, 2, 1, 20], [3, 2, 1, 28], [3, 1, 2, 24], [3, 1, 4, 16], [1, 1, 1, 1]],
    2: [[4, 4, 1, 16], [3, 2, 1, 24], [3, 1, 2, 16], [1, 1, 1, 1]],
}
WANTED_RECALL = {1: 0.82, 2: 0.96}


def mask_loss(logits, mask):
    target = mask_to_cells(mask, CELL)
    touched = F.max_pool2d(mask[:, None], CELL)[:, 0]
    weight = torch.where((touched > 0) & (target == 0), 0.25, 1.0)
    positive = torch.tensor(2.0)
    return F.binary_cross_entropy_with_logits(logits, target, weight, pos_weight=positive)


def defocus(pictures):
    """Shallow depth of field: a smooth region of each picture as seen through a disc, the noise put back."""
    radius = float(torch.empty(()).uniform_(1.5, 8))
    reach = int(radius + 1)
    offset = torch.arange(-reach, reach + 1).float()
    disc = (radius + 0.5 - torch.hypot(offset[:, None], offset[None])).clamp(0, 1)
    linear = pictures ** synth.GAMMA
    padded = F.pad(linear, (reach,) * 4, mode="reflect").flatten(0, 1)[:, None]
    soft = F.conv2d(padded, (disc / disc.sum())[None, None]).view_as(pictures)
    region = F.interpolate(torch.randn(len(pictures), 1, 4, 4), pictures.shape[2:], mode="bicubic")
    share = torch.sigmoid(6 * region + torch.empty(len(pictures), 1, 1, 1).uniform_(-4, 6))
    mixed = (linear * (1 - share) + soft * share).clamp(0, 1) ** (1 / synth.GAMMA)
    return (mixed + 0.005 * share * torch.randn_like(mixed)).clamp(0, 1)


@torch.no_grad()
def logits_and_labels(net, data, frames):
    """Cell logits and labels of every sample of a set, [N, h, w] each."""
    logits, labels = [], []
    for blurred, previous, mask in zip(data["blurred"], data["previous"], data["mask"]):
        x = to_tensor(blurred[None])
        logits.append(net(x if frames == 1 else with_difference(x, to_tensor(previous[None])))[0])
        labels.append(mask_to_cells(torch.from_numpy(mask)[None], CELL)[0])
    return torch.stack(logits).numpy(), torch.stack(labels).numpy()


def at_recall(logits, labels, recall):
    """(threshold, active / blurred cells, active share on pictures without blur)."""
    has_blur = labels.any((1, 2))
    threshold = np.quantile(logits[labels > 0], 1 - recall)
    active = logits > threshold
    return threshold, active[has_blur].sum() / labels.sum(), active[~has_blur].mean()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--frames", type=int, choices=(1, 2), required=True)
    arguments.add_argument("--set", default="permissive")
    arguments.add_argument("--name", required=True)
    arguments.add_argument("--steps", type=int, default=6000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments = arguments.parse_args()
    frames = arguments.frames

    crops = Crops(arguments.set, start(arguments.seed))
    val = synth.load("val")
    net, averaged = (MaskNet(2 + frames, LAYERS[frames]) for _ in range(2))
    average = Average(net)
    optimiser = Optimiser(net, arguments.steps, 3e-3, matrix_rate=5e-3)
    log = Log(arguments.name)
    for step in range(1, arguments.steps + 1):
        blurred, _, previous, mask = crops.batch(BATCH, CROP, still=STILL)
        if frames == 1:
            x = torch.cat([blurred[:-STILL], defocus(blurred[-STILL:])])
        else:
            x = with_difference(blurred, previous)
        loss = mask_loss(net(x), mask)
        optimiser.step(loss)
        average.update(net)
        if step % 1000 == 0 or step == arguments.steps:
            averaged.load_state_dict(average.values)
            threshold, ratio, still = at_recall(*logits_and_labels(averaged, val, frames), WANTED_RECALL[frames])
            log.add(step=step, loss=round(loss.item(), 4), val_threshold=round(float(threshold), 3),
                    val_active_ratio=round(float(ratio), 3), val_active_still=round(float(still), 4))
            save(arguments.name, LAYERS[frames], average.values)


if __name__ == "__main__":
    main()
