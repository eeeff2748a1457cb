"""Textures of made-up scenes: functions (random numbers, x, y) -> levels (H, W) in [0, 1].

Coordinates: x, y (H, W) in units of one frame height, so that a scene looks the same at every size.
"""

from collections.abc import Callable

import numpy as np
import PIL.Image
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Texture = Callable[[np.random.Generator, Plane, Plane], Plane]

# With this many octaves a smooth field has detail down to a few pixels of a 240-line frame.
OCTAVES = 6


def clouds(rng: np.random.Generator, x: Plane, y: Plane, *, cells: float = 1.5, gain: float = 0.55) -> Plane:
    """Multi-octave value noise in [0, 1]: the sum over octaves o of gain^o times a random grid of cells * 2^o."""
    height, width = x.shape
    extent_x, extent_y = float(x[0, -1] - x[0, 0]), float(y[-1, 0] - y[0, 0])
    total = np.zeros((height, width), np.float32)
    for octave in range(OCTAVES):
        density = cells * 2**octave
        grid = rng.random((max(2, round(extent_y * density)), max(2, round(extent_x * density))), dtype=np.float32)
        smooth = PIL.Image.fromarray(grid).resize((width, height), PIL.Image.Resampling.BICUBIC)
        total += gain**octave * np.asarray(smooth)
    return _stretch(total)


