"""Temporal context aggregation: the frame descriptors of a segment to refined ones and one segment descriptor.

TCA (arXiv 2008.01334, section 3.2): one transformer encoder layer over the frames, post-norm, no positional encoding
(the order of frames is the aligner's matter), padding masked out; the segment descriptor is the mean of the refined.
"""

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
        return _with_masked_mean(frames, present)


class TCAEncoder(nn.Module):
    """Multi-head self-attention over the frames of a segment, then a feed-forward layer, both post-norm."""

    def __init__(self, dimension: int, config: EncoderConfig) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            dimension, config.heads, config.feed_forward, config.dropout, batch_first=True, norm_first=False
        )
        self.layers = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)

    def forward(self, frames: Tensor, present: Tensor) -> Encoded:
        """From frames (B, T, D) and which of them are real, (B, T) bool, at least one a row."""
        # padding is attended to with weight 0, and 0 times a NaN is a NaN
        real = torch.where(present.unsqueeze(2), frames, 0)
        return _with_masked_mean(self.layers(real, src_key_padding_mask=~present), present)


def _with_masked_mean(frames: Tensor, present: Tensor) -> Encoded:
    if not bool(present.any(dim=1).all()):
        raise ValueError("every segment needs at least one real frame")
    real = torch.where(present.unsqueeze(2), frames, 0)  # what padding attended to must not leak, not even a NaN
    mean = real.sum(dim=1) / present.sum(dim=1, keepdim=True)
    return Encoded(normalize(real, dim=2), normalize(mean, dim=1))


def build_encoder(dimension: int, config: EncoderConfig) -> nn.Module:
    """The aggregator that the configuration names, for descriptors of that dimension."""
    return MeanAggregator() if config.aggregator == "mean" else TCAEncoder(dimension, config)
