"""The look that all scenes of one made-up clip share: colours, scale, softness, shapes."""

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tca_model.types import Image


@dataclass(frozen=True, slots=True)
class Look:
    """What all scenes of one clip share, so that clips differ as a whole; hues and levels in [0, 1]."""

    hue: float
    hue_spread: float
    saturation: float
    darkest: float
    lightest: float
    scale: float  # of the textures; above 1 is finer
    softness: float  # radius of a blur, in frame heights
    emblems: int  # maximum per canvas
    sprites: int  # maximum per scene


def draw_look(rng: np.random.Generator) -> Look:
    """A random look; clips of similar colour differ in scale, softness or number of shapes."""
    darkest = rng.uniform(0, 0.4)
    return Look(
        hue=float(rng.uniform()),
        hue_spread=float(rng.choice([0.04, 0.12, 0.5])),
        saturation=float(rng.choice([0.08, 0.4, 0.7, 1.0])),
        darkest=float(darkest),
        lightest=float(rng.uniform(darkest + 0.5, 1)),
        scale=float(np.exp(rng.uniform(-0.8, 0.5))),
        softness=float(rng.choice([0, 0, 0.006, 0.02])),
        emblems=int(rng.choice([0, 2, 5, 12])),
        sprites=int(rng.integers(1, 5)),
    )


def palette(rng: np.random.Generator, look: Look) -> Image:
    """256 colours (256, 3), interpolated between four to six anchors of the look, dark and light in random order."""
    count = int(rng.integers(4, 7))
    values = rng.permutation(np.linspace(look.darkest, look.lightest, count))
    anchors = [
        colorsys.hsv_to_rgb((look.hue + rng.uniform(-1, 1) * look.hue_spread) % 1, look.saturation * share, value)
        for share, value in zip(rng.uniform(0.4, 1, count), values, strict=True)
    ]
    at = np.linspace(0, 255, count)
    colours = [np.interp(np.arange(256), at, channel) for channel in zip(*anchors, strict=True)]
    return np.asarray(np.stack(colours, axis=1) * 255, np.uint8)


def outline(rng: np.random.Generator, points: int = 72) -> NDArray[np.float64]:
    """Radius (points,) of a random closed shape, at most 1: a polygon, star, gear, flower or blob."""
    angle = np.arange(points) * 2 * np.pi / points
    corners = int(rng.integers(3, 10))
    kind = rng.integers(5)
    if kind == 0:
        half = np.pi / corners
        radius = np.cos(half) / np.cos(angle % (2 * half) - half)
    elif kind == 1:
        radius = 0.45 + 0.55 * np.abs((angle * corners / np.pi) % 2 - 1)
    elif kind == 2:
        radius = np.where((angle * corners * 2 / np.pi) % 2 < 1, 1.0, 0.75)
    elif kind == 3:
        radius = 0.6 + 0.4 * np.cos(corners * angle)
    else:
        radius = 0.7 + sum(0.12 * np.cos(order * angle + rng.uniform(0, 6)) for order in (2, 3, 5))
    return np.asarray(radius / radius.max(), np.float64)
