"""Made-up video clips, different for every seed, for the demo and the tests.

A clip is a sequence of scenes with hard cuts. A scene is a canvas several frames large, painted once with two textures
and scattered emblems. A camera moves over it, and shapes and stick figures move in front of it. The picture changes
every second, so that each interval of a clip differs from all others.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageDraw, ImageFilter

from tca_model.synthetic import textures
from tca_model.synthetic.look import Look, draw_look, outline, palette
from tca_model.synthetic.writer import write_video
from tca_model.types import Image

# Seconds between cuts. Within a scene, camera and sprites make the seconds differ.
SCENE_S = (3.0, 6.0)
# Share of scenes whose second texture is a plain shade: pictures full of detail everywhere look alike.
PLAIN_SHARE = 0.5
# How far the canvas extends beyond the frame, in frame heights: room for the camera's path.
ROOM_X, ROOM_Y = 1.6, 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """A shape in front of the canvas; places, sizes and velocities per second are in frame heights."""

    place: tuple[float, float]
    velocity: tuple[float, float]
    size: float
    spin_per_s: float
    radius: NDArray[np.float64] | None  # outline around the centre; None: a stick figure
    colours: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One shot: the painted canvas, the camera's path over it, and the sprites in front of it."""

    canvas: PIL.Image.Image
    start: NDArray[np.float64]  # x, y of the view's centre in pixels, log zoom, angle
    velocity: NDArray[np.float64]  # of the same four, per second
    sprites: tuple[Sprite, ...]


def write_clip(
    path: Path,
    seed: int,
    *,
    duration_s: float,
    size: tuple[int, int] = (426, 240),
    fps: float = 15.0,
    look_seed: int | None = None,
) -> None:
    """Write the clip of `seed` to `path` as an mp4 of `size` (width, height); `look_seed` as in clip_frames."""
    write_video(path, clip_frames(seed, duration_s, size, fps, look_seed=look_seed), fps=fps)


def clip_frames(
    seed: int,
    duration_s: float,
    size: tuple[int, int] = (426, 240),
    fps: float = 15.0,
    *,
    look_seed: int | None = None,
) -> Iterator[Image]:
    """Frames of the clip of `seed`, the same on every call. Raises ValueError for a clip without a frame.

    Clips of one `look_seed` look alike: they have the same look and show the same textures in the same order, each
    painted again, with its own shapes, camera and cuts. By default each clip has a look of its own.
    """
    frame_count = round(duration_s * fps)
    if frame_count < 1 or min(size) < 2:
        raise ValueError(f"a clip of {duration_s} s at {fps} frames per second, {size} pixels, has nothing to show")
    rng = np.random.default_rng(seed)
    shared = rng if look_seed is None else np.random.default_rng(look_seed)
    look = draw_look(shared)
    # Textures in random order, repeated only after all of them were used.
    order = shared.permutation(len(textures.TEXTURES))
    shot, done = 0, 0
    while done < frame_count:
        scene_s = rng.uniform(*SCENE_S)
        pair = [textures.TEXTURES[order[(2 * shot + layer) % len(order)]] for layer in range(2)]
        if rng.random() < PLAIN_SHARE:
            pair[1] = textures.shade
        scene = _scene(rng, look, pair, scene_s, size)
        shown = min(max(1, round(scene_s * fps)), frame_count - done)
        for index in range(shown):
            yield _frame(scene, index / fps, size)
        shot, done = shot + 1, done + shown


def _scene(
    rng: np.random.Generator, look: Look, pair: list[textures.Texture], scene_s: float, size: tuple[int, int]
) -> Scene:
    width, height = size
    canvas = _canvas(rng, look, pair, (round(width + ROOM_X * height), round(height + ROOM_Y * height)))
    # From one side of the room to the other during the scene, but not all the way: the corners of a rotated view of up
    # to 16:9 must stay on the canvas.
    room = np.array([ROOM_X, ROOM_Y]) * height / 2
    way = rng.choice([-1, 1], 2) * rng.uniform([0.5, 0.2], [0.85, 0.6]) * room
    middle = np.array(canvas.size) / 2
    zoom = rng.uniform(0.1, 0.5, 2)
    angle = rng.uniform(-0.25, 0.25, 2)
    start = np.array([*(middle - way), zoom[0], angle[0]])
    end = np.array([*(middle + way), zoom[1], angle[1]])
    sprites = tuple(_sprite(rng, look, width / height, scene_s) for _ in range(rng.integers(1, look.sprites + 1)))
    return Scene(canvas, start, (end - start) / scene_s, sprites)


