"""The small Fashion-MNIST transformer with bit-switched weights: Double Rounding (arXiv 2502.01199), floor, mid-rise.

One INT8 array per layer, `q8 = clamp(round(W / s), -128, 119)`, one scale `s` per output channel. Width l reads it as
    round     min((q8 + t) >> (8 - l), 2^(l-1) - 1), t = half of 2^(8-l)    (half up, as the library does)
    floor     q8 >> (8 - l)                                                 (AdaBits)
    midrise   (q8 >> (8 - l)) + 1/2                                         (AdaBits "centered")
on the scale `s * 2^(8-l)`. Activations are s8 at every width with a fixed scale and zero point per tensor (the paper
switches them with the weights; the library's kernels read s8). The first convolution and the head stay at 8 bits.
Codes stop at 119 because the largest code of two nibble planes is 16 * 7 + 7.

What we changed: scales are learnt as `s = s0 * exp(u)`, so that a rate is a relative change; half up, not half even.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F

import vit

CAP = 119
SWITCHED = ["stem2"] + [f"blocks.{i}.{part}" for i in range(vit.BLOCKS) for part in ("qkv", "proj", "fc1", "fc2")]
PINNED = ["stem1", "head"]


def read(q8, bits, rule):
    """Integer master -> value of width `bits` in units of the master's scale."""
    step = 2 ** (8 - bits)
    if step == 1:
        return q8
    if rule == "round":
        return torch.floor((q8 + step // 2) / step).clamp(max=2 ** (bits - 1) - 1) * step
    return torch.floor(q8 / step) * step + (step / 2 if rule == "midrise" else 0)


class Weights(torch.autograd.Function):
    """LSQ: W, s -> value in units of s. Straight through inside the range of the width, zero outside."""

    @staticmethod
    def forward(context, weight, scale, bits, rule):
        ratio = weight / scale
        if rule == "own":  # a width trained alone: no master, its own scale
            low, high = -2 ** (bits - 1), 2 ** (bits - 1) - 1
            value = ratio.round().clamp(low, high)
        else:
            low, high = -128, CAP if bits == 8 else 128 - 2 ** (8 - bits)
            value = read(ratio.round().clamp(-128, CAP), bits, rule)
        inside = (ratio >= low - 0.5) & (ratio <= high + 0.5)
        context.save_for_backward(ratio, scale, inside)
        return value

    @staticmethod
    def backward(context, gradient):
        ratio, scale, inside = context.saved_tensors
        through = gradient * inside / scale
        return through, (-through * ratio).flatten(1).sum(1).view(scale.shape), None, None


class Activation(torch.autograd.Function):
    """f32 -> integer code less its zero point, in bf16 when asked (|code| <= 255: exact)."""

    @staticmethod
    def forward(context, x, scale, zero, dtype):
        ratio = x / scale
        code = ratio.round().clamp(-128 - zero, 127 - zero)
        context.save_for_backward((ratio - code).abs() <= 0.5)
        context.scale = scale
        return code.to(dtype)

    @staticmethod
    def backward(context, gradient):
        (inside,) = context.saved_tensors
        return gradient.float() * inside / context.scale, None, None, None


class Product(torch.autograd.Function):
    """`Activation` and the matrix product in one, with few passes over the activations: x, value, scale, bias -> f32."""

    @staticmethod
    def forward(context, x, value, scale, bias, input_scale, zero, dtype):
        ratio = x.reshape(-1, x.shape[-1]) * (1 / input_scale)
        code = ratio.clamp(-128 - zero, 127 - zero)
        context.save_for_backward(code.eq(ratio), value, scale)
        context.code = code.round_().to(dtype)
        context.input_scale, context.shape = input_scale, x.shape
        out = context.code @ value.t()
        return torch.addcmul(bias, out.float(), scale * input_scale).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(context, gradient):
        inside, value, scale = context.saved_tensors
        gradient = gradient.reshape(-1, gradient.shape[-1])
        scaled = gradient.to(value.dtype) * scale.to(value.dtype)
        to_x = (scaled @ value).float().mul_(inside)
        to_value = (scaled.t() @ context.code).float().mul_(context.input_scale)
        to_scale = (to_value * value.float()).sum(1) / scale
        return to_x.view(context.shape), to_value, to_scale, gradient.sum(0), None, None, None


class ScaledGradient(torch.autograd.Function):
    @staticmethod
    def forward(context, x, factor):
        context.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(context, gradient):
        return gradient * context.factor, None


class Layer(nn.Module):
    """A linear layer or convolution whose weights are read at a width."""

    def __init__(self, weight, bias, conv):
        super().__init__()
        self.weight, self.bias, self.conv = nn.Parameter(weight.clone()), nn.Parameter(bias.clone()), conv
        self.register_buffer("first_scale", torch.ones(len(weight)))
        self.log_scale = nn.Parameter(torch.zeros(len(weight)))
        self.input = (1.0, 0)  # scale and zero point of the input
        self.dtype = torch.float32

    def scale(self):
        return self.first_scale * self.log_scale.exp()

    def forward(self, x, bits, rule):
        """`bits` None: f32."""
        if bits is None:
            return F.conv2d(x, self.weight, self.bias, 2, 1) if self.conv else F.linear(x, self.weight, self.bias)
        count, top = self.weight[0].numel(), 2 ** (bits - 1) - 1
        scale = ScaledGradient.apply(self.scale(), 1 / math.sqrt(count * top))
        shape = (-1,) + (1,) * (self.weight.dim() - 1)
        value = Weights.apply(self.weight, scale.view(shape), bits, rule).to(self.dtype)
        if self.conv:
            x = Activation.apply(x, *self.input, self.dtype)
            return F.conv2d(x, value, None, 2, 1).float() * (scale * self.input[0]).view(-1, 1, 1) + self.bias.view(-1, 1, 1)
        return Product.apply(x, value, scale, self.bias, *self.input, self.dtype)


class BitsVit(nn.Module):
    """`widths` of forward: layer name -> bits, or one number for all switched layers, or None for f32."""

    def __init__(self, tensors):
        """`tensors`: the exported f32 weights."""
        super().__init__()
        get = lambda name: torch.from_numpy(tensors[name].copy())
        self.layers = nn.ModuleDict({name.replace(".", "/"): Layer(get(f"{name}.weight"), get(f"{name}.bias"), "stem" in name)
                                     for name in SWITCHED + PINNED})
        used = {f"{name}.{part}" for name in SWITCHED + PINNED for part in ("weight", "bias")}
        self.rest = nn.ParameterDict({name.replace(".", "/"): nn.Parameter(get(name)) for name in tensors if name not in used})
        self.rule, self.record = "round", None

    def layer(self, name, x, widths):
        if self.record is not None:
            self.record.setdefault(name, []).append(x.detach())
        bits = widths if widths is None or name in SWITCHED else 8
        if isinstance(bits, dict):
            bits = bits[name]
        rule = "round" if name in PINNED else self.rule
        return self.layers[name.replace(".", "/")](x, bits, rule)

    def norm(self, name, x):
        name = name.replace(".", "/")
        return F.layer_norm(x, (vit.WIDTH,), self.rest[f"{name}/weight"], self.rest[f"{name}/bias"])

    def forward(self, pictures, widths=None):
        x = F.relu(self.layer("stem1", pictures[:, None], widths))
        x = self.layer("stem2", x, widths).flatten(2).transpose(1, 2)
        x = torch.cat([self.rest["class_token"].expand(len(x), -1, -1), x], 1) + self.rest["position"]
        batch, tokens, _ = x.shape
        for i in range(vit.BLOCKS):
            name = f"blocks.{i}"
            q, k, v = self.layer(f"{name}.qkv", self.norm(f"{name}.norm1", x), widths) \
                .view(batch, tokens, 3, vit.HEADS, -1).permute(2, 0, 3, 1, 4)
            dtype = self.layers["head"].dtype
            scores = (q.to(dtype) @ k.to(dtype).transpose(-1, -2)).float() / math.sqrt(vit.WIDTH // vit.HEADS)
            mixed = (scores.softmax(-1).to(dtype) @ v.to(dtype)).float()
            x = x + self.layer(f"{name}.proj", mixed.transpose(1, 2).reshape(batch, tokens, vit.WIDTH), widths)
            hidden = F.gelu(self.layer(f"{name}.fc1", self.norm(f"{name}.norm2", x), widths))
            x = x + self.layer(f"{name}.fc2", hidden, widths)
        return self.layer("head", self.norm("norm", x[:, 0]), widths)

    def half_precision(self, on):
        """bf16 products for training: codes are exact, sums are rounded. Figures are always taken in f32."""
        for layer in self.layers.values():
            layer.dtype = torch.bfloat16 if on else torch.float32

    @torch.no_grad()
    def calibrate(self, pictures):
        """Input scales from f32 activations: the range without the outermost 0.01 % on each side."""
        self.record = {}
        for i in range(0, len(pictures), 250):
            self(pictures[i:i + 250])
        for name, seen in self.record.items():
            values = torch.cat([x.flatten() for x in seen]).sort().values
            cut = int(len(values) * 1e-4)
            low, high = min(values[cut].item(), 0.0), max(values[-1 - cut].item(), 0.0)
            scale = (high - low) / 255
            self.layers[name.replace(".", "/")].input = (scale, round(-128 - low / scale))
        # The pictures are integers already: (p - 73) / (255 * 0.3530), 73 the rounded mean.
        self.layers["stem1"].input = (1 / (255 * 0.3530), 73 - 128)
        self.record = None

    @torch.no_grad()
    def start_scales(self, sigmas=3.0, own=None):
        """`sigmas` standard deviations at the end of the range, absmax for pinned layers; `own`: bits of a lone width."""
        for name in SWITCHED + PINNED:
            layer = self.layers[name.replace(".", "/")]
            flat = layer.weight.flatten(1)
            if own is not None and name in SWITCHED:
                # The error of a few clips is measured; the best per channel starts.
                top, best = 2 ** (own - 1), None
                spread = flat.abs().amax(1, True)
                for k in torch.linspace(0.3, 1.0, 29):
                    scale = spread * k / (top - 0.5)
                    error = ((flat / scale).round().clamp(-top, top - 1) * scale - flat).square().sum(1, True)
                    best = (scale, error) if best is None else tuple(
                        torch.where(error < best[1], new, old) for new, old in zip((scale, error), best))
                layer.first_scale.copy_(best[0].view(-1))
            elif name in SWITCHED:
                top = flat.abs().amax(1) / CAP
                layer.first_scale.copy_(torch.minimum(sigmas * flat.std(1) / 128, top) if sigmas else top)
            else:
                layer.first_scale.copy_(flat.abs().amax(1) / CAP)

    @torch.no_grad()
    def arrays(self, own=None):
        """name -> array: codes (i8), scale, bias, input (scale, zero point) of each layer, and the rest in f32."""
        out = {}
        for name in SWITCHED + PINNED:
            layer = self.layers[name.replace(".", "/")]
            scale = layer.scale()
            ratio = (layer.weight / scale.view((-1,) + (1,) * (layer.weight.dim() - 1))).round()
            alone = own is not None and name in SWITCHED
            low, high = (-2 ** (own - 1), 2 ** (own - 1) - 1) if alone else (-128, CAP)
            out[f"{name}.codes"] = ratio.clamp(low, high).to(torch.int8).numpy()
            out[f"{name}.scale"], out[f"{name}.bias"] = scale.numpy(), layer.bias.numpy()
            out[f"{name}.input"] = torch.tensor(layer.input, dtype=torch.float32).numpy()
        out.update({name.replace("/", "."): value.numpy() for name, value in self.rest.items()})
        return out

    @torch.no_grad()
    def restore(self, arrays):
        """Continue from what `arrays` wrote: the codes become the weights."""
        for name in SWITCHED + PINNED:
            layer = self.layers[name.replace(".", "/")]
            scale = torch.from_numpy(arrays[f"{name}.scale"].copy())
            layer.first_scale.copy_(scale)
            codes = torch.from_numpy(arrays[f"{name}.codes"].astype("f4"))
            layer.weight.copy_(codes * scale.view((-1,) + (1,) * (codes.dim() - 1)))
            layer.bias.copy_(torch.from_numpy(arrays[f"{name}.bias"].copy()))
        for name, value in self.rest.items():
            value.copy_(torch.from_numpy(arrays[name.replace("/", ".")].copy()))
