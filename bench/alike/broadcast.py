"""Drawn broadcasts and clips of text: one studio each, other news for every seed. Functions seed -> Drawing."""

import math
from functools import cache

import numpy as np
import PIL.Image
from PIL import ImageDraw
from PIL.Image import Image as Picture

from bench.alike.words import BLACK, SIZE, WHITE, Drawing, load_font, make_canvas, make_colour, make_words
from tca_model.synthetic.clips import clip_frames

BACKDROPS = (11, 23, 37)  # seeds of pictures behind text


@cache
def load_backdrop(number: int) -> Picture:
    """One of the still pictures behind text and cartoons."""
    return PIL.Image.fromarray(next(clip_frames(BACKDROPS[number], 1, SIZE, 1)))


def draw_bar_race(seed: int) -> Drawing:
    """A bar chart race: ten bars with names grow and change places."""
    rng = np.random.default_rng(seed)
    names, speeds = [make_words(rng, 1).title() for _ in range(10)], rng.uniform(4, 16, 10)
    starts, tints = rng.uniform(20, 60, 10), [make_colour(rng, 80, 230) for _ in range(10)]

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas(WHITE)
        values = starts + speeds * time_s * (1 + 0.4 * np.sin(time_s / 3 + np.arange(10)))
        for row, number in enumerate(np.argsort(-values)):
            length, y = 200 * values[number] / values.max(), 16 + 15 * row
            pen.rectangle((70, y, 70 + length, y + 12), tints[number])
            pen.text((66, y), names[number][:10], BLACK, load_font(9), anchor="ra")
            pen.text((73 + length, y), f"{values[number] * 1000:,.0f}", (90, 90, 90), load_font(8))
        pen.text((250, 150), str(1990 + int(time_s)), (160, 160, 160), load_font(26))
        return picture

    return draw


def draw_countdown(seed: int) -> Drawing:
    """Large numbers in a circle that count down, from another number and in another colour of the same template."""
    rng = np.random.default_rng(seed)
    start, tint = int(rng.integers(20, 99)), make_colour(rng)

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas((30, 30, 36))
        pen.ellipse((95, 25, 225, 155), outline=(90, 90, 95), width=8)
        pen.arc((95, 25, 225, 155), -90, -90 + 360 * (1 - time_s % 1), tint, 8)
        pen.text((160, 90), str(start - int(time_s)), WHITE, load_font(56), anchor="mm")
        return picture

    return draw


