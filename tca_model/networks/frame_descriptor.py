"""From pixels to frame descriptors: backbone, pooling, whitening."""

import torch
from torch import Tensor, nn

from tca_model.config import FrameConfig
from tca_model.networks.backbone import Backbone
from tca_model.networks.pooling import POOLINGS
from tca_model.networks.whitening import Whitening


class FrameDescriptor(nn.Module):
    """Frame descriptors (B, D), unit rows, of RGB images (B, H, W, 3) in uint8 at the configured input size."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: FrameConfig, backbone: Backbone, whitening: Whitening | None) -> None:
        """Without whitening (before it is fitted) the result is the pooled vector (B, sum C_i)."""
        super().__init__()
        self.config = config
        self.backbone = backbone.to(memory_format=torch.channels_last)
        self.pool = POOLINGS[config.pooling]
        self.whitening = whitening
        self.register_buffer("mean", torch.tensor(config.mean) * 255)
        self.register_buffer("std", torch.tensor(config.std) * 255)

    def forward(self, images: Tensor) -> Tensor:
        # (B, H, W, 3) uint8 -> (B, 3, H, W) float: the permuted view is already in channels-last order
        normalised = ((images.float() - self.mean) / self.std).permute(0, 3, 1, 2)
        stages = self.backbone(normalised)
        # Under autocast only the convolutions run in low precision: whitening amplifies small differences.
        with torch.autocast(images.device.type, enabled=False):
            pooled = self.pool([stage.float() for stage in stages])
            return pooled if self.whitening is None else self.whitening(pooled)
