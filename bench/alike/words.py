"""What the drawn videos share: the size of their pictures, a canvas, fonts, and words that nobody wrote."""

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import numpy as np
import PIL.Image
from PIL import ImageDraw, ImageFont

SIZE = (320, 180)  # width, height in pixels
SYLLABLES = ("ka", "lo", "mi", "ren", "tas", "vor", "elu", "pin", "dra", "so", "nek", "hal", "qui", "ber", "tum", "ost")

Colour: TypeAlias = tuple[int, int, int]
Drawing: TypeAlias = Callable[[float], PIL.Image.Image]  # the picture at so many seconds
Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)


def make_canvas(colour: Colour) -> tuple[PIL.Image.Image, ImageDraw.ImageDraw]:
    """An empty picture of SIZE and what draws on it."""
    picture = PIL.Image.new("RGB", SIZE, colour)
    return picture, ImageDraw.Draw(picture)


@cache
def load_font(size: int) -> Font:
    """Pillow's own font, so many pixels high."""
    return ImageFont.load_default(size)


def make_words(rng: np.random.Generator, count: int) -> str:
    """So many made-up words of one to three syllables."""
    return " ".join("".join(rng.choice(SYLLABLES, rng.integers(1, 4))) for _ in range(count))


def make_colour(rng: np.random.Generator, lowest: int = 40, highest: int = 230) -> Colour:
    """A random colour with levels in this range."""
    red, green, blue = (int(level) for level in rng.integers(lowest, highest, 3))
    return red, green, blue
