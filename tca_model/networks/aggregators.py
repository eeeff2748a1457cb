"""What TCA is compared with: the mean, NetVLAD, LSTM and GRU over the frames of a segment (arXiv 2008.01334, table 1).

Each takes frames (B, T, D), unit rows where real, and `present` (B, T) bool, at least one real frame a row, wherever
the padding lies; what padding holds, be it NaN, changes neither a result nor a gradient. The input is whitened
already, so the batch normalisations of TCA's published code are left out, and a segment's descriptor does not depend
on the rest of its batch, in training either.
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
    """The baseline that an encoder has to beat: frame descriptors as they are, and their mean."""

    def forward(self, frames: Tensor, present: Tensor) -> Encoded:
        """From frames (B, T, D) and which of them are real, (B, T) bool, at least one a row."""
        return with_masked_mean(frames, present)


class NetVLAD(nn.Module):
    """NetVLAD (Arandjelovic et al., CVPR 2016, section 3.1): what lies around each of K centres, then down to D.

        V_k = sum_t a_k(x_t) (x_t - c_k),   a(x) = softmax_k(w_k . x + b_k)

    V_k to unit length each, all of V to unit length, dropout, a linear layer (K D -> D), unit length. The centres start
    in random directions, as whitened descriptors have no clusters to speak of, with w_k = 2 alpha c_k and
    b_k = -alpha |c_k|^2. It makes no refined frame descriptors: the frame descriptors pass through.
    """

    def __init__(self, dimension: int, config: EncoderConfig) -> None:
        super().__init__()
        # Cosines of random directions deviate by 1 / sqrt(D). With this alpha the largest share is typically some
        # hundred times the second, as the paper wants it.
        alpha = 8.0 * math.sqrt(dimension)
        centres = normalize(torch.randn(config.clusters, dimension), dim=1)
        self.centres = nn.Parameter(centres)
        self.assign = nn.Linear(dimension, config.clusters)
        self.assign.weight.data = 2 * alpha * centres
        self.assign.bias.data.fill_(-alpha)
        self.dropout = nn.Dropout(config.dropout)
        self.project = nn.Linear(config.clusters * dimension, dimension)

    def forward(self, frames: Tensor, present: Tensor) -> Encoded:
        """From frames (B, T, D) and which of them are real, (B, T) bool, at least one a row."""
        passed = with_masked_mean(frames, present).refined
        real = real_only(frames, present)
        shares = self.assign(real).softmax(dim=2) * present.unsqueeze(2)  # (B, T, K)
        residuals = shares.transpose(1, 2) @ real - shares.sum(dim=1).unsqueeze(2) * self.centres  # (B, K, D)
        vlad = normalize(normalize(residuals, dim=2).flatten(1), dim=1)
        return Encoded(passed, normalize(self.project(self.dropout(vlad)), dim=1))


class RecurrentAggregator(nn.Module):
    """LSTM or GRU over the frames in their order, one way, D wide; the segment descriptor is the mean of the outputs.

    As in TCA's published code, where it has two layers and dropout between them; the last state would forget the start.
    """

    def __init__(self, dimension: int, config: EncoderConfig) -> None:
        super().__init__()
        kind = nn.LSTM if config.aggregator == "lstm" else nn.GRU
        dropout = config.dropout if config.layers > 1 else 0.0
        self.layers = kind(dimension, dimension, config.layers, batch_first=True, dropout=dropout)

    def forward(self, frames: Tensor, present: Tensor) -> Encoded:
        """From frames (B, T, D) and which of them are real, (B, T) bool, at least one a row."""
        # Real frames first, in their order: no state then passes through padding on its way to a real frame.
        order = present.to(torch.uint8).argsort(dim=1, descending=True, stable=True).unsqueeze(2).expand_as(frames)
        outputs, _ = self.layers(real_only(frames, present).gather(1, order))
        return with_masked_mean(torch.zeros_like(outputs).scatter(1, order, outputs), present)


def with_masked_mean(frames: Tensor, present: Tensor) -> Encoded:
    """The unit rows of frames (B, T, D), and the mean of the rows as they come in, to unit length."""
    if not bool(present.any(dim=1).all()):
        raise ValueError("every segment needs at least one real frame")
    real = real_only(frames, present)
    mean = real.sum(dim=1) / present.sum(dim=1, keepdim=True)
    return Encoded(normalize(real, dim=2), normalize(mean, dim=1))


def real_only(frames: Tensor, present: Tensor) -> Tensor:
    """Frames (B, T, D) with zeros for padding: weighing it with 0 would not do, as 0 times a NaN is a NaN."""
    return torch.where(present.unsqueeze(2), frames, 0)
