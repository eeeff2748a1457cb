"""Training edits that add overlays: lines of text, logos, emoji-like shapes, drawn once with Pillow."""

import string

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import grid_sample

from tca_model.training.augmentation.draw import Draw

SIDE_PX = 96
COUNT = 96


def draw_overlays(seed: int = 0) -> Tensor:
    """RGBA overlays (COUNT, 4, SIDE_PX, SIDE_PX) in 0..1: a third each of text, logos, shapes."""
    rng = np.random.default_rng(seed)
    drawn = [(_text, _logo, _shape)[number % 3](rng) for number in range(COUNT)]
    return torch.from_numpy(np.stack([np.asarray(image) for image in drawn])).permute(0, 3, 1, 2).float() / 255


def overlay(images: Tensor, draw: Draw, overlays: Tensor) -> Tensor:
    """One overlay on each image (B, 3, H, W): 15 to 65 % of its width, half to fully opaque, anywhere."""
    count, _, height, width = images.shape
    chosen = overlays[draw.choice(count, len(overlays)).to(overlays.device)]
    half_x = draw.uniform(count, 0.15, 0.65).view(-1, 1, 1)
    half_y = half_x * draw.uniform(count, 0.5, 1.2).view(-1, 1, 1)
    centre_x = draw.uniform(count, -0.9, 0.9).view(-1, 1, 1)
    centre_y = draw.uniform(count, -0.9, 0.9).view(-1, 1, 1)
    x = torch.linspace(-1, 1, width, device=images.device).view(1, 1, -1)
    y = torch.linspace(-1, 1, height, device=images.device).view(1, -1, 1)
    x = ((x - centre_x) / half_x).expand(count, height, width)
    y = ((y - centre_y) / half_y).expand(count, height, width)
    on_top = grid_sample(chosen, torch.stack([x, y], dim=3), align_corners=False)  # opacity 0 outside
    opacity = on_top[:, 3:] * draw.uniform(count, 0.5, 1).view(-1, 1, 1, 1)
    return images * (1 - opacity) + on_top[:, :3] * opacity


def _text(rng: np.random.Generator) -> Image.Image:
    image, pen = _blank()
    lines = int(rng.integers(1, 4))
    if rng.random() < 0.4:
        pen.rectangle((0, SIDE_PX // 2 - 14 * lines, SIDE_PX, SIDE_PX // 2 + 14 * lines), fill=_colour(rng, 150))
    fill = (255, 255, 255, 255) if rng.random() < 0.6 else _colour(rng)
    for line in range(lines):
        words = "".join(rng.choice(list(string.ascii_letters + "    "), int(rng.integers(6, 14))))
        middle = SIDE_PX / 2 + (line - (lines - 1) / 2) * 26
        font = ImageFont.load_default(float(rng.uniform(13, 24)))
        pen.text((SIDE_PX / 2, middle), words, fill, font, anchor="mm", stroke_width=1, stroke_fill=(0, 0, 0, 255))
    return image


def _logo(rng: np.random.Generator) -> Image.Image:
    image, pen = _blank()
    edge = int(rng.integers(2, 12))
    box = (edge, edge, SIDE_PX - edge, SIDE_PX - edge)
    if rng.random() < 0.5:
        pen.ellipse(box, fill=_colour(rng), outline=_colour(rng), width=int(rng.integers(1, 8)))
    else:
        pen.rounded_rectangle(box, int(rng.integers(0, 30)), _colour(rng), _colour(rng), int(rng.integers(1, 8)))
    letters = "".join(rng.choice(list(string.ascii_uppercase + string.digits), int(rng.integers(1, 4))))
    font = ImageFont.load_default(float(rng.uniform(24, 44)))
    pen.text((SIDE_PX / 2, SIDE_PX / 2), letters, _colour(rng), font, anchor="mm")
    return image


def _shape(rng: np.random.Generator) -> Image.Image:
    """A face, or a random polygon: similar to stars, hearts, arrows."""
    image, pen = _blank()
    if rng.random() < 0.4:
        pen.ellipse((4, 4, SIDE_PX - 4, SIDE_PX - 4), fill=_colour(rng))
        for left in (28, 56):
            pen.ellipse((left, 30, left + 12, 44), fill=(20, 20, 20, 255))
        pen.arc((26, 36, 70, 74), 10, 170, fill=(20, 20, 20, 255), width=5)
        return image
    corners = int(rng.integers(3, 11))
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radii = rng.uniform(0.3, 1, corners) * SIDE_PX / 2
    points = [(SIDE_PX / 2 + r * np.cos(a), SIDE_PX / 2 + r * np.sin(a)) for r, a in zip(radii, angles, strict=True)]
    pen.polygon(points, fill=_colour(rng), outline=_colour(rng), width=3)
    return image


def _blank() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGBA", (SIDE_PX, SIDE_PX))
    return image, ImageDraw.Draw(image)


def _colour(rng: np.random.Generator, opacity: int = 255) -> tuple[int, int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue, opacity
