"""Quality figures on u8 pictures, the same for validation, evaluation and demonstration.

PSNR inside the blur = -10 log10 of the mean squared error over the mask's pixels, averaged over cases in dB.
"""
import numpy as np
import torch

import motion
from model import MOTION_WIDTH


def to_u8(picture):
    """f32 [B, 3, H, W] -> u8 [B, H, W, 3]: clamp, round half up."""
    return torch.floor(picture.clamp(0, 1) * 255 + 0.5).byte().permute(0, 2, 3, 1).numpy()


def psnr(a, b, mask=None):
    """dB between two u8 pictures [H, W, 3], over the pixels of `mask` if there is one."""
    squares = (a.astype(np.float64) - b) ** 2 / 255 ** 2
    if mask is not None:
        squares = squares[mask.astype(bool)]
    return -10 * np.log10(max(squares.mean(), 1e-10))


def block_macs(config, stage):
    """Multiply-accumulates of one block per pixel of its grid: spec section 1.6."""
    c, r = config.stage_width(stage), config.ffn_ratio
    return 4 * c * c + 2 * config.window ** 2 * c + 2 * r * c * c + 9 * r * c


def predictor_macs(config, stage):
    c = config.stage_width(stage)
    return 2 * c * c + c * (c // 2) + (c // 2) * (c // 4) + 2 * (c // 4)


def mask_macs(inputs, layers):
    """Multiply-accumulates of a mask net per image pixel."""
    total, area = 0.0, 1
    for kernel, stride, _, outputs in layers:
        area *= stride * stride
        total += kernel * kernel * inputs * outputs / area
        inputs = outputs
    return total


def conv_macs(config, moving=1.0):
    """In-proj, out-proj, down and up convolutions per image pixel; they run densely.

    Samples along the motion are projected where something moves; elsewhere they are the pixels of two frames.
    """
    s2, w, last = config.space_to_depth ** 2, config.widths, 2 * config.levels - 2
    outputs = (4 if config.gate else 3) * s2
    inputs = 3 * s2 + config.motion * MOTION_WIDTH
    channels = moving * motion.CHANNELS + (1 - moving) * 6
    total = 9 * inputs * w[0] + config.motion * channels * s2 * MOTION_WIDTH + 9 * config.stage_width(last) * outputs
    for l in range(config.levels - 1):
        total += config.down_kernel ** 2 * w[l] * w[l + 1] / 4 ** (l + 1)
        total += config.stage_width(last - l - 1) * w[l] / 4 ** l
    return total / s2


def network_macs(config, share, predicting=False, moving=1.0):
    """MACs per image pixel; `share(stage, block)` is the share of active windows, `moving` of active cells."""
    total = conv_macs(config, moving)
    for stage, depth in enumerate(config.depths):
        grid = config.space_to_depth ** 2 * 4 ** config.level(stage)
        work = sum(share(stage, block) for block in range(depth)) * block_macs(config, stage)
        if predicting:
            work += min(depth, 2) * predictor_macs(config, stage)
        total += work / grid
    return total
