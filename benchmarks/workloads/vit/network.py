"""ViT-B/16 (https://arxiv.org/abs/2010.11929), its weights and its images, with torch alone.

The network is the published one: images of 224 x 224 in patches of 16 x 16, a class token and learned positions, 12 blocks of width
768 with 12 heads and a hidden layer of 3072, layer norms before attention and MLP (eps 1e-6), GELU, 1000 classes: 86,567,656
weights. It makes the calls that torchvision's and timm's make. So attention is torch's own ``scaled_dot_product_attention``, which
chooses a kernel by device and precision.

The weights are random: the work is real and the classes mean nothing, so there is **no accuracy**. They are scaled so that a fault
shows: attention prefers some tokens, no bias is too small to be missed, and the logits of two images differ.
"""

from __future__ import annotations

import array
import hashlib
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional

from benchmarks import seeded
from benchmarks.workloads.diarization.chunk import little_endian

IMAGE = 224
PATCH = 16
WIDTH = 768
BLOCKS = 12
HEADS = 12
HIDDEN = 3072
CLASSES = 1000
TOKENS = (IMAGE // PATCH) ** 2 + 1
"""The patches, and before them the class token"""

EPSILON = 1e-6

BIAS = 0.5
"""Biases, positions and the class token are uniform between its negative and this. With a quarter of it, a block without one of its
biases is hardly told from bfloat16's rounding: 1 - cosine of the logits is 1e-4 and 5e-5. With this it is 9e-4 and 5e-5."""

GAINS = {"patches": 4.0, "attention": 1.5}
"""Gains of the patches, and of the queries and keys; those of all other matrices are one. If these were one too, a token would attend
to all others nearly alike, and the logits of two images would differ a third as much. With 2 for queries and keys, bfloat16's 1 - cosine
would be twice as large."""

HASHED_VALUES = 64

Weights = Mapping[str, Any]
"""Tensors by name"""


def shapes() -> dict[str, tuple[int, ...]]:
    """The shape of each weight, by name."""
    found: dict[str, tuple[int, ...]] = {"class token": (1, 1, WIDTH), "positions": (1, TOKENS, WIDTH)}
    matrices = {"patches": (WIDTH, 3, PATCH, PATCH), "head": (CLASSES, WIDTH)}
    norms = ["norm"]
    for block in range(BLOCKS):
        matrices |= {f"{block}.attention": (3 * WIDTH, WIDTH), f"{block}.output": (WIDTH, WIDTH)}
        matrices |= {f"{block}.hidden": (HIDDEN, WIDTH), f"{block}.shrink": (WIDTH, HIDDEN)}
        norms += [f"{block}.attention norm", f"{block}.hidden norm"]
    for name, shape in (*matrices.items(), *((name, (WIDTH,)) for name in norms)):
        found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return found


def make_weight(name: str, shape: tuple[int, ...], seed: int = 0) -> Any:
    """A weight in float32 on the CPU. A matrix is uniform with a variance of gain squared over its number of inputs."""
    values = seeded.uniform(f"vit/{seed}/{name}", *shape)
    layer, _, kind = name.rpartition(".")
    if kind != "weight":
        return values * BIAS
    if layer.endswith("norm"):
        return 1.0 + values * 0.125
    values *= math.sqrt(3.0 / math.prod(shape[1:])) * (GAINS["patches"] if layer == "patches" else 1.0)
    if layer.endswith(".attention"):
        values[: 2 * WIDTH] *= GAINS["attention"]
    return values


def make_images(count: int, seed: int = 0) -> Any:
    """Images in float32 on the CPU, ``count`` x 3 x 224 x 224: four squares of one colour each, with noise."""
    squares = torch.cat([seeded.uniform(f"vit/{seed}/image/{number}/squares", 1, 3, 2, 2) for number in range(count)])
    noise = torch.cat([seeded.uniform(f"vit/{seed}/image/{number}/noise", 1, 3, IMAGE, IMAGE) for number in range(count)])
    large = squares.repeat_interleave(IMAGE // 2, 2).repeat_interleave(IMAGE // 2, 3)
    return large * 2.0 + noise * 0.25


def classify(weights: Weights, images: Any) -> Any:
    """The logits of a batch of images, one row for each. Device and precision are those of the weights and images."""
    tokens = functional.conv2d(images, weights["patches.weight"], weights["patches.bias"], stride=PATCH)
    tokens = tokens.flatten(2).transpose(1, 2)
    tokens = torch.cat((weights["class token"].expand(len(images), -1, -1), tokens), dim=1) + weights["positions"]
    for block in range(BLOCKS):
        tokens = tokens + _attend(weights, block, tokens)
        normed = _norm(weights, f"{block}.hidden norm", tokens)
        tokens = tokens + _linear(weights, f"{block}.shrink", functional.gelu(_linear(weights, f"{block}.hidden", normed)))
    return _linear(weights, "head", _norm(weights, "norm", tokens[:, 0]))


def hash_of(tensors: Mapping[str, Any]) -> str:
    """A SHA-256 over names, shapes and evenly spread values of tensors on the CPU."""
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        values = tensor.reshape(-1)
        kept = values[:: max(1, len(values) // HASHED_VALUES)].tolist()
        digest.update(f"{name} {tuple(tensor.shape)} ".encode() + little_endian(array.array("f", kept)))
    return digest.hexdigest()


def _attend(weights: Weights, block: int, tokens: Any) -> Any:
    """What self-attention adds to each token."""
    normed = _norm(weights, f"{block}.attention norm", tokens)
    mixed = _linear(weights, f"{block}.attention", normed).reshape(*tokens.shape[:2], 3, HEADS, WIDTH // HEADS)
    query, key, value = mixed.permute(2, 0, 3, 1, 4)
    attended = functional.scaled_dot_product_attention(query, key, value)
    return _linear(weights, f"{block}.output", attended.transpose(1, 2).reshape(tokens.shape))


def _linear(weights: Weights, name: str, values: Any) -> Any:
    return functional.linear(values, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _norm(weights: Weights, name: str, values: Any) -> Any:
    return functional.layer_norm(values, (WIDTH,), weights[f"{name}.weight"], weights[f"{name}.bias"], EPSILON)
