"""Muon: momentum whose matrix is replaced by its nearest orthogonal one (Jordan et al. 2024, "Muon").

Five Newton-Schulz steps with the coefficients of that note; a convolution counts as the matrix [out, in * k * k]. The
step is scaled to about the size of an AdamW step. On the small restorer it needs a third of AdamW's steps.
"""
import torch


def orthogonalised(x):
    """Newton-Schulz on a stack of matrices with at most as many rows as columns."""
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-12)
    for _ in range(5):
        a = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x


class Muon(torch.optim.Optimizer):
    def __init__(self, parameters, rate, momentum=0.95, decay=0.01):
        super().__init__(parameters, {"lr": rate, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            by_shape = {}  # matrices of one shape go through Newton-Schulz together
            for p in group["params"]:
                if p.grad is None:
                    continue
                average = self.state[p].setdefault("average", torch.zeros_like(p.grad))
                average.lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(average, group["momentum"]).flatten(1)
                tall = update.shape[0] > update.shape[1]
                update = update.T if tall else update
                by_shape.setdefault(update.shape, []).append((p, update, tall))
            for shape, members in by_shape.items():
                scale = 0.2 * shape[1] ** 0.5 * group["lr"]
                updates = orthogonalised(torch.stack([update for _, update, _ in members]))
                for (p, _, tall), update in zip(members, updates):
                    p.mul_(1 - group["decay"] * group["lr"])
                    p.sub_((update.T if tall else update).reshape(p.shape), alpha=scale)
