"""Copy transformations of video files, and the copied intervals in the results.

An edit is an entry of EDITS: which pieces of which video follow each other (`cut`), what happens to every picture
(`picture`, from `filters`), and how it is stored (`fps`, `crf`). Sound is dropped. Videos are read here and not by
`video.decode`, without its limits: edits need the frame at any time, and their sources are the user's own, not uploads.
"""

import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import av
import av.container
import numpy as np

from tca_model.synthetic import filters
from tca_model.synthetic.writer import write_video
from tca_model.types import Image, Match

# A frame counts as on screen this much early: Matroska and FLV round times to a millisecond.
CLOCK_TOLERANCE_S = 1e-3
# Files with an absurd rate (a thousand frames per second) would otherwise be written in full.
MAX_FPS = 60.0
# In `insert`: the length of the video around the copied piece, and of the piece.
HOST_S, INSERTED_S = 25.0, 10.0


@dataclass(frozen=True, slots=True)
class Truth:
    """The length of an edited file and all copied intervals (query: edited file, reference: source)."""

    duration_s: float
    matches: tuple[Match, ...]

    def __post_init__(self) -> None:
        if not self.matches:
            raise ValueError("an edited video must hold a piece of its source")
        if any(match.query_end_s > self.duration_s + CLOCK_TOLERANCE_S for match in self.matches):
            raise ValueError(f"a copied interval ends after the video does: {self}")


class Piece(NamedTuple):
    """The part `[start_s, end_s)` of the source or of the other video, played at `speed`."""

    start_s: float
    end_s: float
    speed: float = 1.0
    of_other: bool = False


# (random numbers, length of the source, length of the other video or 0) -> the pieces in order.
PieceSelector = Callable[[np.random.Generator, float, float], list[Piece]]


def whole(_: np.random.Generator, source_s: float, __: float) -> list[Piece]:
    return [Piece(0, source_s)]


def speed(low: float, high: float) -> PieceSelector:
    def cut(rng: np.random.Generator, source_s: float, _: float) -> list[Piece]:
        return [Piece(0, source_s, speed=rng.uniform(low, high))]

    return cut


def trim(rng: np.random.Generator, source_s: float, _: float) -> list[Piece]:
    kept_s = source_s * rng.uniform(0.5, 0.6)
    start_s = source_s * rng.uniform(0.15, 0.25)
    return [Piece(start_s, start_s + kept_s)]


def insert(rng: np.random.Generator, source_s: float, other_s: float) -> list[Piece]:
    copied_s, host_s = min(INSERTED_S, source_s), min(HOST_S, other_s)
    start_s = rng.uniform(0, source_s - copied_s)
    split_s = host_s * rng.uniform(0.25, 0.75)
    return [
        Piece(0, split_s, of_other=True),
        Piece(start_s, start_s + copied_s),
        Piece(split_s, host_s, of_other=True),
    ]


def reorder(rng: np.random.Generator, source_s: float, _: float) -> list[Piece]:
    # None of these is the source's order.
    third_s = source_s / 3
    order = [(1, 0, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1)][rng.integers(4)]
    return [Piece(third * third_s, (third + 1) * third_s) for third in order]


def loop(rng: np.random.Generator, source_s: float, _: float) -> list[Piece]:
    start_s = source_s * rng.uniform(0, 0.5)
    return [Piece(start_s, start_s + source_s / 2)] * 2


@dataclass(frozen=True, slots=True)
class Edit:
    """One copy transformation; with `needs_other` it uses a second video."""

    summary: str
    picture: filters.PictureFilter | None = None
    cut: PieceSelector = whole
    needs_other: bool = False
    fps: float | None = None  # None: the source's
    crf: int = 23


EDITS: Mapping[str, Edit] = MappingProxyType(
    {
        "recompress": Edit("half the size and strongly compressed", filters.shrink, crf=38),
        "jpeg": Edit("every frame a poor JPEG", filters.jpeg),
        "crop": Edit("70 to 75 % of each side kept", filters.crop),
        "vertical_crop": Edit("a 9:16 window cut out", filters.vertical_crop),
        "letterbox": Edit("black bars above and below", filters.letterbox),
        "pillarbox": Edit("black bars left and right", filters.pillarbox),
        "blurred_bars": Edit("on a larger canvas filled with a blurred copy", filters.blurred_bars),
        "flip": Edit("mirrored left to right", filters.flip),
        "rotation": Edit("turned by 4 to 9 degrees", filters.rotation),
        "camera": Edit("filmed off a screen by a hand-held camera", filters.camera),
        "logo": Edit("emblem with text in a corner", filters.logo),
        "caption_bar": Edit("bar with text below the picture", filters.caption_bar),
        "stickers": Edit("drawn faces, hearts and stars on top", filters.stickers),
        "colour": Edit("hue and saturation shifted", filters.colour),
        "gray": Edit("no colour", filters.gray),
        "dark": Edit("under-exposed", filters.dark),
        "bright": Edit("over-exposed", filters.bright),
        "blur": Edit("Gaussian blur", filters.blur),
        "noise": Edit("grain, new in every frame", filters.noise),
        "low_frame_rate": Edit("4 frames per second", fps=4.0),
        "sped_up": Edit("1.25 to 1.5 times as fast", cut=speed(1.25, 1.5)),
        "slowed_down": Edit("0.7 to 0.8 times as fast", cut=speed(0.7, 0.8)),
        "trim": Edit("the middle half", cut=trim),
        "reorder": Edit("the three thirds in another order", cut=reorder),
        "loop": Edit("one half, played twice", cut=loop),
        "insert": Edit("ten seconds inside another video", cut=insert, needs_other=True),
        "picture_in_picture": Edit("half as large, over another video", filters.picture_in_picture, needs_other=True),
        "side_by_side": Edit("beside another video", filters.side_by_side, needs_other=True),
        "social_media": Edit(
            "cropped, logo, caption and recompressed",
            filters.chain(filters.crop, filters.logo, filters.caption_bar),
            crf=33,
        ),
    }
)


