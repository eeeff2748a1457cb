"""Temporal context aggregation: from the frame descriptors of a segment to refined ones and one segment descriptor.

TCA (arXiv 2008.01334, section 3.2): one transformer encoder layer over the frames, post-norm, without positional
encoding (only alignment uses the order of frames), padding masked out. The segment descriptor is the mean of the
refined descriptors.

Two details differ from the paper. Unit rows are scaled to the length that the layer's own norms produce, sqrt(D):
products of unit rows are so close together that after a softmax every frame would attend to all others equally. And the
residual branches start at zero, so that training starts from the mean of the inputs, a strong baseline.
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
    with_masked_mean,
    zero_padding,
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
        """Encode frames (B, T, D); `present` (B, T) bool marks the real ones, at least one per segment."""
        refined = self.layers(self._scale(frames, present), src_key_padding_mask=~present)
        return with_masked_mean(refined, present)

    def attention(self, frames: Tensor, present: Tensor) -> Tensor:
        """Weights (L, B, H, T, T) per layer and head: how much each frame attends to each other; rows sum to 1."""
        weights, refined = [], self._scale(frames, present)
        for layer in self.layers.layers:
            options = {"key_padding_mask": ~present, "need_weights": True, "average_attn_weights": False}
            weights.append(layer.self_attn(refined, refined, refined, **options)[1])
            refined = layer(refined, src_key_padding_mask=~present)
        return torch.stack(weights)

    def _scale(self, frames: Tensor, present: Tensor) -> Tensor:
        # Padding has attention weight 0, but 0 times NaN is NaN.
        return zero_padding(frames, present) * self.scale


def build_encoder(dimension: int, config: EncoderConfig) -> nn.Module:
    """The configured aggregator for descriptors of that dimension."""
    match config.aggregator:
        case "mean":
            return MeanAggregator()
        case "tca":
            return TCAEncoder(dimension, config)
        case "netvlad":
            return NetVLAD(dimension, config)
        case "lstm" | "gru":
            return RecurrentAggregator(dimension, config)
