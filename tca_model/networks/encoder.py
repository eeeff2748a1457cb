"""Temporal context aggregation: the frame descriptors of a segment to refined ones and one segment descriptor.

TCA (arXiv 2008.01334, section 3.2): one transformer encoder layer over the frames, post-norm, no positional encoding
(the order of frames is the aligner's matter), padding masked out; the segment descriptor is the mean of the refined.

Two things are ours. Unit rows are scaled to the length that the layer's own norms give, sqrt(D): a softmax sees no
difference between products of unit rows, and all frames would attend to all alike. And the branches beside the
residual begin at zero, so that training starts from the mean of the inputs, which is hard to beat.
"""

import math

import torch
from torch import Tensor, nn

from tca_model.config import EncoderConfig
from tca_model.networks.aggregators import (
    Encoded,
    MeanAggregator,
    NetVLAD,
    RecurrentAggregator,
    real_only,
    with_masked_mean,
)


class TCAEncoder(nn.Module):
    """Multi-head self-attention over the frames of a segment, then a feed-forward layer, both post-norm."""

    def __init__(self, dimension: int, config: EncoderConfig) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            dimension, config.heads, config.feed_forward, config.dropout, batch_first=True, norm_first=False
        )
        for last in (layer.self_attn.out_proj, layer.linear2):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        self.layers = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.scale = math.sqrt(dimension)

    def forward(self, frames: Tensor, present: Tensor) -> Encoded:
        """From frames (B, T, D) and which of them are real, (B, T) bool, at least one a row."""
        refined = self.layers(self._scaled(frames, present), src_key_padding_mask=~present)
        return with_masked_mean(refined, present)

    def attention(self, frames: Tensor, present: Tensor) -> Tensor:
        """Weights (L, B, H, T, T) of each layer and head: how much each frame attends to each, rows adding up to 1."""
        weights, refined = [], self._scaled(frames, present)
        for layer in self.layers.layers:
            asked = {"key_padding_mask": ~present, "need_weights": True, "average_attn_weights": False}
            weights.append(layer.self_attn(refined, refined, refined, **asked)[1])
            refined = layer(refined, src_key_padding_mask=~present)
        return torch.stack(weights)

    def _scaled(self, frames: Tensor, present: Tensor) -> Tensor:
        # padding is attended to with weight 0, and 0 times a NaN is a NaN
        return real_only(frames, present) * self.scale


def build_encoder(dimension: int, config: EncoderConfig) -> nn.Module:
    """The aggregator that the configuration names, for descriptors of that dimension."""
    match config.aggregator:
        case "mean":
            return MeanAggregator()
        case "tca":
            return TCAEncoder(dimension, config)
        case "netvlad":
            return NetVLAD(dimension, config)
        case "lstm" | "gru":
            return RecurrentAggregator(dimension, config)
