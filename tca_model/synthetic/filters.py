"""The effect of an edit on one picture: functions (image, moment) -> image, on arrays and PIL only.

A filter draws its place, angle or colour from `moment.rng`, which restarts at every frame of a clip. So that each frame
gets the same values, a filter must draw the same numbers whatever the picture shows.
"""

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import PIL.Image
from PIL import ImageColor, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from tca_model.types import Image

CAPTIONS = ("WAIT FOR IT", "nobody expected this", "best part at the end", "follow for more", "he did it again")
STICKER_COLOURS = ((255, 210, 60), (235, 60, 80), (70, 160, 255), (120, 220, 110))
BLACK = (0, 0, 0)


class Moment(NamedTuple):
    """The random numbers of the clip, the frame's number, and the other video's picture if the edit uses one."""

    rng: np.random.Generator
    frame_index: int
    other: Image | None


PictureFilter = Callable[[Image, Moment], Image]


def chain(*pictures: PictureFilter) -> PictureFilter:
    def picture(image: Image, moment: Moment) -> Image:
        for each in pictures:
            image = each(image, moment)
        return image

    return picture


def fit(image: Image, width: int, height: int) -> Image:
    """The whole picture inside (width, height), with black borders."""
    return np.asarray(ImageOps.pad(_pil(image), (width, height)))


