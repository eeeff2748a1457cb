"""Looks: one strong filter or overlay, laid over whatever pictures. Functions (pictures, seconds, seed) -> picture."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import PIL.Image
from PIL import ImageDraw, ImageFilter, ImageOps
from PIL.Image import Image as Picture

from bench.alike.words import BLACK, SIZE, WHITE, load_font, make_colour, make_words
from tca_model.synthetic import filters
from tca_model.types import Image

Look: TypeAlias = Callable[[Sequence[Picture], float, int], Picture]  # pictures of SIZE, seconds, seed of the content
CAMERA_SEED = 3  # one place of camera and screen for all that is filmed
NEAREST = PIL.Image.Resampling.NEAREST


def leave(pictures: Sequence[Picture], _time_s: float, _seed: int) -> Picture:
    return pictures[0]


def blur(pictures: Sequence[Picture], _time_s: float, _seed: int) -> Picture:
    return pictures[0].filter(ImageFilter.GaussianBlur(12))


def pixelate(pictures: Sequence[Picture], _time_s: float, _seed: int) -> Picture:
    return pictures[0].resize((20, 12), PIL.Image.Resampling.BOX).resize(SIZE, NEAREST)


def play_from_tape(pictures: Sequence[Picture], time_s: float, _seed: int) -> Picture:
    """A worn video cassette: shifted colours, lines, noise, a tracking error that runs down."""
    pixels = np.asarray(pictures[0]).astype(np.float32)
    pixels = np.stack([np.roll(pixels[..., 0], 5, 1), pixels[..., 1], np.roll(pixels[..., 2], -5, 1)], axis=-1)
    gray = pixels.mean(axis=-1, keepdims=True)
    pixels = 0.6 * gray + 0.4 * pixels + np.random.default_rng(round(100 * time_s)).normal(0, 38, (SIZE[1], SIZE[0], 1))
    pixels[::3] *= 0.7
    top = int(40 * time_s) % 165
    pixels[top : top + 15] = np.roll(pixels[top : top + 15], 40, axis=1) + 60
    return PIL.Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def draw_edges(pictures: Sequence[Picture], _time_s: float, _seed: int) -> Picture:
    edges = pictures[0].convert("L").filter(ImageFilter.GaussianBlur(1)).filter(ImageFilter.FIND_EDGES)
    return ImageOps.invert(ImageOps.autocontrast(edges)).convert("RGB")


def tone_in_two(pictures: Sequence[Picture], _time_s: float, _seed: int) -> Picture:
    return ImageOps.colorize(pictures[0].convert("L"), (40, 10, 90), (250, 210, 90))


def invert(pictures: Sequence[Picture], _time_s: float, _seed: int) -> Picture:
    return ImageOps.invert(pictures[0])


def cut_to_black_and_white(pictures: Sequence[Picture], _time_s: float, _seed: int) -> Picture:
    gray = np.asarray(pictures[0].convert("L"))
    return PIL.Image.fromarray(np.where(gray > np.median(gray), 255, 0).astype(np.uint8)).convert("RGB")


def darken_between_bars(pictures: Sequence[Picture], _time_s: float, _seed: int) -> Picture:
    dark = pictures[0].point(lambda level: level // 5)
    pen = ImageDraw.Draw(dark)
    pen.rectangle((0, 0, 320, 24), BLACK)
    pen.rectangle((0, 156, 320, 180), BLACK)
    return dark


def film(pictures: Sequence[Picture], time_s: float, _seed: int) -> Picture:
    """The picture on a screen that one camera films, with the noise of its sensor."""
    image: Image = np.asarray(pictures[0])
    frame = round(time_s * 5)
    for effect in (filters.camera, filters.noise):
        image = effect(image, filters.Moment(np.random.default_rng(CAMERA_SEED), frame, None))
    return PIL.Image.fromarray(image)


def add_caption_bars(pictures: Sequence[Picture], _time_s: float, _seed: int) -> Picture:
    sheet = PIL.Image.new("RGB", SIZE, WHITE)
    sheet.paste(pictures[0].resize((320, 104)), (0, 38))
    pen = ImageDraw.Draw(sheet)
    pen.text((160, 19), "WHEN YOU SEE IT", BLACK, load_font(24), anchor="mm")
    pen.text((160, 161), "wait for the end", BLACK, load_font(24), anchor="mm")
    return sheet


def add_lower_third(pictures: Sequence[Picture], _time_s: float, seed: int) -> Picture:
    pen, picture = _pen_on(pictures[0])
    pen.rectangle((0, 128, 320, 158), (190, 15, 30))
    pen.rectangle((0, 158, 320, 180), (250, 250, 250))
    pen.text((12, 134), make_words(np.random.default_rng(seed), 3).upper()[:26], WHITE, load_font(16))
    pen.text((12, 162), make_words(np.random.default_rng(seed + 1), 5)[:42], BLACK, load_font(11))
    pen.rectangle((270, 6, 312, 24), (190, 15, 30))
    pen.text((291, 15), "LIVE", WHITE, load_font(12), anchor="mm")
    return picture


def add_watermark(pictures: Sequence[Picture], _time_s: float, _seed: int) -> Picture:
    layer = PIL.Image.new("RGBA", SIZE)
    pen = ImageDraw.Draw(layer)
    pen.text((160, 90), "PREVIEW", (255, 255, 255, 150), load_font(64), anchor="mm")
    pen.line((0, 0, 320, 180), (255, 255, 255, 120), 3)
    pen.line((0, 180, 320, 0), (255, 255, 255, 120), 3)
    return PIL.Image.alpha_composite(pictures[0].convert("RGBA"), layer).convert("RGB")


def add_stream_overlay(pictures: Sequence[Picture], time_s: float, seed: int) -> Picture:
    """A streamer's frame: a chat that goes on, a bar with the latest follower, a camera's empty frame."""
    sheet = PIL.Image.new("RGB", SIZE, (40, 20, 70))
    sheet.paste(pictures[0].resize((216, 122)), (6, 6))
    pen = ImageDraw.Draw(sheet)
    pen.rectangle((228, 6, 314, 174), (24, 24, 28))
    for row in range(12):
        rng = np.random.default_rng((seed, row + int(time_s)))
        pen.text((231, 9 + 13 * row), make_words(rng, 2)[:15], make_colour(rng, 110, 240), load_font(9))
    pen.rectangle((6, 134, 222, 174), (110, 60, 190))
    pen.text((14, 146), "LATEST: " + make_words(np.random.default_rng(seed), 1).upper(), WHITE, load_font(14))
    return sheet


def put_in_app(pictures: Sequence[Picture], _time_s: float, seed: int) -> Picture:
    """An application's page with the clip in it: header, buttons, a column of proposals."""
    sheet = PIL.Image.new("RGB", SIZE, (250, 250, 250))
    pen = ImageDraw.Draw(sheet)
    pen.rectangle((0, 0, 320, 20), WHITE, outline=(220, 220, 220))
    pen.rounded_rectangle((8, 5, 26, 16), 3, (230, 20, 30))
    pen.rounded_rectangle((90, 4, 230, 17), 6, outline=(200, 200, 200))
    sheet.paste(pictures[0].resize((200, 112)), (8, 26))
    pen.text((8, 142), make_words(np.random.default_rng(seed), 4)[:34], BLACK, load_font(11))
    for button in range(4):
        pen.rounded_rectangle((8 + 50 * button, 160, 52 + 50 * button, 174), 7, (235, 235, 235))
    for row in range(5):
        rng = np.random.default_rng((seed, row))
        pen.rectangle((216, 26 + 30 * row, 258, 50 + 30 * row), make_colour(rng))
        pen.text((262, 28 + 30 * row), make_words(rng, 1)[:10], (60, 60, 60), load_font(8))
    return sheet