def draw_lyrics(seed: int) -> Drawing:
    """Other lyrics over the same still picture, two lines every three seconds."""

    def draw(time_s: float) -> Picture:
        rng = np.random.default_rng((seed, int(time_s // 3)))
        picture, pen = _paste_backdrop(0)
        for line in range(2):
            place = (160, 75 + 30 * line)
            pen.text(place, make_words(rng, 3), WHITE, load_font(17), anchor="mm", stroke_width=2, stroke_fill=BLACK)
        return picture

    return draw


def draw_karaoke(seed: int) -> Drawing:
    """Other lines of karaoke over the same picture; the words change colour as they are sung."""

    def draw(time_s: float) -> Picture:
        rng = np.random.default_rng((seed, int(time_s // 4)))
        picture, pen = _paste_backdrop(1)
        text = make_words(rng, 5)
        sung = text[: int(len(text) * (time_s % 4) / 4)]
        pen.rectangle((0, 128, 320, 172), (0, 0, 60))
        pen.text((14, 138), text, WHITE, load_font(14))
        pen.text((14, 138), sung, (250, 220, 40), load_font(14))
        return picture

    return draw


def draw_credits(seed: int) -> Drawing:
    """Other names rolling over black."""
    rng = np.random.default_rng(seed)
    lines = [(make_words(rng, 1).title(), make_words(rng, 2).title()) for _ in range(60)]

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas(BLACK)
        for row, (role, name) in enumerate(lines):
            y = 14 * row - 24 * time_s + 20
            if -14 < y < 180:
                pen.text((150, y), role, (190, 190, 190), load_font(10), anchor="ra")
                pen.text((168, y), name, WHITE, load_font(10))
        return picture

    return draw


def draw_weather(seed: int) -> Drawing:
    """The same map of a country with other temperatures, and clouds that drift."""
    rng = np.random.default_rng(seed)
    turn = np.arange(40) * 2 * np.pi / 40
    shape = np.random.default_rng(5).uniform(0.75, 1.1, 40)
    edge = np.stack([110 + 80 * shape * np.cos(turn), 92 + 74 * shape * np.sin(turn)], axis=1)
    places, degrees = np.random.default_rng(6).uniform([50, 40], [170, 140], (9, 2)), rng.integers(-9, 38, (5, 9))
    clouds, names = rng.uniform([20, 20], [200, 140], (4, 2)), ["Mon", "Tue", "Wed", "Thu", "Fri"]

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas((70, 130, 200))
        pen.polygon(edge.ravel().tolist(), (110, 170, 90), outline=(60, 100, 50))
        day = int(time_s / 3) % 5
        for (x, y), degree in zip(places, degrees[day], strict=True):
            pen.rectangle((x - 9, y - 7, x + 9, y + 7), (240, 200 - 3 * int(abs(degree)), 60))
            pen.text((x, y), str(degree), BLACK, load_font(9), anchor="mm")
        for x, y in clouds + np.array([3, 1]) * time_s:
            pen.ellipse((x - 20, y - 8, x + 20, y + 8), (230, 235, 240))
        for row, name in enumerate(names):
            pen.rectangle((232, 10 + 33 * row, 312, 38 + 33 * row), (30, 60, 130) if row != day else (200, 60, 50))
            pen.text((238, 17 + 33 * row), f"{name}  {degrees[row].max()}", WHITE, load_font(11))
        return picture

    return draw


def draw_clock(seed: int) -> Drawing:
    """A clock face that shows another time and another text below."""
    rng = np.random.default_rng(seed)
    start_s, text = float(rng.integers(43200)), make_words(rng, 2)

    def draw(time_s: float) -> Picture:
        picture, pen = make_canvas((235, 232, 220))
        pen.ellipse((90, 6, 230, 146), WHITE, outline=(40, 40, 40), width=5)
        for hour in range(12):
            x, y = _point(hour / 12, 58)
            pen.text((x, y), str(hour or 12), BLACK, load_font(12), anchor="mm")
        now_s = start_s + time_s
        for share, length, width in ((now_s / 43200, 34, 5), (now_s / 3600, 50, 3), (now_s / 60, 56, 1)):
            pen.line((160, 76, *_point(share, length)), (160, 20, 20) if width == 1 else BLACK, width)
        pen.text((160, 164), text, (60, 60, 60), load_font(14), anchor="mm")
        return picture

    return draw


def draw_speaker(seed: int) -> Drawing:
    """Another cartoon speaker before the same studio backdrop, whose mouth and head move."""
    rng = np.random.default_rng(seed)
    skin, hair, shirt = (
        (220, 180 - int(rng.integers(80)), 140 - int(rng.integers(70))),
        make_colour(rng),
        make_colour(rng),
    )
    width, pace, name = float(rng.uniform(24, 34)), float(rng.uniform(4, 8)), make_words(rng, 2).title()

    def draw(time_s: float) -> Picture:
        picture, pen = _paste_backdrop(2)
        x = 160 + 8 * math.sin(time_s * 0.9)
        pen.ellipse((x - 60, 125, x + 60, 240), shirt)
        pen.ellipse((x - width - 4, 38, x + width + 4, 100), hair)
        pen.ellipse((x - width, 48, x + width, 132), skin)
        for side in (-1, 1):
            pen.ellipse((x + side * 11 - 4, 78, x + side * 11 + 4, 86), WHITE)
            pen.ellipse((x + side * 11 - 2, 80, x + side * 11 + 2, 84), BLACK)
        opened = 2 + 5 * abs(math.sin(pace * time_s))
        pen.ellipse((x - 9, 108 - opened, x + 9, 108 + opened), (120, 30, 40))
        pen.rectangle((10, 150, 130, 170), (180, 20, 40))
        pen.text((16, 153), name[:18], WHITE, load_font(11))
        return picture

    return draw


def _paste_backdrop(number: int) -> tuple[Picture, ImageDraw.ImageDraw]:
    picture, pen = make_canvas(BLACK)
    picture.paste(load_backdrop(number))
    return picture, pen


def _point(share: float, radius: float) -> tuple[float, float]:
    """The point of a clock's face at this share of a turn."""
    return 160 + radius * math.sin(2 * math.pi * share), 76 - radius * math.cos(2 * math.pi * share)
