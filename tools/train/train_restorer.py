"""Train the mask-first restorer: every block is gated by one cell map, here made from the true blur mask.

    python3 train_restorer.py --name restorer_first --loss charbonnier --steps 11000 --stop 6000

`run_all.sh` has the six runs that the shipped weights come from.

Most runs minimise a Charbonnier distance, which learns faster; two of them the reported figure itself, decibels inside the
blur, with terms that keep the sharp part of active cells as it is.
Policies: 25 % everything active, the others the true cells, sometimes dilated, with stray and missing cells.
"""
import argparse
from functools import partial

import torch

import measure
import synth
from model import Config, LmdVit, dilate, mask_to_cells
from training import Average, Crops, Log, Optimiser, load, save, start, to_tensor

CONFIG = Config(widths=[16, 32, 48], heads=[1, 2, 3, 2, 1])


def training_cells(mask, cell):
    """The cell map of one step."""
    cells = mask_to_cells(mask, cell)
    kind = torch.rand(())
    if kind < 0.25:
        return torch.ones_like(cells)
    if kind < 0.6:
        cells = dilate(cells, 1)
    if kind < 0.8:
        stray = dilate((torch.rand_like(cells) < 0.03).float(), 1)
        missing = (torch.rand_like(cells) < 0.05).float()
        cells = torch.maximum(cells * (1 - missing), stray)
    return cells


def charbonnier_loss(out, sharp, mask, active, all_active):
    """Charbonnier, weight 1 in the blur plus `all_active` in every active cell; `mask` and `active` are [B, H, W]."""
    weight = mask * active + all_active * active
    distance = ((out - sharp).square() + 1e-6).sqrt().mean(1)
    return 20 * (distance * weight).sum() / weight.sum()


def decibel_loss(out, sharp, mask, active):
    """log of the squared error inside the blur + 0.5 log over all active cells + 0.1 log over their sharp part."""
    squares = (out - sharp).square().mean(1)

    def mean(where):
        return (squares * where).sum((1, 2)) / where.sum((1, 2)).clamp(min=1)
    mask = mask * active
    has_blur = (mask.sum((1, 2)) > 16).float()
    inside, everywhere, outside = mean(mask), mean(active), mean(active * (1 - mask))
    return (torch.log(inside + 1e-5) * has_blur + 0.5 * torch.log(everywhere + 1e-5)
            + 0.1 * torch.log(outside + 1e-4)).mean()


LOSSES = {"charbonnier": (partial(charbonnier_loss, all_active=0.1), 7),
          "charbonnier-wide": (partial(charbonnier_loss, all_active=0.3), 6),
          "decibel": (decibel_loss, 6)}  # and crops on blur out of eight


@torch.no_grad()
def validate(net, data, policy="true", count=48):
    """Gain in dB inside the blur and over the whole picture, with the true cells or with all."""
    gains, whole = [], []
    for i in range(0, 48, 48 // count):
        mask, sharp, blurred = (data[f][i] for f in ("mask", "sharp", "blurred"))
        cells = mask_to_cells(torch.from_numpy(mask)[None], net.config.cell) if policy == "true" else policy
        out = measure.to_u8(net(to_tensor(blurred[None]), policy=cells))[0]
        gains.append(measure.psnr(out, sharp, mask) - measure.psnr(blurred, sharp, mask))
        whole.append(measure.psnr(out, sharp) - measure.psnr(blurred, sharp))
    return sum(gains) / count, sum(whole) / count


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--set", default="permissive", help="one set or several with commas between")
    arguments.add_argument("--name", default="restorer")
    arguments.add_argument("--loss", choices=LOSSES, default="decibel")
    arguments.add_argument("--steps", type=int, default=11000, help="length of the learning rate's fall")
    arguments.add_argument("--stop", type=int, help="end after so many steps, before the rate has fallen")
    arguments.add_argument("--rate", type=float, default=3e-3)
    arguments.add_argument("--start-from")
    arguments.add_argument("--batch", type=int, default=8)
    arguments.add_argument("--crop", type=int, default=64, help="64 or 128; 64 never shows whole coarse shifted windows")
    arguments.add_argument("--seed", type=int, default=1)
    arguments = arguments.parse_args()

    crops = Crops(arguments.set, start(arguments.seed))
    val = synth.load("val")
    net = LmdVit(CONFIG)
    averaged = LmdVit(CONFIG)
    if arguments.start_from:
        net.load_state_dict(load(arguments.start_from)["weights"])
    average = Average(net)
    optimiser = Optimiser(net, arguments.steps, arguments.rate, matrix_rate=arguments.rate * 5 / 3)
    log = Log(arguments.name)
    cell = CONFIG.cell
    measured, on_blur = LOSSES[arguments.loss]
    last = arguments.stop or arguments.steps
    for step in range(1, last + 1):
        blurred, sharp, _, mask = crops.batch(arguments.batch, arguments.crop, arguments.batch * on_blur // 8)
        cells = training_cells(mask, cell)
        out = net.restore_cells(blurred, cells)
        active = cells.repeat_interleave(cell, 1).repeat_interleave(cell, 2)
        loss = measured(out, sharp, mask, active)
        optimiser.step(loss)
        average.update(net)
        if step % 500 == 0 or step == last:
            averaged.load_state_dict(average.values)
            inside, whole = validate(averaged, val)
            _, dense = validate(averaged, val, "all", 12)
            log.add(step=step, loss=round(loss.item(), 3), val_gain_db=round(inside, 3),
                    val_whole_db=round(whole, 3), val_whole_all_db=round(dense, 3))
            save(arguments.name, CONFIG, average.values)


if __name__ == "__main__":
    main()