def add_game_display(pictures: Sequence[Picture], time_s: float, seed: int) -> Picture:
    """What a game draws over its scene: life, ammunition, a map, cross hairs."""
    pen, picture = _pen_on(pictures[0])
    rng = np.random.default_rng((seed, int(time_s)))
    pen.rectangle((8, 164, 108, 174), (60, 0, 0), outline=WHITE)
    pen.rectangle((8, 164, 8 + int(rng.integers(30, 100)), 174), (220, 40, 40))
    pen.ellipse((262, 8, 312, 58), (20, 60, 30), outline=WHITE, width=2)
    for x, y in rng.uniform([270, 16], [304, 50], (4, 2)):
        pen.ellipse((x - 2, y - 2, x + 2, y + 2), (250, 230, 40))
    pen.text((270, 156), f"{rng.integers(5, 40)}/120", WHITE, load_font(16), stroke_width=1, stroke_fill=BLACK)
    pen.line((150, 90, 170, 90), WHITE)
    pen.line((160, 80, 160, 100), WHITE)
    return picture


def add_scoreboard(pictures: Sequence[Picture], time_s: float, seed: int) -> Picture:
    pen, picture = _pen_on(pictures[0])
    rng = np.random.default_rng(seed)
    pen.rectangle((8, 8, 150, 28), (15, 25, 60))
    names = [make_words(rng, 1)[:3].upper() for _ in range(2)]
    score = f"{names[0]} {rng.integers(5)} - {rng.integers(5)} {names[1]}   {int(rng.integers(80))}:{int(time_s):02}"
    pen.text((14, 11), score, WHITE, load_font(13))
    return picture


