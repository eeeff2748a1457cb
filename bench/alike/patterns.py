"""Drawn patterns: generated textures, with other random numbers for every seed. Functions seed -> Drawing."""

import numpy as np
import PIL.Image
from PIL.Image import Image as Picture

from bench.alike.words import BLACK, SIZE, Drawing, load_font, make_canvas, make_colour

BARS = ((235, 235, 235), (235, 235, 16), (16, 235, 235), (16, 235, 16), (235, 16, 235), (235, 16, 16), (16, 16, 235))


def draw_static(seed: int) -> Drawing:
    """The noise of a television without a channel."""

    def draw(time_s: float) -> Picture:
        rng = np.random.default_rng((seed, round(time_s * 100)))
        return PIL.Image.fromarray(rng.integers(0, 256, (90, 160), np.uint8)).resize(SIZE).convert("RGB")

    return draw


def draw_gradients(seed: int) -> Drawing:
    """Three soft colours that drift through each other."""
    rng = np.random.default_rng(seed)
    tints, paths = rng.uniform(30, 255, (3, 3)), rng.uniform(0.05, 0.3, (3, 2))
    phases = rng.uniform(0, 6, (3, 2))
    y, x = np.mgrid[:90, :160]

    def draw(time_s: float) -> Picture:
        centres = (0.5 + 0.45 * np.sin(paths * time_s + phases)) * [160, 90]
        weights = np.stack([np.exp(-((x - u) ** 2 + (y - v) ** 2) / 3000) for u, v in centres]) + 0.05
        picture = np.tensordot(weights / weights.sum(axis=0), tints, axes=(0, 0))
        return PIL.Image.fromarray(picture.astype(np.uint8)).resize(SIZE)

    return draw


def draw_test_pattern(seed: int) -> Drawing:
    """A broadcaster's test pattern with a line that runs through it: other proportions and another clock."""
    rng = np.random.default_rng(seed)
    order, radius, minute = rng.permutation(7), int(rng.integers(45, 80)), int(rng.integers(60))

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas((120, 120, 120))
        for column in range(16):
            for row in range(9):
                pen.rectangle((20 * column, 20 * row, 20 * column + 19, 20 * row + 19), outline=(200, 200, 200))
        pen.ellipse((160 - radius, 90 - radius, 160 + radius, 90 + radius), (180, 180, 180))
        for number, bar in enumerate(order):
            pen.rectangle((104 + 16 * number, 50, 119 + 16 * number, 100), BARS[bar])
        pen.text((160, 118), f"12:{minute:02}:{int(time_s):02}", BLACK, load_font(16), anchor="mm")
        pen.line((0, 25 * time_s % 180, 320, 25 * time_s % 180), (255, 255, 255), 2)
        return picture

    return draw


def draw_starfield(seed: int) -> Drawing:
    """A flight through stars."""
    rng = np.random.default_rng(seed)
    stars = rng.uniform([-1, -1, 0.1], [1, 1, 1], (260, 3))

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas((4, 4, 14))
        depth = (stars[:, 2] - 0.12 * time_s) % 0.9 + 0.1
        for (x, y, _), near in zip(stars, depth, strict=True):
            u, v, size = 160 + 110 * x / near, 90 + 62 * y / near, 0.6 / near
            if 0 < u < 320 and 0 < v < 180:
                pen.ellipse((u - size, v - size, u + size, v + size), (int(255 - 160 * near),) * 3)
        return picture

    return draw


def draw_fireworks(seed: int) -> Drawing:
    """Rockets that burst over the same dark skyline."""
    rng = np.random.default_rng(seed)
    bursts = [
        (float(rng.uniform(0, 16)), rng.uniform([40, 20], [280, 90]), make_colour(rng, 90, 255)) for _ in range(30)
    ]
    sparks = rng.normal(0, 1, (30, 50, 2))
    roofs = np.random.default_rng(9).integers(15, 45, 16)

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas((8, 8, 26))
        for number, (begin_s, centre, tint) in enumerate(bursts):
            age_s = time_s - begin_s
            if 0 < age_s < 1.6:
                for u, v in centre + sparks[number] * 26 * age_s + [0, 9 * age_s**2]:
                    pen.ellipse((u - 1, v - 1, u + 1, v + 1), tint)
        for number, height in enumerate(roofs):
            pen.rectangle((20 * number, 180 - int(height), 20 * number + 19, 180), BLACK)
        return picture

    return draw


def draw_waves(seed: int) -> Drawing:
    """The bars of a music visualiser that dance to other music."""
    rng = np.random.default_rng(seed)
    paces, phases = rng.uniform(2, 9, 32), rng.uniform(0, 6, 32)

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas((10, 8, 24))
        heights = 12 + 60 * np.abs(np.sin(paces * time_s + phases))
        for column, height in enumerate(heights):
            box = (10 * column + 1, 90 - float(height), 10 * column + 8, 90 + float(height))
            pen.rectangle(box, (40 + 6 * column, 220 - 5 * column, 230))
        return picture

    return draw