def cells(rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    """Voronoi cells, each of one level, darker towards the borders."""
    (nearest, second), level = _cell_distances(rng, x, y, rng.uniform(2, 5))
    border = np.clip((second - nearest) * rng.uniform(6, 14), 0, 1)
    return np.asarray(level * border, np.float32)


def pebbles(rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    (nearest, second), level = _cell_distances(rng, x, y, rng.uniform(4, 8))
    return np.asarray(np.clip(1 - nearest / np.maximum(second, 1e-3), 0, 1) * (0.4 + 0.6 * level), np.float32)


def stripes(rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    u, _ = _rotate(rng, x, y)
    wobble = 0.12 * clouds(rng, x, y) * rng.uniform(0, 4)
    phase = (u + wobble) * rng.uniform(3, 14)
    if rng.random() < 0.5:
        return _levels(rng, np.floor(phase))
    return np.asarray(0.5 + 0.5 * np.sin(2 * np.pi * phase), np.float32)


def checker(rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    u, v = _rotate(rng, x, y)
    side = rng.uniform(3, 8)
    return _levels(rng, np.floor(u * side) * 31 + np.floor(v * side) * 17 + (np.floor(u * side) % 2) * 7)


def bricks(rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    rows = rng.uniform(6, 14)
    row = np.floor(y * rows)
    along = x * rows / rng.uniform(1.6, 3) + 0.5 * (row % 2)
    joint = (np.abs(y * rows % 1 - 0.5) < 0.42) & (np.abs(along % 1 - 0.5) < 0.46)
    grain = 0.3 * clouds(rng, x, y, cells=8)
    return np.asarray(np.where(joint, 0.15 + 0.55 * _levels(rng, row * 57 + np.floor(along)) + grain, 0.95), np.float32)


def plasma(rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    total = np.zeros_like(x)
    for _ in range(4):
        u, v = _rotate(rng, x, y)
        total += np.sin(u * rng.uniform(3, 14) + rng.uniform(0, 6)) * np.cos(v * rng.uniform(2, 9))
    rings = np.hypot(x - rng.uniform(0, 2), y - rng.uniform(0, 1)) * rng.uniform(8, 25)
    return _stretch(total + np.sin(rings))


def rings(rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    """Concentric rings around many centres, one per cell: targets, records, tree rings."""
    (nearest, _), level = _cell_distances(rng, x, y, rng.uniform(1.2, 2.5))
    return np.asarray(0.5 + 0.5 * np.sin(nearest * rng.uniform(40, 110) + 6 * level), np.float32)


def stars(rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    (nearest, _), level = _cell_distances(rng, x, y, rng.uniform(6, 11))
    glow = np.exp(-nearest * rng.uniform(40, 70) / (0.25 + level))
    return np.asarray(np.clip(glow + 0.35 * clouds(rng, x, y) ** 2, 0, 1), np.float32)


def dots(rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    """A halftone: a lattice of discs with sizes from a cloud."""
    u, v = _rotate(rng, x, y)
    side = rng.uniform(8, 18)
    radius = np.hypot(u * side % 1 - 0.5, v * side % 1 - 0.5)
    return np.asarray(np.clip((0.1 + 0.5 * clouds(rng, x, y) - radius) * 8 + 0.5, 0, 1), np.float32)


def tiles(rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    """Truchet tiles: quarter circles that join into a maze of random loops."""
    side = rng.uniform(4, 9)
    column, row = np.floor(x * side), np.floor(y * side)
    u, v = x * side - column, y * side - row
    u = np.where(_levels(rng, column * 131 + row * 71) < 0.5, u, 1 - u)
    distance = np.minimum(np.abs(np.hypot(u, v) - 0.5), np.abs(np.hypot(1 - u, 1 - v) - 0.5))
    return np.asarray(np.clip(1.4 - distance * rng.uniform(4, 9), 0, 1), np.float32)


def plaid(rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    u, v = _rotate(rng, x, y)
    side = rng.uniform(6, 20)
    weave = 0.12 * ((np.floor(u * 90) + np.floor(v * 90)) % 2)
    return np.asarray(
        np.clip(0.45 * _levels(rng, np.floor(u * side)) + 0.45 * _levels(rng, np.floor(v * side)) + weave, 0, 1),
        np.float32,
    )


def contours(rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    """Thin height lines of a cloud, as on a hiking map."""
    height = clouds(rng, x, y, cells=1.2, gain=0.4)
    line = np.abs(height * rng.uniform(8, 20) % 1 - 0.5) < 0.12
    return np.asarray(np.where(line, 0.05, 0.35 + 0.6 * height), np.float32)


def terrain(rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    """Mountain ranges in front of each other under a sky; nearer ones are darker."""
    picture = 0.75 + 0.25 * clouds(rng, x, y, cells=2)
    bottom = float(y[-1, 0])
    for layer in range(4):
        profile = clouds(rng, x, y, cells=0.8 + 0.5 * layer)[0]
        ridge = bottom * (0.15 + 0.2 * layer) + 0.5 * (profile - 0.5)
        ground = 0.55 - 0.15 * layer + 0.2 * clouds(rng, x, y, cells=4)
        picture = np.where(y > ridge[None, :], ground, picture)
    return np.asarray(picture, np.float32)


def shade(rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    """A slow gradient: like paper, a wall, a clear sky."""
    return _stretch(_rotate(rng, x, y)[0] + rng.uniform(0, 0.8) * clouds(rng, x, y, cells=0.7, gain=0.2))


def skyline(rng: np.random.Generator, x: Plane, y: Plane) -> Plane:
    """A street of towers with randomly lit windows."""
    block = np.floor(x * rng.uniform(2.5, 5))
    top = float(y[-1, 0]) * (0.1 + 0.65 * _levels(rng, block))
    pane = rng.uniform(12, 24)
    pane_x, pane_y = x * pane, y * pane * 0.8
    glass = (pane_x % 1 > 0.35) & (pane_y % 1 > 0.4)
    lit = _levels(rng, np.floor(pane_x) * 91 + np.floor(pane_y) * 37) > 0.5
    wall = 0.1 + 0.3 * _levels(rng, block + 0.5)
    return np.asarray(np.where(y > top, np.where(glass & lit, 0.95, wall), 0.55 + 0.3 * clouds(rng, x, y)), np.float32)


TEXTURES: tuple[Texture, ...] = (
    clouds,
    cells,
    pebbles,
    stripes,
    checker,
    bricks,
    plasma,
    rings,
    stars,
    dots,
    tiles,
    plaid,
    contours,
    terrain,
    skyline,
)


def region(rng: np.random.Generator, x: Plane, y: Plane) -> NDArray[np.bool_]:
    """Where the first of two textures is: a coast, a tilted half plane, a disc or bands."""
    kind = rng.integers(4)
    if kind == 0:
        return clouds(rng, x, y, cells=0.6, gain=0.3) > rng.uniform(0.35, 0.65)
    u, _ = _rotate(rng, x, y)
    middle = float(u.mean())
    if kind == 1:
        return u > middle + rng.uniform(-0.4, 0.4)
    if kind == 2:
        centre_x, centre_y = rng.uniform(0.3, 0.7, 2) * [float(x[0, -1]), float(y[-1, 0])]
        return np.asarray(np.hypot(x - centre_x, y - centre_y) < rng.uniform(0.4, 0.9) * float(y[-1, 0]))
    return (u - middle) % rng.uniform(0.8, 1.6) < rng.uniform(0.3, 0.6)


def _rotate(rng: np.random.Generator, x: Plane, y: Plane) -> tuple[Plane, Plane]:
    angle = rng.uniform(0, np.pi)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cosine + y * sine, y * cosine - x * sine


def _levels(rng: np.random.Generator, ids: NDArray[np.floating]) -> Plane:
    """A random level in [0, 1] for each integer id, the same for equal ids."""
    table = rng.random(1021, dtype=np.float32)
    return table[np.round(ids * 2).astype(np.int64) % len(table)]


def _cell_distances(rng: np.random.Generator, x: Plane, y: Plane, density: float) -> tuple[tuple[Plane, Plane], Plane]:
    """Distances to the nearest and second nearest of scattered points, and the random level of the nearest one.

    There is one point per grid cell, so the nearest one is in one of the nine cells around.
    """
    u, v = x * np.float32(density), y * np.float32(density)
    column, row = np.floor(u), np.floor(v)
    across = int(column.max()) + 3
    count = across * (int(row.max()) + 3)
    place_x, place_y, level = rng.random((3, count), dtype=np.float32)
    base = (row * across + column).astype(np.int32)
    du, dv = u - column, v - row
    nearest, second = np.full_like(u, 9), np.full_like(u, 9)
    own = np.zeros_like(base)
    for down, right in np.ndindex(3, 3):
        at = base + np.int32(down * across + right)
        distance = np.hypot(place_x.take(at) + np.float32(right - 1) - du, place_y.take(at) + np.float32(down - 1) - dv)
        second = np.minimum(second, np.maximum(nearest, distance))
        own = np.where(distance < nearest, at, own)
        nearest = np.minimum(nearest, distance)
    scale = np.float32(1 / density)
    return (nearest * scale, second * scale), level.take(own)


def _stretch(plane: NDArray[np.floating]) -> Plane:
    low, high = float(plane.min()), float(plane.max())
    return np.asarray((plane - low) / max(high - low, 1e-6), np.float32)
