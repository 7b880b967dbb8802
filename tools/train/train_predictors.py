"""Train the paper's form on the same small shape: every stage predicts its windows from its own features.

    python3 train_predictors.py --name predictors --start-from restorer_first --steps 2000

The blocks begin with the weights of the first run of the mask-first restorer.
Decisions are sampled in the loop (Gumbel softmax at temperature 1, hard, straight through), so a predictor learns
behind the decisions of the earlier ones. Pruning loss: cross-entropy of each window's confidence against "holds a
blurred cell", positives weighted by two, mean over the predictors. The residual is not masked. A quarter of the steps
runs with everything active; half of the steps see whole 128x128 pictures, since the predictors average over the map.
"""
import argparse
from dataclasses import replace

import torch
import torch.nn.functional as F

import measure
import synth
from model import LmdVit, cells_to_windows, mask_to_cells, window_logits
from train_restorer import CONFIG, decibel_loss
from training import Average, Crops, Log, Optimiser, load, save, start, to_tensor

PREDICTORS = replace(CONFIG, decision="predictors")
PRUNING_WEIGHT = 2.0


def sampled(net, everything):
    """A `decide` for training and the list it fills with (level, shifted, window logits)."""
    made, seen = {}, []

    def decide(stage, block, x):
        shifted = block % 2 == 1
        if block < 2:
            shift = net.config.window // 2 if shifted else 0
            logits = window_logits(net.stages[stage].predictors[block](x), net.config.window, shift)
            seen.append((net.config.level(stage), shifted, logits))
            keep = F.gumbel_softmax(logits, hard=True)[..., 0]
            made[stage, shifted] = torch.ones_like(keep) if everything else keep
        return made[stage, shifted]
    return decide, seen


def pruning_loss(seen, cells):
    losses = []
    for level, shifted, logits in seen:
        prune = 1 - cells_to_windows(cells, level, shifted).long()
        losses.append(F.cross_entropy(logits.flatten(0, 2), prune.flatten(), torch.tensor([2.0, 1.0])))
    return torch.stack(losses).mean()


@torch.no_grad()
def validate(net, data, count=48):
    """Gain in dB inside the blur and of the whole picture, and the share of active level-0 windows, own decisions."""
    gains, whole, active = [], [], []
    for mask, sharp, blurred in zip(*(data[f][:count] for f in ("mask", "sharp", "blurred"))):
        trace = {}
        out = measure.to_u8(net(to_tensor(blurred[None]), trace=trace))[0]
        gains.append(measure.psnr(out, sharp, mask) - measure.psnr(blurred, sharp, mask))
        whole.append(measure.psnr(out, sharp) - measure.psnr(blurred, sharp))
        active.append(float(trace["stage0.block0.windows"].mean()))
    return sum(gains) / count, sum(whole) / count, sum(active) / count


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--set", default="permissive")
    arguments.add_argument("--name", default="predictors")
    arguments.add_argument("--steps", type=int, default=2000)
    arguments.add_argument("--start-from", default="restorer_first")
    arguments.add_argument("--seed", type=int, default=1)
    arguments = arguments.parse_args()

    crops = Crops(arguments.set, start(arguments.seed))
    val = synth.load("val")
    net, averaged = LmdVit(PREDICTORS), LmdVit(PREDICTORS)
    net.load_state_dict(load(arguments.start_from)["weights"], strict=False)  # the predictors stay fresh
    average = Average(net)
    optimiser = Optimiser(net, arguments.steps, 3e-3, matrix_rate=5e-3)
    log = Log(arguments.name)
    for step in range(1, arguments.steps + 1):
        blurred, sharp, _, mask = crops.batch(8, 64, 7) if step % 2 else crops.batch(2, 128, 1)
        decide, seen = sampled(net, everything=step % 8 < 2)
        out = blurred + net.restore(blurred, decide, training=True)
        loss = decibel_loss(out, sharp, mask, torch.ones_like(mask))
        loss = loss + PRUNING_WEIGHT * pruning_loss(seen, mask_to_cells(mask, PREDICTORS.cell))
        optimiser.step(loss)
        average.update(net)
        if step % 1000 == 0 or step == arguments.steps:
            averaged.load_state_dict(average.values)
            inside, whole, active = validate(averaged, val)
            log.add(step=step, loss=round(loss.item(), 3), val_gain_db=round(inside, 3), val_whole_db=round(whole, 3),
                    val_active=round(active, 3))
            save(arguments.name, PREDICTORS, average.values)


if __name__ == "__main__":
    main()
