"""Which pairs there are, by kind: footage that looks alike and is not the same, and what must be made for it.

Both sides of a pair are held out, or neither is: rules may be fitted on the others and are judged on the held-out ones.
A real clip is held out with its family (tca_model.data.held_out), a drawing with its kind.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from bench.alike.clips import Camera, DevClip
from bench.alike.drawings import DRAWINGS, HELD_OUT_DRAWINGS
from bench.alike.overlays import FOUR_CLIPS, ONE_CLIP
from bench.alike.videos import MadeVideo, Part

DRAWN_S, CLIP_S = 10.0, 10.0  # seconds of a made video; of a clip at most
LEAST_S = 6.0  # shorter clips are not laid under a filter
PIECE = 0.45  # share of a clip that is compared with the other end of it
PAIRS_OF_A_LOOK = 1  # on each side of what is held out
FACES = ("liveportrait", "intel-headpose", "hypernerf-gith-steve", "video-llama-silence-girl")


@dataclass(frozen=True, slots=True)
class Footage:
    """What one side of a pair shows: stored videos one after another, or a stretch of one."""

    names: tuple[str, ...]
    start_s: float = 0.0
    end_s: float = float("inf")

    @property
    def label(self) -> str:
        """The name for tables and files."""
        first = self.names[0]
        if len(self.names) > 1:
            return f"{first} and {len(self.names) - 1} more"
        return first if self.end_s == float("inf") else f"{first} {self.start_s:.1f}-{self.end_s:.1f} s"


@dataclass(frozen=True, slots=True)
class AlikePair:
    """Two pieces of footage that share no picture."""

    kind: str
    query: Footage
    reference: Footage
    is_held_out: bool


def pair_takes(clips: Sequence[DevClip], cameras: Mapping[str, Camera]) -> Iterator[AlikePair]:
    """The kinds that need no made video: other takes, pieces of one film or family, pieces of one camera, faces."""
    for one, other in combinations(clips, 2):
        if one.group == other.group:
            takes = "same scene" in one.relation or "same scene" in other.relation
            yield pair_clips("other take" if takes else "other excerpt", one, other)
        elif one.family == other.family:
            yield pair_clips("same family, other scene", one, other)
        elif is_face(one) and is_face(other) and one.is_held_out == other.is_held_out:
            yield pair_clips("other face", one, other)
    for clip in clips:
        camera = cameras.get(clip.path.stem)
        if camera and not camera.has_cut:
            length_s = PIECE * clip.duration_s
            yield AlikePair(
                "other piece, still camera" if camera.is_still else "other piece, moving camera",
                Footage((clip.path.stem,), 0.0, length_s),
                Footage((clip.path.stem,), clip.duration_s - length_s, clip.duration_s),
                clip.is_held_out,
            )


def pair_clips(kind: str, one: DevClip, other: DevClip) -> AlikePair:
    return AlikePair(kind, Footage((one.path.stem,)), Footage((other.path.stem,)), one.is_held_out or other.is_held_out)


def is_face(clip: DevClip) -> bool:
    """Whether the clip shows a face before whatever wall."""
    return clip.family.startswith(FACES)


class Maker:
    """Collects pairs of videos that have to be made, in a folder, and the videos."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.videos: list[MadeVideo] = []

    def plan(self, name: str, *parts: Part, crf: int = 23) -> Footage:
        """A video to be made of these parts, named after them too: other parts make another file."""
        shown = [replace(part, clips=tuple(Path(clip.name) for clip in part.clips)) for part in parts]
        recipe = zlib.crc32(f"{shown} {crf}".encode())
        self.videos.append(MadeVideo(self.folder / f"{name.replace(' ', '-')}-{recipe:08x}.mp4", parts, crf))
        return Footage((self.videos[-1].path.stem,))


def pair_drawings(maker: Maker) -> Iterator[AlikePair]:
    """Each drawing three times, all compared with each other; slides on a filmed screen too."""
    for name in DRAWINGS:
        yield from _pair_all(maker, name, Part(DRAWN_S, drawing=name))
    yield from _pair_all(maker, "filmed slides", Part(DRAWN_S, drawing="slides", look="filmed screen"))


def _pair_all(maker: Maker, kind: str, part: Part) -> Iterator[AlikePair]:
    first = zlib.crc32(kind.encode()) % 1000
    shown = [
        maker.plan(f"{kind} {seed}", Part(part.duration_s, drawing=part.drawing, look=part.look, seed=first + seed))
        for seed in range(3)
    ]
    for one, other in combinations(shown, 2):
        yield AlikePair(kind, one, other, kind in HELD_OUT_DRAWINGS)


def pair_looks(maker: Maker, clips: Sequence[DevClip]) -> Iterator[AlikePair]:
    """Each filter and each overlay over clips of different families; grids of four clips, and of three faces."""
    for look in ONE_CLIP:
        for group in draw_groups(look, clips, 1):
            yield _pair_look(maker, look, look, group, 1)
    for look in FOUR_CLIPS:
        for group in draw_groups(look, clips, 4):
            yield _pair_look(maker, look, look, group, 4)
    for group in draw_groups(
        "grid of faces", [clip for clip in clips if is_face(clip)], 3, least_s=4.0, families=False
    ):
        yield _pair_look(maker, "grid of faces", "grid of clips", group, 3)


def draw_groups(
    kind: str, clips: Sequence[DevClip], size: int, *, least_s: float = LEAST_S, families: bool = True
) -> Iterator[list[DevClip]]:
    """Groups of 2 * size clips for PAIRS_OF_A_LOOK pairs on each side of what is held out, in an order of the kind's.

    With `families`, each clip is the first of its family.
    """
    for is_held_out in (False, True):
        side = [clip for clip in clips if clip.is_held_out == is_held_out and clip.duration_s >= least_s]
        if families:
            side = list({clip.family: clip for clip in reversed(side)}.values())
        side.sort(key=lambda clip: zlib.crc32(f"{kind} {clip.path.stem}".encode()))
        for first in range(0, 2 * size * PAIRS_OF_A_LOOK, 2 * size):
            if len(group := side[first : first + 2 * size]) == 2 * size:
                yield group


def _pair_look(maker: Maker, kind: str, look: str, group: Sequence[DevClip], size: int) -> AlikePair:
    sides = []
    for clips in (group[:size], group[size:]):
        seed = zlib.crc32(clips[0].path.stem.encode()) % 1000
        length_s = min(CLIP_S, *(clip.duration_s for clip in clips))
        part = Part(length_s, tuple(clip.path for clip in clips), look=look, seed=seed)
        sides.append(maker.plan(f"{kind} {clips[0].path.stem}", part))
    return AlikePair(kind, sides[0], sides[1], group[0].is_held_out)