def _canvas(
    rng: np.random.Generator, look: Look, pair: list[textures.Texture], size: tuple[int, int]
) -> PIL.Image.Image:
    """A canvas with two textures, each in its own colours and its own part, and emblems on top."""
    width, height = size
    unit = height / (1 + ROOM_Y)
    y, x = (axis.astype(np.float32) * np.float32(look.scale / unit) for axis in np.mgrid[:height, :width])
    pictures = [palette(rng, look)[(texture(rng, x, y) * 255).astype(np.uint8)] for texture in pair]
    canvas = PIL.Image.fromarray(np.where(textures.region(rng, x, y)[..., None], *pictures))
    draw = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(look.emblems // 2, look.emblems + 1)):
        place = rng.uniform(0, [width, height])
        _draw_shape(draw, place, rng.uniform(0.08, 0.3) * unit, rng.uniform(0, 6), outline(rng), _colours(rng, look))
    return canvas.filter(ImageFilter.GaussianBlur(look.softness * unit)) if look.softness else canvas


def _sprite(rng: np.random.Generator, look: Look, aspect: float, scene_s: float) -> Sprite:
    start, end = rng.uniform(0, [aspect, 1], (2, 2))
    velocity = (end - start) / scene_s
    return Sprite(
        place=(float(start[0]), float(start[1])),
        velocity=(float(velocity[0]), float(velocity[1])),
        size=float(rng.uniform(0.12, 0.32)),
        spin_per_s=float(rng.uniform(-2, 2)),
        radius=None if rng.random() < 0.3 else outline(rng),
        colours=_colours(rng, look),
    )


def _colours(rng: np.random.Generator, look: Look) -> tuple[tuple[int, int, int], ...]:
    return tuple((int(r), int(g), int(b)) for r, g, b in palette(rng, look)[[20, 128, 235]])


def _frame(scene: Scene, time_s: float, size: tuple[int, int]) -> Image:
    width, height = size
    x, y, zoom, angle = scene.start + scene.velocity * time_s
    # PIL expects the inverse map, output pixel -> canvas pixel: rotate, shrink, then move to the view's centre.
    cosine, sine = np.cos(angle) / np.exp(zoom), np.sin(angle) / np.exp(zoom)
    left = x - cosine * width / 2 + sine * height / 2
    top = y - sine * width / 2 - cosine * height / 2
    matrix = (cosine, -sine, left, sine, cosine, top)
    view = scene.canvas.transform(size, PIL.Image.Transform.AFFINE, matrix, PIL.Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(view)
    for sprite in scene.sprites:
        place = (np.array(sprite.place) + np.array(sprite.velocity) * time_s) * height
        if sprite.radius is None:
            _draw_figure(draw, place, sprite.size * height, time_s, sprite)
        else:
            turn = sprite.spin_per_s * time_s
            _draw_shape(draw, place, sprite.size * height, turn, sprite.radius, sprite.colours)
    return np.asarray(view)


def _draw_shape(
    draw: ImageDraw.ImageDraw,
    place: NDArray[np.float64],
    size: float,
    turn: float,
    radius: NDArray[np.float64],
    colours: tuple[tuple[int, int, int], ...],
) -> None:
    """Draw the outline three times, each smaller than the one before, in its three colours."""
    angle = np.arange(len(radius)) * 2 * np.pi / len(radius) + turn
    edge = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None] * size
    for scale, colour in zip((1, 0.7, 0.35), colours, strict=True):
        draw.polygon((place + scale * edge).ravel().tolist(), colour)


def _draw_figure(
    draw: ImageDraw.ImageDraw, place: NDArray[np.float64], size: float, time_s: float, sprite: Sprite
) -> None:
    """Draw a walking stick figure, `size` from hip to crown; its limbs swing faster with its spin."""
    x, y = place
    limb, torso, head = sprite.colours
    thick = max(1, round(size / 7))
    swing = 0.7 * np.sin(time_s * (3 + 2 * abs(sprite.spin_per_s)))
    for side in (-1, 1):
        for top, length in ((y, 0.9), (y - 0.55 * size, 0.6)):
            angle = side * (swing + 0.15)
            foot = (x + length * size * np.sin(angle), top + length * size * np.cos(angle))
            draw.line((x, top, *foot), limb, thick)
    draw.line((x, y, x, y - 0.65 * size), torso, 2 * thick)
    draw.ellipse((x - size / 4, y - 1.1 * size, x + size / 4, y - 0.6 * size), head)
