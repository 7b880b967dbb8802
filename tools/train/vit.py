"""A small vision transformer for 28x28 grey pictures: conv stem, 49 patches and a class token, 4 pre-norm blocks.

    stem   3x3 stride 2, 1 -> 24, batch norm, ReLU; 3x3 stride 2, 24 -> 64; position table; class token in front
    block  x + proj(attention(norm(x)));  x + fc2(gelu(fc1(norm(x)))), exact GELU
    head   norm of the class token, linear 64 -> 10
152,106 parameters, of which the batch norm is folded into the first convolution on export.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F

WIDTH, HEADS, BLOCKS, HIDDEN, CLASSES = 64, 4, 4, 128, 10


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.fc1, self.fc2 = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)

    def forward(self, x):
        batch, tokens, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, tokens, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) / math.sqrt(WIDTH // HEADS)).softmax(-1)
        x = x + self.proj((weights @ v).transpose(1, 2).reshape(batch, tokens, WIDTH))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem1, self.stem_norm = nn.Conv2d(1, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24)
        self.stem2 = nn.Conv2d(24, WIDTH, 3, 2, 1)
        self.class_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.position = nn.Parameter(0.02 * torch.randn(1, 50, WIDTH))
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, pictures):
        """f32 [B, 28, 28], grey levels less 0.2860, divided by 0.3530 -> [B, 10]."""
        x = self.stem2(F.relu(self.stem_norm(self.stem1(pictures[:, None]))))
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], 1) + self.position
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[:, 0]))

    @torch.no_grad()
    def folded(self):
        """name -> array, with the batch norm inside the first convolution."""
        state = {k: v for k, v in self.state_dict().items() if not k.startswith("stem_norm")}
        norm = self.stem_norm
        gain = norm.weight / (norm.running_var + norm.eps).sqrt()
        state["stem1.weight"] = self.stem1.weight * gain[:, None, None, None]
        state["stem1.bias"] = norm.bias - norm.running_mean * gain
        return {k: v.numpy() for k, v in state.items()}


def normalise(pictures):
    return (torch.from_numpy(pictures.astype("f4")) / 255 - 0.2860) / 0.3530
