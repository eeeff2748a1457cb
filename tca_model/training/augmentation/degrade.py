"""Training edits that change values: colour, light, blur, noise, coarse pixels, JPEG-like compression.

Images are (B, 3, H, W) in 0..1, and stay in that range. The edits are strong, but a picture always stays recognisable:
an unrecognisable one teaches nothing.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad

from tca_model.training.augmentation.draw import Draw

BLUR_TAPS = 13
BLOCK = 8
# Luma of JPEG (ITU-R BT.601), and the two colour differences.
TO_YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
# Tables K.1 (luma) and K.2 (colour) of the JPEG standard (ITU-T T.81); the second is 99 except in its corner.
LUMA = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)


COLOUR = torch.full((BLOCK, BLOCK), 99)
COLOUR[:4, :4] = torch.tensor([[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]])


def colour(images: Tensor, draw: Draw) -> Tensor:
    """Hue, saturation, contrast, brightness and a tint, as one matrix per image; one in five without colour."""
    count = len(images)
    hue = draw.normal(count, math.radians(35))
    saturation = torch.where(draw.chance(count, 0.2), 0.0, draw.uniform(count, 0.3, 1.8))
    contrast = draw.uniform(count, 0.6, 1.4)
    to_ycc = TO_YCC.to(images.device)
    turn = torch.zeros(count, 3, 3, device=images.device)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = saturation * hue.cos()
    turn[:, 1, 2], turn[:, 2, 1] = -saturation * hue.sin(), saturation * hue.sin()
    tint = 1 + draw.normal(count, 0.08, 3, 1)
    matrix = (torch.linalg.inv(to_ycc) @ turn @ to_ycc) * contrast.view(-1, 1, 1) * tint
    shift = (0.5 - 0.5 * contrast + draw.normal(count, 0.08)).view(-1, 1, 1)
    changed: Tensor = matrix @ images.flatten(2) + shift  # (B, 3, H * W)
    return changed.view_as(images).clamp(0, 1)


def light(images: Tensor, draw: Draw) -> Tensor:
    """Under- or over-exposed: a gamma curve, then a gain."""
    count = len(images)
    gamma = torch.exp(draw.uniform(count, -0.75, 0.75))
    gain = torch.where(gamma > 1, draw.uniform(count, 0.45, 1), draw.uniform(count, 1, 1.5))
    return (images.clamp(1e-4, 1) ** gamma.view(-1, 1, 1, 1) * gain.view(-1, 1, 1, 1)).clamp(0, 1)


def blur(images: Tensor, draw: Draw) -> Tensor:
    """Gaussian blur with a sigma of 0.5 to 3 % of the picture's width."""
    count, channels, _, width = images.shape
    sigma = draw.uniform(count, 0.005, 0.03).view(-1, 1) * width
    distance = torch.arange(BLUR_TAPS, device=images.device) - BLUR_TAPS // 2
    taps = torch.exp(-(distance**2) / (2 * sigma**2))
    taps = (taps / taps.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)  # (B * 3, taps)
    flat = images.reshape(1, count * channels, *images.shape[2:])
    margin = BLUR_TAPS // 2
    flat = conv2d(pad(flat, (margin,) * 4, mode="replicate"), taps.view(-1, 1, BLUR_TAPS, 1), groups=len(taps))
    return conv2d(flat, taps.view(-1, 1, 1, BLUR_TAPS), groups=len(taps)).view_as(images).clamp(0, 1)


def noise(images: Tensor, draw: Draw) -> Tensor:
    """Grain of 2 to 12 % of the range."""
    deviation = draw.uniform(len(images), 0.02, 0.12).view(-1, 1, 1, 1)
    return (images + draw.noise(images) * deviation).clamp(0, 1)


def coarse(images: Tensor, draw: Draw) -> Tensor:
    """Scaled down to 25 to 60 % of the size and up again; one size per batch."""
    side = round(images.shape[3] * draw.one(0.25, 0.6))
    small = interpolate(images, size=(side, side), mode="area")
    return interpolate(small, size=images.shape[2:], mode="bilinear")


def compress(images: Tensor, draw: Draw) -> Tensor:
    """Blocks of 8 x 8 quantised as in JPEG, quality 5 to 40. Sides must be multiples of 8."""
    count, _, height, width = images.shape
    quality = draw.uniform(count, 5, 40).view(-1, 1, 1, 1, 1, 1)
    coarseness = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    to_ycc, dct = TO_YCC.to(images.device), _dct(images.device)
    level = torch.tensor([128.0, 0.0, 0.0], device=images.device).view(3, 1)
    ycc = (to_ycc @ (images.flatten(2) * 255) - level).view(count, 3, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    blocks = ycc.transpose(3, 4)  # (B, 3, rows, columns, 8, 8)
    steps = torch.stack([LUMA, COLOUR, COLOUR]).to(images.device).view(3, 1, 1, BLOCK, BLOCK) * coarseness
    coefficients = torch.round((dct @ blocks @ dct.T) / steps) * steps
    ycc = (dct.T @ coefficients @ dct).transpose(3, 4).reshape(count, 3, height * width)
    rgb: Tensor = torch.linalg.inv(to_ycc) @ (ycc + level) / 255
    return rgb.view_as(images).clamp(0, 1)


def _dct(device: torch.device) -> Tensor:
    """The orthonormal DCT-II matrix (8, 8)."""
    k = torch.arange(BLOCK, device=device, dtype=torch.float32)
    matrix = torch.cos(math.pi / BLOCK * (k + 0.5) * k.view(-1, 1)) * math.sqrt(2 / BLOCK)
    matrix[0] /= math.sqrt(2)
    return matrix
