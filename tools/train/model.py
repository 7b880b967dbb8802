"""LMD-ViT in PyTorch: the oracle the Rust code is checked against, and the network that is trained.

Paper: "Adaptive Window Pruning for Efficient Local Motion Deblurring", arXiv 2306.14268 (blocks, per-stage
predictors). Changed or added here: the decision "cells", one map of half-window cells decided by a small
convolutional mask net before the restorer runs; space-to-depth input; additive skips; 2x2 down convolutions.

Feature maps are channels last, [B, H, W, C]. Decisions are 0/1 maps over the window grid, [B, H/M, W/M], of the
rolled map where a block is shifted.
"""
import tomllib
from dataclasses import dataclass, field
from math import log
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import motion

MOTION_WIDTH = 32  # channels that samples along the motion become
ATTENTION_MASK = -100.0
GATE_FLOOR = 0.1


@dataclass
class Config:
    """The TOML description beside the weights; the keys are those of its tables."""
    space_to_depth: int = 2
    widths: list = field(default_factory=lambda: [16, 32, 64])
    depths: list = field(default_factory=lambda: [2, 2, 1, 2, 2])
    heads: list = field(default_factory=lambda: [1, 2, 4, 2, 1])
    window: int = 8
    ffn_ratio: int = 2
    skip: str = "add"
    down_kernel: int = 2
    in_slope: float = 1.0
    leff_padding: str = "zero"
    modulator: bool = False
    gate: bool = False
    motion: bool = False
    decision: str = "cells"
    # [cells]
    threshold: float = 0.0
    dilate: int = 0
    threshold_previous: float = 0.0
    dilate_previous: int = 0
    layers: list = None
    layers_previous: list = None
    # [predictors]
    beta: float = 0.5

    @staticmethod
    def read(path):
        table = tomllib.loads(Path(path).read_text())
        return Config(**table["network"], **table.get("cells", {}), **table.get("predictors", {}))

    def write(self, path, name):
        def line(key):
            value = getattr(self, key)
            text = str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else value
            return f"{key} = {text}"
        network = ["space_to_depth", "widths", "depths", "heads", "window", "ffn_ratio", "skip", "down_kernel",
                   "in_slope", "leff_padding", "modulator", "gate", "motion", "decision"]
        lines = ['kind = "lmdvit"', f'name = "{name}"', "", "[network]", *map(line, network), ""]
        if self.decision == "cells":
            cells = ["threshold", "dilate"] * bool(self.layers)
            cells += ["threshold_previous", "dilate_previous"] * bool(self.layers_previous)
            cells += ["layers"] * bool(self.layers) + ["layers_previous"] * bool(self.layers_previous)
            lines += ["[cells]", *map(line, cells)]
        else:
            lines += ["[predictors]", line("beta")]
        Path(path).write_text("\n".join(lines) + "\n")

    @property
    def levels(self):
        return len(self.widths)

    @property
    def cell(self):
        """Side of a cell in image pixels: half a window of level 0."""
        return self.space_to_depth * self.window // 2

    @property
    def multiple(self):
        return self.space_to_depth * self.window * 2 ** (self.levels - 1)

    def level(self, stage):
        return min(stage, 2 * (self.levels - 1) - stage)

    def stage_width(self, stage):
        decoder = stage >= self.levels
        return self.widths[self.level(stage)] * (2 if decoder and self.skip == "concat" else 1)


# ---------------------------------------------------------------- windows


def roll(x, distance):
    """Roll rows and columns (the second and third axis) with wrap."""
    return torch.roll(x, (distance, distance), (1, 2)) if distance else x