def apply_edit(
    name: str, source: Path, target: Path, *, seed: int = 0, other: Path | None = None, within_s: float = math.inf
) -> Truth:
    """Write the edited copy of `source` to `target` (mp4) and return which parts of it are copied from where.

    Only the first `within_s` seconds of the source are used. The same arguments give the same copy. Raises ValueError
    for an unknown name, for an edit that needs `other` without one, and for a file that cannot be read.
    """
    if name not in EDITS:
        raise ValueError(f"there is no edit {name!r}; there are {', '.join(EDITS)}")
    edit = EDITS[name]
    if edit.needs_other and other is None:
        raise ValueError(f"the edit {name!r} needs another video: pass other")
    other = other if edit.needs_other else None
    # With the name, so that crop and logo of one seed do not use the same random numbers.
    seeds = (seed, zlib.crc32(name.encode()))
    source_s, source_fps = _length_and_rate(source)
    other_s = _length_and_rate(other)[0] if other else 0.0
    fps = edit.fps or source_fps
    pieces = edit.cut(np.random.default_rng(seeds), min(source_s, within_s), other_s)
    counts = [max(1, round((piece.end_s - piece.start_s) / piece.speed * fps)) for piece in pieces]
    images = _play(pieces, counts, fps, source, other)
    if edit.picture:
        images = _pictures(edit.picture, images, seeds, _repeat(other, other_s, fps) if other else None)
    write_video(target, _one_size(images), fps=fps, crf=edit.crf)
    return _truth(pieces, counts, fps)


def _truth(pieces: list[Piece], counts: list[int], fps: float) -> Truth:
    matches, played = [], 0
    for piece, count in zip(pieces, counts, strict=True):
        if not piece.of_other:
            copied_end_s = piece.start_s + count / fps * piece.speed
            matches.append(Match(played / fps, (played + count) / fps, piece.start_s, copied_end_s, 1.0))
        played += count
    return Truth(played / fps, tuple(matches))


def _play(pieces: list[Piece], counts: list[int], fps: float, source: Path, other: Path | None) -> Iterator[Image]:
    for piece, count in zip(pieces, counts, strict=True):
        path = other if piece.of_other and other else source
        yield from _frames_at(path, (piece.start_s + index / fps * piece.speed for index in range(count)))


def _pictures(
    picture: filters.PictureFilter, images: Iterator[Image], seeds: tuple[int, int], others: Iterator[Image] | None
) -> Iterator[Image]:
    for index, image in enumerate(images):
        # A new generator per frame: a filter draws the same place, angle or colour for each.
        moment = filters.Moment(np.random.default_rng(seeds), index, next(others) if others else None)
        yield picture(image, moment)


def _repeat(path: Path, duration_s: float, fps: float) -> Iterator[Image]:
    """Frames at `fps` from the start of the video, in an endless loop."""
    frame_count = max(1, round(duration_s * fps))
    while True:
        yield from _frames_at(path, (index / fps for index in range(frame_count)))


def _one_size(images: Iterator[Image]) -> Iterator[Image]:
    """The images; those of another size than the first are fitted into it with black borders."""
    first = next(images)
    yield first
    for image in images:
        yield image if image.shape == first.shape else filters.fit(image, first.shape[1], first.shape[0])


@contextmanager
def _open_video(path: Path) -> Iterator[av.container.InputContainer]:
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError(f"{path} holds no video")
            yield container
    except av.FFmpegError as error:
        raise ValueError(f"{path} cannot be read as a video: {error}") from error


def _length_and_rate(path: Path) -> tuple[float, float]:
    with _open_video(path) as container:
        stream = container.streams.video[0]
        rate = stream.average_rate or stream.guessed_rate
        if stream.duration is not None and stream.time_base is not None:
            duration_s = float(stream.duration * stream.time_base)
        else:
            duration_s = (container.duration or 0) / av.time_base
    if not rate or duration_s <= 0:
        raise ValueError(f"{path} states no length or frame rate")
    return duration_s, min(float(rate), MAX_FPS)


def _frames_at(path: Path, times_s: Iterable[float]) -> Iterator[Image]:
    """The picture on screen at each of the ascending times; after the end, the last one.

    Decodes from the start, because seeking is inexact in some containers and the truth must be exact to the frame.
    """
    with _open_video(path) as container:
        frames = container.decode(video=0)
        shown = following = next(frames, None)
        if shown is None:
            raise ValueError(f"{path} holds no frames")
        origin_s = shown.time or 0.0
        image: Image | None = None
        for time_s in times_s:
            while following is not None and (following.time or 0.0) - origin_s <= time_s + CLOCK_TOLERANCE_S:
                shown, following, image = following, next(frames, None), None
            if image is None:
                image = np.asarray(shown.to_ndarray(format="rgb24"), dtype=np.uint8)
            yield image