def add_ticker(pictures: Sequence[Picture], time_s: float, seed: int) -> Picture:
    pen, picture = _pen_on(pictures[0])
    pen.rectangle((0, 156, 320, 180), (10, 30, 110))
    text = make_words(np.random.default_rng(seed), 30).upper()
    pen.text((320 - 50 * time_s, 160), text, WHITE, load_font(14))
    pen.rectangle((0, 156, 62, 180), (200, 20, 30))
    pen.text((31, 168), "NEWS", WHITE, load_font(16), anchor="mm")
    return picture


def lay_in_grid(pictures: Sequence[Picture], _time_s: float, _seed: int) -> Picture:
    """Four pictures, two by two."""
    sheet = PIL.Image.new("RGB", SIZE)
    for number, picture in enumerate(pictures):
        sheet.paste(picture.resize((160, 90)), (160 * (number % 2), 90 * (number // 2)))
    return sheet


def watch(pictures: Sequence[Picture], time_s: float, seed: int) -> Picture:
    """Four gray pictures of cameras, each with a name and the time."""
    sheet = lay_in_grid(pictures, time_s, seed).convert("L").convert("RGB")
    pen = ImageDraw.Draw(sheet)
    for number in range(4):
        x, y = 160 * (number % 2), 90 * (number // 2)
        pen.rectangle((x, y, x + 159, y + 89), outline=WHITE)
        pen.text((x + 4, y + 3), f"CAM {number + 1}", WHITE, load_font(10))
        pen.text(
            (x + 70, y + 77), f"2024-03-{seed % 28 + 1:02} 08:{seed % 60:02}:{int(time_s):02}", WHITE, load_font(9)
        )
    return sheet


def _pen_on(picture: Picture) -> tuple[ImageDraw.ImageDraw, Picture]:
    copied = picture.copy()
    return ImageDraw.Draw(copied), copied


ONE_CLIP: Mapping[str, Look] = MappingProxyType(
    {
        "blurred": blur,
        "pixelated": pixelate,
        "video cassette": play_from_tape,
        "edges": draw_edges,
        "two tones": tone_in_two,
        "inverted": invert,
        "black and white": cut_to_black_and_white,
        "dark with bars": darken_between_bars,
        "filmed screen": film,
        "caption bars": add_caption_bars,
        "lower third": add_lower_third,
        "watermark": add_watermark,
        "stream overlay": add_stream_overlay,
        "app interface": put_in_app,
        "game display": add_game_display,
        "scoreboard": add_scoreboard,
        "news ticker": add_ticker,
    }
)
FOUR_CLIPS: Mapping[str, Look] = MappingProxyType({"grid of clips": lay_in_grid, "surveillance": watch})
LOOKS: Mapping[str, Look] = MappingProxyType({"": leave, **ONE_CLIP, **FOUR_CLIPS})