def partition(x, m):
    """[B, H, W, C] -> [B, windows, M*M, C], windows in row-major order."""
    b, h, w, c = x.shape
    return x.view(b, h // m, m, w // m, m, c).transpose(2, 3).reshape(b, -1, m * m, c)


def merge(windows, m, h, w):
    b, c = windows.shape[0], windows.shape[-1]
    return windows.view(b, h // m, w // m, m, m, c).transpose(2, 3).reshape(b, h, w, c)


def position_index(m):
    """Row of the bias table for each pair (i, j) of in-window positions: (yi - yj + M-1)(2M-1) + (xi - xj + M-1)."""
    y, x = torch.meshgrid(torch.arange(m), torch.arange(m), indexing="ij")
    y, x = y.flatten(), x.flatten()
    return (y[:, None] - y[None] + m - 1) * (2 * m - 1) + (x[:, None] - x[None] + m - 1)


def seam_mask(h, w, m):
    """-100 between positions of a rolled window that came from different sides of the seam, [windows, M*M, M*M]."""
    def zone(n):
        index = torch.arange(n)
        return (index >= n - m).long() + (index >= n - m // 2).long()
    region = 3 * zone(h)[:, None] + zone(w)[None]
    region = partition(region[None, ..., None], m)[0, ..., 0]
    return (region[:, :, None] != region[:, None, :]).float() * ATTENTION_MASK


# ---------------------------------------------------------------- block


class Block(nn.Module):
    """Window attention and locally enhanced feed-forward, both window-local: spec section 1.5."""

    def __init__(self, config, stage, shifted):
        super().__init__()
        c, m = config.stage_width(stage), config.window
        self.m, self.heads, self.reflect = m, config.heads[stage], config.leff_padding == "reflect"
        self.shift = m // 2 if shifted else 0
        hidden = config.ffn_ratio * c
        self.norm1 = nn.LayerNorm(c)
        if config.modulator and stage >= config.levels:
            self.modulator = nn.Parameter(torch.zeros(m * m, c))
        else:
            self.modulator = None
        self.q = nn.Linear(c, c)
        self.kv = nn.Linear(c, 2 * c)
        self.position_bias = nn.Parameter(torch.zeros((2 * m - 1) ** 2, self.heads))
        self.proj = nn.Linear(c, c)
        self.norm2 = nn.LayerNorm(c)
        self.fc1 = nn.Linear(c, hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, groups=hidden)
        self.fc2 = nn.Linear(hidden, c)
        self.register_buffer("position_index", position_index(m), persistent=False)

    def attention(self, u, mask):
        """`u` is [n, M*M, C]; `mask` None or [n, 1, M*M, M*M]."""
        n, t, c = u.shape
        d = c // self.heads
        def split(x):
            return x.view(n, t, self.heads, d).transpose(1, 2)
        q = split(self.q(u)) * d ** -0.5
        k, v = map(split, self.kv(u).chunk(2, -1))
        bias = self.position_bias[self.position_index].permute(2, 0, 1)
        scores = q @ k.transpose(-1, -2) + bias
        if mask is not None:
            scores = scores + mask
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(n, t, c))

    def feed_forward(self, z):
        n, t, _ = z.shape
        y = F.gelu(self.fc1(self.norm2(z)))
        y = y.view(n, self.m, self.m, -1).permute(0, 3, 1, 2)  # already "channels last" in memory
        y = F.pad(y, (1, 1, 1, 1), mode="reflect" if self.reflect else "constant")
        y = F.gelu(self.depthwise(y))
        return self.fc2(y.permute(0, 2, 3, 1).reshape(n, t, -1))

    def windows(self, z, mask, keep=1.0):
        """z [n, M*M, C] -> the same; `keep` [n, 1, 1] switches both branches off in training."""
        u = self.norm1(z)
        if self.modulator is not None:
            u = u + self.modulator
        z = z + self.attention(u, mask) * keep
        return z + self.feed_forward(z) * keep

    def forward(self, x, decision):
        """Training path: every window is computed, and switched off where `decision` [B, H/M, W/M] is 0."""
        b, h, w, c = x.shape
        z = partition(roll(x, -self.shift), self.m)
        mask = seam_mask(h, w, self.m).repeat(b, 1, 1)[:, None] if self.shift else None
        keep = decision.reshape(-1, 1, 1)
        z = self.windows(z.view(-1, self.m ** 2, c), mask, keep).view(b, -1, self.m ** 2, c)
        return roll(merge(z, self.m, h, w), self.shift)

    def gathered(self, x, decision):
        """Inference path: active windows are gathered, computed and scattered back; the others are not touched."""
        b, h, w, c = x.shape
        active = decision.reshape(-1) > 0
        if not active.any():
            return x
        z = partition(roll(x, -self.shift), self.m).view(-1, self.m ** 2, c)
        mask = seam_mask(h, w, self.m).repeat(b, 1, 1)[active][:, None] if self.shift else None
        z = z.clone()
        z[active] = self.windows(z[active], mask)
        return roll(merge(z.view(b, -1, self.m ** 2, c), self.m, h, w), self.shift)


# ---------------------------------------------------------------- decisions


class Predictor(nn.Module):
    """Two logits (keep, prune) per pixel from local features and the mean over the whole map: spec section 1.3."""

    def __init__(self, c):
        super().__init__()
        self.fc1 = nn.Linear(c, c)
        self.norm = nn.LayerNorm(c)
        self.fc2 = nn.Linear(c, c)
        self.fc3 = nn.Linear(c, c // 2)
        self.fc4 = nn.Linear(c // 2, c // 4)
        self.fc5 = nn.Linear(c // 4, 2)

    def forward(self, x):
        z = self.fc2(self.norm(F.gelu(self.fc1(x))))
        local, everywhere = z.tensor_split([x.shape[-1] // 2], -1)
        everywhere = everywhere.mean((1, 2), keepdim=True).expand(*x.shape[:3], -1)
        z = torch.cat([local, everywhere], -1)
        return self.fc5(F.gelu(self.fc4(F.gelu(self.fc3(z)))))


def window_logits(logits, m, shift):
    """Mean over each window of the rolled logit map, [B, H/M, W/M, 2]."""
    return F.avg_pool2d(roll(logits, -shift).permute(0, 3, 1, 2), m).permute(0, 2, 3, 1)


class MaskNet(nn.Module):
    """Plain convolutions [kernel, stride, dilation, channels] with ReLU between; one logit per cell."""

    def __init__(self, inputs, layers):
        super().__init__()
        convs = []
        for kernel, stride, dilation, outputs in layers:
            pad = dilation * (kernel - 1) // 2 if kernel % 2 else 0
            convs.append(nn.Conv2d(inputs, outputs, kernel, stride, pad, dilation))
            inputs = outputs
        self.layers = nn.ModuleList(convs)

    def forward(self, x):
        for conv in self.layers[:-1]:
            x = F.relu(conv(x))
        return self.layers[-1](x)[:, 0]


def with_difference(image, previous):
    """The two-frame mask input: RGB and the mean absolute difference to the previous frame."""
    return torch.cat([image, (image - previous).abs().mean(1, keepdim=True)], 1)


def dilate(cells, by):
    return F.max_pool2d(cells[:, None], 2 * by + 1, 1, by)[:, 0] if by else cells


def cells_to_windows(cells, level, shifted):
    """Level-l cell = OR of 2^l x 2^l cells; window = OR of its 2x2 cells, of the map rolled by one cell if shifted."""
    x = F.max_pool2d(cells[:, None], 2 ** level)
    if shifted:
        x = torch.roll(x, (-1, -1), (2, 3))
    return F.max_pool2d(x, 2)[:, 0]


def mask_to_cells(mask, cell):
    """A cell is labelled blurred where at least a tenth of its pixels is, [B, H, W] -> [B, H/cell, W/cell]."""
    return (F.avg_pool2d(mask[:, None].float(), cell)[:, 0] >= 0.1).float()


# ---------------------------------------------------------------- the network


class Stage(nn.Module):
    def __init__(self, config, stage):
        super().__init__()
        depth = config.depths[stage]
        if config.decision == "predictors":
            self.predictors = nn.ModuleList(Predictor(config.stage_width(stage)) for _ in range(min(2, depth)))
        self.blocks = nn.ModuleList(Block(config, stage, b % 2 == 1) for b in range(depth))


class LmdVit(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        w, s, last = config.widths, config.space_to_depth, 2 * config.levels - 2
        if config.decision == "cells" and config.layers:
            self.mask = MaskNet(3, config.layers)
        if config.decision == "cells" and config.layers_previous:
            self.mask_previous = MaskNet(4, config.layers_previous)
        if config.motion:
            self.motion_proj = nn.Conv2d(motion.CHANNELS * s * s, MOTION_WIDTH, 1)
        self.in_proj = nn.Conv2d(3 * s * s + config.motion * MOTION_WIDTH, w[0], 3, 1, 1)
        self.stages = nn.ModuleList(Stage(config, k) for k in range(last + 1))
        k, pad = (2, 0) if config.down_kernel == 2 else (4, 1)
        self.downs = nn.ModuleList(nn.Conv2d(w[l], w[l + 1], k, 2, pad) for l in range(config.levels - 1))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(config.stage_width(last - l - 1), w[l], 2, 2)
                                 for l in range(config.levels - 1))
        outputs = (4 if config.gate else 3) * s * s
        self.out_proj = nn.Conv2d(config.stage_width(last), outputs, 3, 1, 1)
        self.initialise()

    def initialise(self):
        """Truncated normal 0.02 for linear layers and bias tables; a zero out-proj makes the new net the identity."""
        for name, parameter in self.named_parameters():
            linear = "stages" in name and name.endswith("weight") and parameter.dim() == 2
            if linear or name.endswith("position_bias"):
                nn.init.trunc_normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
        nn.init.zeros_(self.out_proj.weight)

    def restore(self, x, decide, training=False, trace=None, samples=None):
        """x [B, 3, H, W], padded -> residual of the same shape; `decide(stage, block, features)` gives the windows.

        `samples` along the motion where the network takes them: `motion.samples`. `trace` collects every intermediate by name.
        """
        config = self.config
        note = trace.__setitem__ if trace is not None else lambda name, value: None
        x = F.pixel_unshuffle(x, config.space_to_depth)
        if config.motion:
            moved = F.gelu(self.motion_proj(F.pixel_unshuffle(samples, config.space_to_depth)))
            x = torch.cat([moved, x], 1)
        x = self.in_proj(x)
        x = F.leaky_relu(x, config.in_slope).permute(0, 2, 3, 1)
        note("in_proj", x)
        skips = []
        for k, stage in enumerate(self.stages):
            if k >= config.levels:
                x = self.ups[config.level(k)](x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
                skip = skips.pop()
                x = x + skip if config.skip == "add" else torch.cat([x, skip], -1)
            for b, block in enumerate(stage.blocks):
                decision = decide(k, b, x)
                note(f"stage{k}.block{b}.windows", decision)
                x = block(x, decision) if training else block.gathered(x, decision)
                note(f"stage{k}.block{b}", x)
            if k < config.levels - 1:
                skips.append(x)
                x = self.downs[k](x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        x = self.out_proj(x.permute(0, 3, 1, 2))
        residual, gate = x.split([3 * config.space_to_depth ** 2, x.shape[1] - 3 * config.space_to_depth ** 2], 1)
        residual = F.pixel_shuffle(residual, config.space_to_depth)
        if config.gate:
            gate = F.pixel_shuffle(gate, config.space_to_depth)
            residual = residual * torch.sigmoid(gate).clamp(min=GATE_FLOOR)
        return residual

    # ---- decision "cells"

    def cell_logits(self, x, previous=None):
        return self.mask(x) if previous is None else self.mask_previous(with_difference(x, previous))

    def inside(self, x, height, width, unit):
        """1 for units of the padded picture that hold at least one pixel of the image."""
        rows = torch.arange(0, x.shape[2], unit) < height
        columns = torch.arange(0, x.shape[3], unit) < width
        return (rows[:, None] & columns[None]).float()[None]

    def own_cells(self, logits, inside, two_frames):
        config = self.config
        threshold = config.threshold_previous if two_frames else config.threshold
        active = (logits > threshold).float() * inside
        return dilate(active, config.dilate_previous if two_frames else config.dilate) * inside

    def restore_cells(self, x, cells, training=False, trace=None, samples=None):
        """x + residual inside the active cells; cells [B, H/cell, W/cell]."""
        def decide(stage, block, features):
            return cells_to_windows(cells, self.config.level(stage), block % 2 == 1)
        residual = self.restore(x, decide, training, trace, samples)
        upsampled = cells.repeat_interleave(self.config.cell, 1).repeat_interleave(self.config.cell, 2)
        return x + residual * upsampled[:, None]

    # ---- decision "predictors"

    def predictor_decisions(self, height, width, record):
        """Inference decisions of the paper: block 0 and 1 of a stage predict, the later ones follow."""
        config = self.config
        limit = log(config.beta / (1 - config.beta))
        made = {}

        def decide(stage, block, features):
            if block < 2:
                shift = config.window // 2 if block % 2 else 0
                logits = self.stages[stage].predictors[block](features)
                record[f"stage{stage}.predictor{block}"] = logits
                mean = window_logits(logits, config.window, shift)
                unit = config.space_to_depth * 2 ** config.level(stage)
                h, w = features.shape[1:3]
                real = (torch.arange(h) * unit < height)[:, None] & (torch.arange(w) * unit < width)[None]
                real = roll(real.float()[None, ..., None], -shift)[..., 0]
                inside = F.max_pool2d(real[:, None], config.window)[:, 0]
                keep = (mean[..., 0] - mean[..., 1] > limit).float() * inside
                made[stage, block] = keep
                record[f"stage{stage}.window_logits{block}"] = mean
            return made[stage, block % 2]
        return decide, made

    # ---- inference

    @torch.no_grad()
    def forward(self, image, previous=None, policy="own", trace=None, shutter=0.5):
        """Deblur image [B, 3, H, W] in [0, 1]; `policy` is "own", "all", "none" or cells [B, h, w], padded.

        `shutter` is exposure over frame time; only a network with motion asks, for a batch of one and `previous`.
        """
        config = self.config
        height, width = image.shape[2:]
        bottom, right = -height % config.multiple, -width % config.multiple
        pad = (0, right, 0, bottom)
        x = F.pad(image, pad, mode="replicate")
        trace = {} if trace is None else trace
        grid = (x.shape[0], x.shape[2] // config.cell, x.shape[3] // config.cell)
        if isinstance(policy, str) and policy == "own" and config.decision == "predictors":
            decide, made = self.predictor_decisions(height, width, trace)
            residual = self.restore(x, decide, trace=trace)
            out = x + residual if any(d.any() for d in made.values()) else x
            return out[..., :height, :width]
        if not isinstance(policy, str):
            cells = policy.float()
        elif policy == "own":
            logits = self.cell_logits(x, None if previous is None else F.pad(previous, pad, mode="replicate"))
            trace["cell_logits"] = logits
            cells = self.own_cells(logits, self.inside(x, height, width, config.cell), previous is not None)
        else:
            cells = torch.full(grid, 1.0 if policy == "all" else 0.0)
        trace["cells"] = cells
        if not cells.any():
            return image
        if config.decision == "cells":
            samples = None
            if config.motion:
                pictures = [torch.round(p[0] * 255).byte().permute(1, 2, 0).numpy() for p in (image, previous)]
                labels, vectors = motion.estimate(*pictures, cells[0].numpy())
                trace["vectors"] = torch.from_numpy(vectors)[None]
                samples = motion.samples(*pictures, labels, vectors, round(256 * shutter))
            return self.restore_cells(x, cells, trace=trace, samples=samples)[..., :height, :width]
        def decide(stage, block, features):
            return cells_to_windows(cells, config.level(stage), block % 2 == 1)
        return (x + self.restore(x, decide, trace=trace))[..., :height, :width]
