"""The whole plan of the bench: all pairs, the videos that must be made for them, and where everything is kept."""

import csv
import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench.alike import broadcast, drawings, games, overlays, patterns, screens, videos, words
from bench.alike.clips import Camera, DevClip, is_long, read_clips, watch_camera
from bench.alike.pairs import AlikePair, Footage, Maker, pair_drawings, pair_looks, pair_takes
from bench.alike.shared import SharedPair, pair_shared
from bench.alike.stored import SHOT_S, name_of
from bench.alike.videos import MadeVideo
from tca_model.data.held_out import MANIFEST
from tca_model.evaluation.benchmark import Advance, code_digest
from tca_model.files import replacing
from tca_model.synthetic import clips as clip_pictures
from tca_model.synthetic import filters, look, textures, writer

PICTURE_FOLDERS, TEMPLATE = ("images", "photos"), "meme template"  # beside the videos; a kind in their manifests
TEN_MINUTES_S, TWO_HOURS_S = 600, 7200
LONG_PAIRS = 3  # of each kind of long videos


@dataclass(frozen=True, slots=True)
class Plan:
    """All pairs; `videos` are to be made, `clips` and `pictures` exist."""

    alike: tuple[AlikePair, ...]
    shared: tuple[SharedPair, ...]
    videos: tuple[MadeVideo, ...]
    clips: tuple[DevClip, ...]
    pictures: tuple[Path, ...]


def make_plan(data: Path, work: Path, stills: int, advance: Advance) -> Plan:
    """The plan over a folder with videos/dev, images and photos; looks at the cameras of the clips, but makes no video.

    `stills`: so many pictures are panned. Raises ValueError if a folder is absent or has no manifest, and for too few
    pictures.
    """
    clips = read_clips(data / "videos/dev")
    pictures = choose_pictures(data, stills)
    maker = Maker(made_folder(work))
    alike = [*pair_takes(clips, read_cameras(clips, work, advance)), *pair_drawings(maker), *pair_looks(maker, clips)]
    shared = list(pair_shared(maker, clips))
    return Plan(
        (*alike, *pair_long_videos(pictures, clips)), tuple(shared), tuple(maker.videos), tuple(clips), tuple(pictures)
    )


def made_folder(work: Path) -> Path:
    """Where made videos are kept: named after the code that draws them, so that other code makes other files."""
    own = (broadcast, drawings, games, overlays, patterns, screens, videos, words)
    return work / f"lookalikes-{code_digest(*own, clip_pictures, filters, look, textures, writer)}"


def choose_pictures(data: Path, count: int) -> list[Path]:
    """So many pictures of the two folders, in an order by chance: fewer are the first of more.

    None is a meme's template, as two of these may show one picture. Raises ValueError if there are fewer, or for under
    two.
    """
    found = [path for name in PICTURE_FOLDERS for path in _find_pictures(data / name)]
    if not 2 <= count <= len(found):
        raise ValueError(f"{count} still pictures were asked for; {data} has {len(found)} in images and photos")
    return sorted(found, key=lambda path: zlib.crc32(name_of(path).encode()))[:count]


def _find_pictures(folder: Path) -> list[Path]:
    manifest = folder / MANIFEST
    rows = list(csv.DictReader(manifest.read_text().splitlines())) if manifest.exists() else []
    templates = {row["file"] for row in rows if row.get("kind") == TEMPLATE}
    return [path for path in sorted(folder.glob("*.webp")) if path.name not in templates]


def read_cameras(clips: Sequence[DevClip], work: Path, advance: Advance) -> dict[str, Camera]:
    """How each clip that is long enough was filmed, by name; looked at once and kept in a file."""
    path = work / "cameras.json"
    known = json.loads(path.read_bytes()) if path.exists() else {}
    wanted = [clip for clip in clips if is_long(clip)]
    for done, clip in enumerate(wanted, start=1):
        if clip.path.stem not in known:
            known[clip.path.stem] = asdict(watch_camera(clip.path))
            with replacing(path) as new:
                new.write_text(json.dumps(known))
        advance(done, len(wanted))
    return {clip.path.stem: Camera(**known[clip.path.stem]) for clip in wanted}


def pair_long_videos(pictures: Sequence[Path], clips: Sequence[DevClip]) -> list[AlikePair]:
    """Unrelated videos of 10 minutes and of 2 hours, of stills and of clips: none of one side is on the other.

    Where there are too few pictures they come again in another order.
    """
    pairs = []
    for number in range(LONG_PAIRS):
        rng = np.random.default_rng(number)
        names = [name_of(picture) for picture in pictures]
        halves = np.array_split(rng.permutation(len(names)), 2)
        for kind, length_s in (("stills, 10 minutes", TEN_MINUTES_S), ("stills, 2 hours", TWO_HOURS_S)):
            query, reference = (
                Footage(tuple(names[index] for index in _repeat(half, length_s // SHOT_S, rng))) for half in halves
            )
            pairs.append(AlikePair(kind, query, reference, False))
        for is_held_out in (False, True):
            families = sorted({clip.family for clip in clips if clip.is_held_out == is_held_out})
            chosen = set(rng.permutation(families)[: len(families) // 2].tolist())
            own = [clip for clip in clips if clip.is_held_out == is_held_out]
            sides = [
                _fill([clip for clip in own if (clip.family in chosen) == side], TEN_MINUTES_S, rng)
                for side in (True, False)
            ]
            pairs.append(AlikePair("clips, up to 10 minutes", sides[0], sides[1], is_held_out))
    return pairs


def _repeat(indices: np.ndarray, count: int, rng: np.random.Generator) -> list[int]:
    """So many of the indices, each as often as the others, in another order every time."""
    rounds = [rng.permutation(indices) for _ in range(-(-count // len(indices)))]
    repeated: list[int] = np.concatenate(rounds)[:count].tolist()
    return repeated


def _fill(clips: Sequence[DevClip], length_s: float, rng: np.random.Generator) -> Footage:
    """Clips in random order until they last so long, or all are used."""
    names, total_s = [], 0.0
    for index in rng.permutation(len(clips)):
        if total_s < length_s:
            names.append(clips[index].path.stem)
            total_s += clips[index].duration_s
    return Footage(tuple(names))


def choose_kinds(plan: Plan, kinds: Sequence[str]) -> Plan:
    """The plan with these kinds alone, and what they show. Raises ValueError for an unknown kind."""
    pairs: list[AlikePair] = [*plan.alike, *plan.shared]
    known = dict.fromkeys(pair.kind for pair in pairs)
    for kind in kinds:
        if kind not in known:
            raise ValueError(f"there is no kind {kind!r}; there are {', '.join(known)}")
    alike = tuple(pair for pair in plan.alike if pair.kind in kinds)
    shared = tuple(pair for pair in plan.shared if pair.kind in kinds)
    chosen = [pair for pair in pairs if pair.kind in kinds]
    shown = {name for pair in chosen for side in (pair.query, pair.reference) for name in side.names}
    return Plan(
        alike,
        shared,
        tuple(video for video in plan.videos if video.path.stem in shown),
        tuple(clip for clip in plan.clips if clip.path.stem in shown),
        tuple(picture for picture in plan.pictures if name_of(picture) in shown),
    )
