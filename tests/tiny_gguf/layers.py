"""The layers that transformers are made of. Rows are tokens, columns are channels."""

from __future__ import annotations

import math

import numpy as np

Array = np.ndarray


def layer_norm(x: Array, weight: Array, bias: Array, epsilon: float) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + epsilon) * weight + bias


def rms_norm(x: Array, weight: Array, epsilon: float) -> Array:
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + epsilon) * weight


def gelu(x: Array) -> Array:
    """The approximation by tanh (Hendrycks and Gimpel 2016).

    llama.cpp looks it up in a table of 16-bit floats; so the argument and the result are
    rounded to these here too.
    """
    x = x.astype(np.float16).astype(np.float64)
    smooth = 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return smooth.astype(np.float16).astype(np.float64)


def silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def split_heads(x: Array, heads: int) -> Array:
    """(tokens, heads * size) -> (heads, tokens, size)."""
    return x.reshape(len(x), heads, -1).transpose(1, 0, 2)


def attention(queries: Array, keys: Array, values: Array, bias: Array | float = 0.0) -> Array:
    """Scaled dot-product attention (Vaswani et al. 2017) of (heads, tokens, size) arrays.

    `bias` is added to the scores. Keys and values may have fewer heads than queries, each
    then serves a group of them. Returns (tokens, heads * size).
    """
    groups = len(queries) // len(keys)
    keys, values = np.repeat(keys, groups, axis=0), np.repeat(values, groups, axis=0)
    scores = queries @ keys.transpose(0, 2, 1) / math.sqrt(queries.shape[-1])
    mixed = softmax(scores + bias) @ values
    return mixed.transpose(1, 0, 2).reshape(mixed.shape[1], -1)


def rotate(x: Array, base: float) -> Array:
    """Rotary position embedding (Su et al. 2021) of (heads, tokens, size).

    Channel i turns together with channel i + size/2, by position * base^(-2i/size).
    """
    half = x.shape[-1] // 2
    angles = np.outer(np.arange(x.shape[1]), base ** (-np.arange(half) / half))
    cosines, sines = np.cos(angles), np.sin(angles)
    first, second = x[..., :half], x[..., half:]
    return np.concatenate(
        [first * cosines - second * sines, first * sines + second * cosines], axis=-1
    )


def alibi(heads: int, tokens: int, steepest: float = 8.0) -> Array:
    """Linear bias by distance (Press et al. 2021), to both sides, for a power of two of heads."""
    slopes = 2.0 ** (-steepest * np.arange(1, heads + 1) / heads)
    positions = np.arange(tokens)
    distances = np.abs(positions[:, None] - positions[None, :])
    return -slopes[:, None, None] * distances


def causal_mask(tokens: int) -> Array:
    return np.where(np.tri(tokens, dtype=bool), 0.0, -np.inf)
