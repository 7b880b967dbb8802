"""One-shot joint training of the bit-switched transformer; writes weights/vit-bits-NAME.safetensors, results/bits_NAME.csv.

    python3 train_bits.py --name joint --rule round --steps 1000

One mini-batch runs at 8, 6, 4 and 2 bits, from high to low, with a step after each (paper section 3). ALRS: scales of width
b are stepped with rate `eta_b * lam` (the working form of Eq. 6; `--alrs printed` is the equation as printed, whose rates
turn negative: they are shown, and clamped at 0). HASB: `--hasb` switches single layers at random, sensitive ones towards
more bits, with a probability that rises to 1/2. Teacher of all runs: the f32 network. Validation: the last 5,000 training
pictures; the test split is not read here.
"""
import argparse
import time

import numpy as np
import torch
from torch.nn import functional as F

import fashion
import safetensors_io
from bits import SWITCHED, BitsVit
from export import WEIGHTS
from train_vit import augment
from training import Average, Log, start
from vit import normalise

WIDTHS = (8, 6, 4, 2)


def eta(bits):
    d = 8 - bits
    return 10 ** (-d / 2) if d % 2 == 0 else 5 * 10 ** (-(d + 1) / 2)


@torch.no_grad()
def accuracy(net, widths, pictures, labels):
    right = [(net(normalise(pictures[i:i + 500]), widths).argmax(1).numpy() == labels[i:i + 500]).sum()
             for i in range(0, len(labels), 500)]
    return 100 * float(sum(right)) / len(labels)


def traces(net, pictures, labels, probes=8):
    """Hutchinson: mean diagonal of the Hessian per layer, on the f32 network."""
    weights = [net.layers[name.replace(".", "/")].weight for name in SWITCHED]
    loss = F.cross_entropy(net(normalise(pictures)), torch.from_numpy(labels.astype("i8")))
    gradients = torch.autograd.grad(loss, weights, create_graph=True)
    total = np.zeros(len(weights))
    for _ in range(probes):
        signs = [torch.randint(0, 2, w.shape).float() * 2 - 1 for w in weights]
        products = torch.autograd.grad(gradients, weights, signs, retain_graph=True)
        total += [float((s * p).sum()) / s.numel() for s, p in zip(signs, products)]
    return dict(zip(SWITCHED, total / probes))