def shrink(image: Image, _: Moment) -> Image:
    height, width, _channels = image.shape
    return np.asarray(_pil(image).resize((max(2, width // 2), max(2, height // 2))))


def jpeg(image: Image, _: Moment) -> Image:
    buffer = io.BytesIO()
    _pil(image).save(buffer, "JPEG", quality=8)
    return np.asarray(PIL.Image.open(buffer).convert("RGB"))


def crop(image: Image, moment: Moment) -> Image:
    height, width, _ = image.shape
    kept = moment.rng.uniform(0.7, 0.75)
    kept_height, kept_width = max(2, round(height * kept)), max(2, round(width * kept))
    top = round(moment.rng.uniform(0, 1) * (height - kept_height))
    left = round(moment.rng.uniform(0, 1) * (width - kept_width))
    return image[top : top + kept_height, left : left + kept_width]


def vertical_crop(image: Image, moment: Moment) -> Image:
    height, width, _ = image.shape
    kept_width = min(width, max(2, round(height * 9 / 16)))
    left = round(moment.rng.uniform(0.25, 0.75) * (width - kept_width))
    return image[:, left : left + kept_width]


def letterbox(image: Image, _: Moment) -> Image:
    bar = image.shape[0] // 6  # 16:9 becomes 4:3
    return np.pad(image, ((bar, bar), (0, 0), (0, 0)))


def pillarbox(image: Image, _: Moment) -> Image:
    bar = image.shape[1] // 6  # 4:3 becomes 16:9
    return np.pad(image, ((0, 0), (bar, bar), (0, 0)))


def blurred_bars(image: Image, _: Moment) -> Image:
    height, width, _channels = image.shape
    # A landscape picture on a portrait canvas, a portrait one on a landscape canvas.
    canvas = (width, width * 5 // 4) if width >= height else (height * 5 // 4, height)
    # Blurred at an eighth of the size: equally soft and much faster.
    small = ImageOps.fit(_pil(image), (max(1, canvas[0] // 8), max(1, canvas[1] // 8)))
    backdrop = small.filter(ImageFilter.GaussianBlur(max(small.size) / 30)).resize(canvas)
    backdrop = ImageEnhance.Brightness(backdrop).enhance(0.7)
    backdrop.paste(_pil(image), ((canvas[0] - width) // 2, (canvas[1] - height) // 2))
    return np.asarray(backdrop)


def flip(image: Image, _: Moment) -> Image:
    return image[:, ::-1]


def rotation(image: Image, moment: Moment) -> Image:
    degrees = moment.rng.uniform(4, 9) * moment.rng.choice([-1, 1])
    return np.asarray(_pil(image).rotate(degrees, PIL.Image.Resampling.BILINEAR))


def camera(image: Image, moment: Moment) -> Image:
    height, width, _ = image.shape
    rng = moment.rng
    wall = np.array([rng.uniform(60, 140)] * 3) + rng.uniform(-25, 25, 3)
    row = (np.linspace(1.2, 0.6, width)[:, None] * wall).clip(0, 255).astype(np.uint8)
    backdrop = _pil(np.broadcast_to(row, image.shape))
    # The screen's corners, clockwise from the top left, 4 to 16 % inside the picture; the hand moves all of them alike.
    inward = rng.uniform(0.04, 0.16, (4, 2)) * [[1, 1], [-1, 1], [-1, -1], [1, -1]]
    phase = rng.uniform(0, 2 * np.pi, 2)
    sway = 0.012 * np.sin(moment.frame_index * np.array([0.11, 0.17]) + phase)
    corners = (np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) + inward + sway) * [width, height]
    coefficients = _perspective(corners, np.array([[0, 0], [width, 0], [width, height], [0, height]], float))
    warp = (PIL.Image.Transform.PERSPECTIVE, coefficients, PIL.Image.Resampling.BILINEAR)
    screen = _pil(image).transform((width, height), *warp)
    mask = PIL.Image.new("L", (width, height), 255).transform((width, height), *warp)
    backdrop.paste(ImageEnhance.Brightness(screen).enhance(rng.uniform(0.75, 0.9)), mask=mask)
    return np.asarray(backdrop)


def logo(image: Image, moment: Moment) -> Image:
    height, width, _ = image.shape
    side = max(8, height // 5)
    right, below = moment.rng.integers(0, 2, 2)
    fill = ImageColor.getrgb(f"hsv({moment.rng.integers(360)}, 80%, 90%)")
    emblem = PIL.Image.new("RGBA", (2 * side, side))
    draw = ImageDraw.Draw(emblem)
    draw.rounded_rectangle((0, 0, 2 * side - 1, side - 1), side // 5, fill=(*fill, 200))
    draw.ellipse((side // 8, side // 8, side * 7 // 8, side * 7 // 8), fill=(255, 255, 255, 230))
    draw.text((side * 1.45, side / 2), "TV7", (255, 255, 255, 255), ImageFont.load_default(side * 0.45), anchor="mm")
    margin = side // 5
    corner = (width - 2 * side - margin if right else margin, height - side - margin if below else margin)
    return _paste(image, emblem, corner)


def caption_bar(image: Image, moment: Moment) -> Image:
    height, width, _ = image.shape
    bar = PIL.Image.new("RGB", (width, max(2, height // 5)), (255, 255, 255))
    text = CAPTIONS[moment.rng.integers(len(CAPTIONS))]
    font = ImageFont.load_default(bar.height * 0.5)
    ImageDraw.Draw(bar).text((width / 2, bar.height / 2), text, BLACK, font, anchor="mm")
    return np.concatenate([image, np.asarray(bar)])


def stickers(image: Image, moment: Moment) -> Image:
    height, width, _ = image.shape
    for draw_sticker in (_face, _heart, _star, _face):
        side = max(8, round(height * moment.rng.uniform(0.18, 0.3)))
        sticker = PIL.Image.new("RGBA", (side, side))
        draw_sticker(ImageDraw.Draw(sticker), side, STICKER_COLOURS[moment.rng.integers(len(STICKER_COLOURS))])
        left, top = (moment.rng.uniform(0, 1, 2) * [width - side, height - side]).astype(int)
        image = _paste(image, sticker, (int(left), int(top)))
    return image


def colour(image: Image, moment: Moment) -> Image:
    hue, saturation, value = _pil(image).convert("HSV").split()
    shift = int(moment.rng.integers(15, 45) * moment.rng.choice([-1, 1]))
    hue = hue.point([(level + shift) % 256 for level in range(256)])
    factor = moment.rng.uniform(0.6, 1.4)
    saturation = saturation.point([min(255, round(level * factor)) for level in range(256)])
    return np.asarray(PIL.Image.merge("HSV", (hue, saturation, value)).convert("RGB"))


def gray(image: Image, _: Moment) -> Image:
    return np.asarray(_pil(image).convert("L").convert("RGB"))


def dark(image: Image, moment: Moment) -> Image:
    return _tone(image, gain=moment.rng.uniform(0.4, 0.55), gamma=1.2)


def bright(image: Image, moment: Moment) -> Image:
    return _tone(image, gain=moment.rng.uniform(1.3, 1.6), gamma=0.8)


def blur(image: Image, moment: Moment) -> Image:
    return np.asarray(_pil(image).filter(ImageFilter.GaussianBlur(image.shape[0] * moment.rng.uniform(0.01, 0.015))))


def noise(image: Image, moment: Moment) -> Image:
    grain = np.random.default_rng((int(moment.rng.integers(2**32)), moment.frame_index))
    return (image + 20 * grain.standard_normal(image.shape, np.float32)).clip(0, 255).astype(np.uint8)


def picture_in_picture(image: Image, moment: Moment) -> Image:
    backdrop = _other(moment)
    height, width, _ = backdrop.shape
    scale = moment.rng.uniform(0.45, 0.6)
    inset = ImageOps.contain(_pil(image), (max(2, round(width * scale)), max(2, round(height * scale))))
    right, below = moment.rng.integers(0, 2, 2)
    margin = height // 20
    left = width - inset.width - margin if right else margin
    top = height - inset.height - margin if below else margin
    return _paste(backdrop, inset.convert("RGBA"), (left, top))


def side_by_side(image: Image, moment: Moment) -> Image:
    height, width, _ = image.shape
    pair = [image, fit(_other(moment), width, height)]
    return np.concatenate(pair if moment.rng.integers(2) else pair[::-1], axis=1)


def _tone(image: Image, *, gain: float, gamma: float) -> Image:
    levels = (255 * gain * (np.arange(256) / 255) ** gamma).clip(0, 255).astype(np.uint8)
    return levels[image]


def _other(moment: Moment) -> Image:
    if moment.other is None:
        raise ValueError("this edit needs the picture of another video")
    return moment.other


def _paste(image: Image, layer: PIL.Image.Image, corner: tuple[int, int]) -> Image:
    picture = _pil(image)
    picture.paste(layer, corner, layer)
    return np.asarray(picture)


def _perspective(source: np.ndarray, target: np.ndarray) -> list[float]:
    """The eight coefficients of PIL's PERSPECTIVE that map the four `source` points to the `target` points.

    u = (a x + b y + c) / (g x + h y + 1),  v = (d x + e y + f) / (g x + h y + 1): linear in a..h when multiplied out.
    """
    rows = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    solution: list[float] = np.linalg.solve(np.array(rows), target.reshape(8)).tolist()
    return solution


def _face(draw: ImageDraw.ImageDraw, side: int, fill: tuple[int, int, int]) -> None:
    draw.ellipse((0, 0, side - 1, side - 1), fill)
    for x in (0.32, 0.68):
        draw.ellipse(((x - 0.07) * side, 0.28 * side, (x + 0.07) * side, 0.45 * side), BLACK)
    draw.arc((0.22 * side, 0.3 * side, 0.78 * side, 0.8 * side), 20, 160, BLACK, max(1, side // 14))


def _heart(draw: ImageDraw.ImageDraw, side: int, fill: tuple[int, int, int]) -> None:
    turn = np.linspace(0, 2 * np.pi, 40)
    x = 0.5 + 0.03 * 16 * np.sin(turn) ** 3
    y = 0.45 - 0.03 * (13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn))
    draw.polygon([(a * side, b * side) for a, b in zip(x, y, strict=True)], fill)


def _star(draw: ImageDraw.ImageDraw, side: int, fill: tuple[int, int, int]) -> None:
    turn = np.arange(10) * np.pi / 5
    radius = np.where(np.arange(10) % 2, 0.2, 0.5) * side
    draw.polygon(list(zip(side / 2 + radius * np.sin(turn), side / 2 - radius * np.cos(turn), strict=True)), fill)


def _pil(image: Image) -> PIL.Image.Image:
    return PIL.Image.fromarray(np.ascontiguousarray(image))
