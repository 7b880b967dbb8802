"""Train the small Fashion-MNIST transformer; writes weights/vit-fashion.safetensors and results/vit.csv.

    python3 train_vit.py --epochs 16

AdamW, one-cycle learning rate, label smoothing, flips and shifts, parameter average. The test split is looked at once, at
the end.
"""
import argparse

import numpy as np
import torch
from torch.nn import functional as F

import fashion
import safetensors_io
from export import WEIGHTS
from training import Average, Log, start
from vit import Vit, normalise

BATCH = 250


def accuracy(net, split):
    net.eval()
    pictures, labels = fashion.load(split)
    with torch.no_grad():
        right = [(net(normalise(pictures[i:i + 500])).argmax(1).numpy() == labels[i:i + 500]).sum()
                 for i in range(0, len(labels), 500)]
    net.train()
    return 100 * sum(right) / len(labels)


def augment(rng, pictures):
    """One flip and one shift of up to two pixels for the whole batch."""
    if rng.random() < 0.5:
        pictures = pictures[:, :, ::-1]
    return np.roll(pictures, rng.integers(-2, 3, 2), (1, 2))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--epochs", type=int, default=16)
    arguments.add_argument("--seed", type=int, default=0)
    arguments = arguments.parse_args()
    rng = start(arguments.seed)
    pictures, labels = fashion.load("train")
    net, averaged = Vit(), Vit()
    average = Average(net, 0.998)
    steps = len(labels) // BATCH
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=arguments.epochs * steps, pct_start=0.15)
    log = Log("vit")
    for epoch in range(1, arguments.epochs + 1):
        order = rng.permutation(len(labels))
        for i in range(0, len(order), BATCH):
            chosen = order[i:i + BATCH]
            batch = normalise(np.ascontiguousarray(augment(rng, pictures[chosen])))
            loss = F.cross_entropy(net(batch), torch.from_numpy(labels[chosen].astype("i8")), label_smoothing=0.05)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            average.update(net)
        averaged.load_state_dict(average.values)
        log.add(epoch=epoch, loss=round(loss.item(), 3), val=round(accuracy(averaged, "val"), 2))
        safetensors_io.write(WEIGHTS / "vit-fashion.safetensors", averaged.eval().folded())
    print(f"test: {accuracy(averaged, 'test'):.2f} %")


if __name__ == "__main__":
    main()