def mixed(rng, bits, trace, probability):
    """HASB: width of each layer."""
    mean = np.mean(list(trace.values()))
    roulette = np.array(WIDTHS) / sum(WIDTHS)
    return {name: bits if rng.random() >= probability else int(rng.choice(WIDTHS, p=None if t < mean else roulette))
            for name, t in trace.items()}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--name", required=True)
    arguments.add_argument("--rule", choices=("round", "floor", "midrise", "own"), default="round")
    arguments.add_argument("--width", type=int, help="train one width alone, with its own scale")
    arguments.add_argument("--alrs", choices=("working", "printed", "off"), default="working")
    arguments.add_argument("--hasb", action="store_true")
    arguments.add_argument("--start-from", help="a weights file of this script")
    arguments.add_argument("--steps", type=int, required=True)
    arguments.add_argument("--batch", type=int, default=128)
    arguments.add_argument("--rate", type=float, default=5e-4)
    arguments.add_argument("--scale-rate", type=float, default=2e-3)
    arguments.add_argument("--sigmas", type=float, default=3.0)
    arguments.add_argument("--hard", type=float, default=0.3, help="weight of the labels beside the teacher")
    arguments.add_argument("--average", type=float, default=0.99)
    arguments.add_argument("--validate", type=int, default=250)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--pilot", action="store_true", help="write no weights, log into bits_pilot_NAME.csv")
    arguments = arguments.parse_args()
    rng = start(arguments.seed)
    pictures, labels = fashion.load("train")
    val = fashion.load("val")
    tensors, _ = safetensors_io.read(WEIGHTS / "vit-fashion.safetensors")
    teacher, net, averaged = BitsVit(tensors), BitsVit(tensors), BitsVit(tensors)
    own = arguments.width if arguments.rule == "own" else None
    for one in (teacher, net, averaged):
        one.rule = arguments.rule
        one.calibrate(normalise(pictures[:2000]))
        one.start_scales(arguments.sigmas, own)
    if arguments.start_from:
        arrays, _ = safetensors_io.read(WEIGHTS / f"vit-bits-{arguments.start_from}.safetensors")
        net.restore(arrays)
    trace = traces(teacher, pictures[:512], labels[:512]) if arguments.hasb else None
    net.half_precision(True)
    teacher.half_precision(True)
    average = Average(net, arguments.average)
    widths = (own,) if own else WIDTHS

    scales = [p for n, p in net.named_parameters() if n.endswith("log_scale")]
    others = [p for n, p in net.named_parameters() if not n.endswith("log_scale")]
    main_steps = torch.optim.AdamW(others, arguments.rate, weight_decay=0.01)
    scale_steps = torch.optim.Adam(scales, arguments.scale_rate)
    shape = lambda n: min((n + 1) / (0.1 * arguments.steps), 1.0) * (0.505 + 0.495 * np.cos(np.pi * n / arguments.steps))
    log = Log(f"bits_{'pilot_' if arguments.pilot else ''}{arguments.name}")

    def validate(step, losses, count):
        averaged.load_state_dict(average.values)
        row = {f"val{b}": round(accuracy(averaged, b, val[0][:count], val[1][:count]), 2)
               for b in (widths if own else (8, 6, 4, 3, 2))}
        log.add(step=step, **{f"loss{b}": round(losses[b], 4) for b in widths}, **row, pictures=count)

    order = iter(())
    began = time.time()
    for step in range(arguments.steps):
        chosen = []
        while len(chosen) < arguments.batch:
            n = next(order, None)
            if n is None:
                order = iter(rng.permutation(len(labels)))
            else:
                chosen.append(n)
        batch = normalise(np.ascontiguousarray(augment(rng, pictures[chosen])))
        target = torch.from_numpy(labels[chosen].astype("i8"))
        with torch.no_grad():
            soft = teacher(batch).softmax(-1)
        losses = {}
        for bits in widths:
            chosen_widths = bits
            if arguments.hasb:
                chosen_widths = mixed(rng, bits, trace, 0.5 * (step + 1) / arguments.steps)
            logits = net(batch, chosen_widths)
            logp = logits.log_softmax(-1)
            loss = -(soft * logp).sum(-1).mean() + (soft * soft.clamp(min=1e-9).log()).sum(-1).mean()
            loss = loss + arguments.hard * F.nll_loss(logp, target)
            net.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(others, 1.0)
            factor = shape(step)
            rate = arguments.scale_rate * factor * (eta(bits) if arguments.alrs != "off" and not own else 1.0)
            if arguments.alrs == "printed":
                mean = np.mean([min(float(p.grad.clamp(-1, 1).abs().max()), 1.0) for p in scales if p.grad is not None])
                rate = eta(bits) * (arguments.scale_rate * factor - mean)
                if step % 50 == 0:
                    print(f"Eq. 6 as printed, {bits} bits: rate {rate:.2e}", flush=True)
                rate = max(rate, 0.0)
            main_steps.param_groups[0]["lr"] = arguments.rate * factor
            scale_steps.param_groups[0]["lr"] = rate
            main_steps.step()
            scale_steps.step()
            losses[bits] = loss.item()
        average.update(net)
        if step == 9:
            print(f"{(time.time() - began) / 10:.3f} s a step", flush=True)
        if (step + 1) % arguments.validate == 0 and step + 1 < arguments.steps:
            validate(step + 1, losses, 1000)
    validate(arguments.steps, losses, len(val[1]))
    if not arguments.pilot:
        safetensors_io.write(WEIGHTS / f"vit-bits-{arguments.name}.safetensors", averaged.arrays(own),
                             {"rule": arguments.rule, "widths": ",".join(map(str, widths)), "steps": str(arguments.steps)})


if __name__ == "__main__":
    main()
