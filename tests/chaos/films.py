"""Made films: text files that name stretches of works, and the pictures and descriptors that they stand for.

A film is described like a video, at one frame a second, but without a decoder and a model: a picture carries the names
of its work, its second and its noise, from which its descriptor is made. Films that share a stretch of a work have
similar descriptors there, as an edited copy has; stretches of different works are unlike each other.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tca_model.types import FloatArray

# Two copies of a frame have a similarity of 1 / (1 + NOISE^2), about 0.92, as after strong compression.
NOISE: Final = 0.3
SIDE_PX: Final = 8
_HEADER_BYTES: Final = 12  # three numbers of 32 bits
_PIECE: Final = re.compile(r"work=(\d+) start=(\d+) seconds=(\d+)")
_NOISE: Final = re.compile(r"noise=(\d+)")
_BROKEN: Final = re.compile(r"broken after=(\d+)")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a work, in whole seconds."""

    work: int
    start_s: int
    length_s: int

    @property
    def end_s(self) -> int:
        return self.start_s + self.length_s


@dataclass(frozen=True, slots=True)
class Film:
    """Pieces one after the other. `broken_after_s`: a decoder reads so many seconds of it and fails then."""

    pieces: tuple[Piece, ...]
    noise: int
    broken_after_s: int | None = None

    @property
    def length_s(self) -> int:
        return sum(piece.length_s for piece in self.pieces)

    @property
    def readable_s(self) -> int:
        return self.length_s if self.broken_after_s is None else self.broken_after_s

    def frames(self) -> list[tuple[int, int]]:
        """Work and second of each frame."""
        return [(piece.work, second) for piece in self.pieces for second in range(piece.start_s, piece.end_s)]

    def to_text(self) -> str:
        lines = [f"work={piece.work} start={piece.start_s} seconds={piece.length_s}" for piece in self.pieces]
        lines.append(f"noise={self.noise}")
        if self.broken_after_s is not None:
            lines.append(f"broken after={self.broken_after_s}")
        return "\n".join(lines) + "\n"


def parse_film(text: str) -> Film:
    """The film in a text. Raises ValueError for a text that is none."""
    noise = _NOISE.search(text)
    if noise is None:
        raise ValueError(f"not a film: {text[:100]!r}")
    broken = _BROKEN.search(text)
    pieces = tuple(Piece(*map(int, found.groups())) for found in _PIECE.finditer(text))
    return Film(pieces, int(noise[1]), int(broken[1]) if broken else None)


def make_pictures(film: Film, start_s: int, end_s: int) -> NDArray[np.uint8]:
    """The pictures (N, SIDE_PX, SIDE_PX, 3) of a stretch of the film."""
    frames = film.frames()[start_s:end_s]
    return np.stack([_picture(work, second, film.noise) for work, second in frames])


def describe_pictures(pictures: NDArray[np.uint8], dimension: int) -> FloatArray:
    """The frame descriptors (N, dimension), unit rows, of pictures from `make_pictures`."""
    if not len(pictures):
        return np.empty((0, dimension), np.float32)
    headers = pictures.reshape(len(pictures), -1)[:, :_HEADER_BYTES]
    names = np.ascontiguousarray(headers).view("<i4")  # (N, 3)
    return np.stack([make_descriptor(*map(int, name), dimension) for name in names])


@lru_cache(maxsize=4096)
def make_descriptor(work: int, second: int, noise: int, dimension: int) -> FloatArray:
    """The descriptor (dimension,) of a frame."""
    shown = _direction((work, second), dimension)
    disturbed = shown + NOISE * _direction((work, second, noise + 1), dimension)
    return np.asarray(disturbed / np.linalg.norm(disturbed), np.float32)


def _direction(seed: tuple[int, ...], dimension: int) -> FloatArray:
    vector = np.random.default_rng(seed).standard_normal(dimension, dtype=np.float32)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def _picture(work: int, second: int, noise: int) -> NDArray[np.uint8]:
    # The rest is a pattern that changes with every second: a still picture would not be described.
    pattern = np.random.default_rng((work, second, 0)).integers(0, 256, SIDE_PX * SIDE_PX * 3, dtype=np.uint8)
    pattern[:_HEADER_BYTES] = np.array([work, second, noise], "<i4").view(np.uint8)
    return pattern.reshape(SIDE_PX, SIDE_PX, 3)
