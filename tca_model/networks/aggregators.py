"""Alternatives to TCA: the mean, NetVLAD, LSTM and GRU over the frames of a segment (arXiv 2008.01334, table 1).

Each takes frames (B, T, D), unit rows if real, and `present` (B, T) bool, with at least one real frame per segment.
Padding may be anywhere; its values, even NaN, change no result and no gradient. The input is already whitened, so the
batch normalisation of TCA's published code is left out, and a segment's descriptor does not depend on the rest of its
batch, even in training.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from tca_model.config import EncoderConfig


class Encoded(NamedTuple):
    refined: Tensor  # (B, T, D) unit rows, zero where padded
    segment: Tensor  # (B, D) unit rows


class MeanAggregator(nn.Module):
    """The baseline for an encoder: unchanged frame descriptors, and their mean."""

    def forward(self, frames: Tensor, present: Tensor) -> Encoded:
        """Encode frames (B, T, D); `present` (B, T) bool marks the real ones, at least one per segment."""
        return with_masked_mean(frames, present)


class NetVLAD(nn.Module):
    """NetVLAD (Arandjelovic et al., CVPR 2016, section 3.1): sums of residuals to K centres, projected to D.

        V_k = sum_t a_k(x_t) (x_t - c_k),   a(x) = softmax_k(w_k . x + b_k)

    Each V_k is normalised, then V as a whole; then dropout, a linear layer (K D -> D), and normalisation. The centres
    start in random directions, because whitened descriptors have no clear clusters, with w_k = 2 alpha c_k and
    b_k = -alpha |c_k|^2. There are no refined frame descriptors: the frame descriptors pass through.
    """

    def __init__(self, dimension: int, config: EncoderConfig) -> None:
        super().__init__()
        # Cosines of random directions have a standard deviation of 1 / sqrt(D). With this alpha the largest share is
        # typically about a hundred times the second, as in the paper.
        alpha = 8.0 * math.sqrt(dimension)
        centres = normalize(torch.randn(config.clusters, dimension), dim=1)
        self.centres = nn.Parameter(centres)
        self.assign = nn.Linear(dimension, config.clusters)
        self.assign.weight.data = 2 * alpha * centres
        self.assign.bias.data.fill_(-alpha)
        self.dropout = nn.Dropout(config.dropout)
        self.project = nn.Linear(config.clusters * dimension, dimension)

    def forward(self, frames: Tensor, present: Tensor) -> Encoded:
        """Encode frames (B, T, D); `present` (B, T) bool marks the real ones, at least one per segment."""
        passed = with_masked_mean(frames, present).refined
        real = zero_padding(frames, present)
        shares = self.assign(real).softmax(dim=2) * present.unsqueeze(2)  # (B, T, K)
        residuals = shares.transpose(1, 2) @ real - shares.sum(dim=1).unsqueeze(2) * self.centres  # (B, K, D)
        vlad = normalize(normalize(residuals, dim=2).flatten(1), dim=1)
        return Encoded(passed, normalize(self.project(self.dropout(vlad)), dim=1))


class RecurrentAggregator(nn.Module):
    """LSTM or GRU over the frames in order, forward only, D wide; the segment descriptor is the mean of the outputs.

    As in TCA's published code, which has two layers with dropout between them. The last state would forget the start.
    """

    def __init__(self, dimension: int, config: EncoderConfig) -> None:
        super().__init__()
        kind = nn.LSTM if config.aggregator == "lstm" else nn.GRU
        dropout = config.dropout if config.layers > 1 else 0.0
        self.layers = kind(dimension, dimension, config.layers, batch_first=True, dropout=dropout)

    def forward(self, frames: Tensor, present: Tensor) -> Encoded:
        """Encode frames (B, T, D); `present` (B, T) bool marks the real ones, at least one per segment."""
        # Real frames first, in order, so that no state passes through padding before a real frame.
        order = present.to(torch.uint8).argsort(dim=1, descending=True, stable=True).unsqueeze(2).expand_as(frames)
        outputs, _ = self.layers(zero_padding(frames, present).gather(1, order))
        return with_masked_mean(torch.zeros_like(outputs).scatter(1, order, outputs), present)


def with_masked_mean(frames: Tensor, present: Tensor) -> Encoded:
    """The frames (B, T, D) with unit rows, and the normalised mean of the rows as passed.

    Raises ValueError for a segment without a real frame.
    """
    if not bool(present.any(dim=1).all()):
        raise ValueError("every segment needs at least one real frame")
    real = zero_padding(frames, present)
    mean = real.sum(dim=1) / present.sum(dim=1, keepdim=True)
    return Encoded(normalize(real, dim=2), normalize(mean, dim=1))


def zero_padding(frames: Tensor, present: Tensor) -> Tensor:
    """Frames (B, T, D) with zeros for padding. Multiplying by 0 would not do: 0 times NaN is NaN."""
    return torch.where(present.unsqueeze(2), frames, 0)
