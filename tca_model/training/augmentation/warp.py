"""Training edits that move pixels: crop, squash, mirror, rotation, perspective; and pictures placed on a canvas.

Each is one resampling per image. Coordinates are those of `grid_sample`: -1 to 1 from left to right, top to bottom.
Images are (B, 3, H, W) in 0..1. The benchmark's edits (tca_model.synthetic.edits) are separate code, on files.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from tca_model.training.augmentation.draw import Draw


def warp(images: Tensor, draw: Draw, size_px: int) -> Tensor:
    """A random window of each image, squashed to the square: (B, 3, H, W) -> (B, 3, size, size).

    The window keeps 45 to 100 % of each side, or (vertical crops) 28 to 50 % of the width. Some are mirrored, rotated
    slightly or by quarters, or seen in perspective. Pixels outside the image are black.
    """
    count = len(images)
    width, height = draw.uniform(count, 0.45, 1), draw.uniform(count, 0.45, 1)
    untouched = draw.chance(count, 0.35)
    width, height = torch.where(untouched, 1.0, width), torch.where(untouched, 1.0, height)
    narrow = draw.chance(count, 0.12)
    width = torch.where(narrow, draw.uniform(count, 0.28, 0.5), width)
    height = torch.where(narrow, draw.uniform(count, 0.85, 1), height)
    left, top = draw.uniform(count, -1, 1) * (1 - width), draw.uniform(count, -1, 1) * (1 - height)
    mirrored = torch.where(draw.chance(count, 0.25), -1.0, 1.0)
    angle = torch.where(draw.chance(count, 0.3), draw.normal(count, math.radians(9)), 0.0)
    angle = angle + torch.where(draw.chance(count, 0.04), draw.choice(count, 4) * (math.pi / 2), 0.0)
    tilt = draw.chance(count, 0.25)
    tilt_x = torch.where(tilt, draw.uniform(count, -0.3, 0.3), 0.0)
    tilt_y = torch.where(tilt, draw.uniform(count, -0.3, 0.3), 0.0)
    zoom = torch.where(tilt, draw.uniform(count, 1.0, 1.2), 1.0)
    x, y = _coordinates(size_px, images.device)
    depth = 1 + tilt_x.view(-1, 1, 1) * x + tilt_y.view(-1, 1, 1) * y
    x, y = x * zoom.view(-1, 1, 1) / depth, y * zoom.view(-1, 1, 1) / depth  # (B, size, size)
    cos, sin = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
    x, y = (x * cos - y * sin) * mirrored.view(-1, 1, 1), x * sin + y * cos
    x = x * width.view(-1, 1, 1) + left.view(-1, 1, 1)
    y = y * height.view(-1, 1, 1) + top.view(-1, 1, 1)
    return grid_sample(images, torch.stack([x, y], dim=3), align_corners=False)


def place(images: Tensor, canvas: Tensor, centre: Tensor, half: Tensor) -> Tensor:
    """Each image squashed into a rectangle of its canvas; centre and half extent are (B, 2), as (x, y)."""
    x, y = _coordinates(canvas.shape[3], images.device)
    x = (x - centre[:, 0].view(-1, 1, 1)) / half[:, 0].view(-1, 1, 1)
    y = (y - centre[:, 1].view(-1, 1, 1)) / half[:, 1].view(-1, 1, 1)
    inside = ((x.abs() <= 1) & (y.abs() <= 1)).unsqueeze(1)
    shrunk = grid_sample(images, torch.stack([x, y], dim=3), align_corners=False, padding_mode="border")
    return torch.where(inside, shrunk, canvas)


def frame_in_frame(images: Tensor, draw: Draw) -> Tensor:
    """Each image at 40 to 85 % of each side, on another image, on a blurred copy of itself, or on one colour."""
    count = len(images)
    half = draw.uniform(count, 0.4, 0.85, 2)
    centre = draw.uniform(count, -1, 1, 2) * (1 - half)
    others = images[draw.order(count)]
    blurred = interpolate(images, size=(6, 6), mode="area")
    blurred = interpolate(blurred, size=images.shape[2:], mode="bilinear")
    flat = draw.uniform(count, 0, 1, 3, 1, 1).expand_as(images)
    kind = draw.choice(count, 4).view(-1, 1, 1, 1)
    return place(images, torch.where(kind == 0, flat, torch.where(kind == 1, blurred, others)), centre, half)


def stack(images: Tensor, draw: Draw) -> Tensor:
    """Each image in one half, another image of the batch in the other: side by side, or one above the other.

    Half of them keep their shape, with black bars, as editors do.
    """
    count = len(images)
    others = images[draw.order(count)]
    along = draw.choice(count, 2)  # 0: side by side
    side = torch.where(draw.chance(count, 0.5), -0.5, 0.5)
    across = torch.where(draw.chance(count, 0.5), 1.0, 0.5)
    is_row = along == 0
    centre = torch.stack([torch.where(is_row, side, 0.0), torch.where(is_row, 0.0, side)], dim=1)
    half = torch.stack([torch.where(is_row, 0.5, across), torch.where(is_row, across, 0.5)], dim=1)
    both = place(others, torch.zeros_like(images), -centre, half)
    return place(images, both, centre, half)


def bars(images: Tensor, draw: Draw) -> Tensor:
    """Each image with bars of one colour on two opposite sides, or on one side (as for captions)."""
    count = len(images)
    share = draw.uniform(count, 0.08, 0.35)  # of the height or width, both bars together
    shift = torch.where(draw.chance(count, 0.6), torch.where(draw.chance(count, 0.5), -share, share), 0.0)
    horizontal = draw.chance(count, 0.75)  # bars above or below, else left or right
    centre = torch.stack([torch.where(horizontal, 0.0, shift), torch.where(horizontal, shift, 0.0)], dim=1)
    half = torch.stack([torch.where(horizontal, 1.0, 1 - share), torch.where(horizontal, 1 - share, 1.0)], dim=1)
    gray = draw.choice(count, 3).view(-1, 1) / 2.0  # black, gray, white
    colour = torch.where(draw.chance(count, 0.3).view(-1, 1), draw.uniform(count, 0, 1, 3), gray)
    return place(images, colour.view(count, 3, 1, 1).expand_as(images), centre, half)


def _coordinates(size_px: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """x and y (1, size, size) of the pixel centres."""
    line = (torch.arange(size_px, device=device, dtype=torch.float32) * 2 + 1) / size_px - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return x.unsqueeze(0), y.unsqueeze(0)
