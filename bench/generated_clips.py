"""The clips of bench.generated: originals, for each some clips that look like it, and strangers.

A look-alike has its original's colours, softness, scale of patterns and number of shapes, and the same textures in the
same order, as the next episode of a cartoon has; but every picture is painted again and every shape is another. No
picture of one clip is in another, so that each clip is a family of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tca_model.evaluation.benchmark import Benchmark, Clip, arrange, code_digest
from tca_model.synthetic import clips as clip_pictures
from tca_model.synthetic import look, textures, writer
from tca_model.synthetic.clips import write_clip

ORIGINALS = 12
DURATIONS_S = (6.0, 10.0, 16.0)  # short ones are the harder to find
STRANGER_LOOKS = 100  # looks of strangers begin here, those of originals with 0
SEEDS = 1000  # of the first clip


@dataclass(frozen=True, slots=True)
class GeneratedClip:
    """A clip of `seed` that looks like all others of `look_seed`."""

    path: Path
    seed: int
    look_seed: int
    duration_s: float

    def make(self) -> None:
        """Write the clip unless it exists."""
        if self.path.exists():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_clip(self.path, self.seed, duration_s=self.duration_s, look_seed=self.look_seed)


@dataclass(frozen=True, slots=True)
class Cast:
    """The clips by what they are for; in all of them, those of original n stand before those of original n + 1."""

    originals: tuple[GeneratedClip, ...]  # copied, and references
    alike_references: tuple[GeneratedClip, ...]  # two for each original: references that no query copies
    alike_queries: tuple[GeneratedClip, ...]  # one for each original: queries that copy nothing
    strangers: tuple[
        GeneratedClip, ...
    ]  # as many again, with looks of their own; other videos of copies show them, too

    @property
    def clips(self) -> tuple[GeneratedClip, ...]:
        return self.originals + self.alike_references + self.alike_queries + self.strangers

    def benchmark(self, work: Path, edits: Sequence[str]) -> Benchmark:
        """The originals in all these edits, with copies below `work`. Raises ValueError for an unknown edit."""
        return arrange(
            _as_sources(self.originals),
            _as_sources(self.strangers + self.alike_queries),
            _as_sources(self.alike_references),
            work,
            edits,
        )


def cast_clips(work: Path, originals: int = ORIGINALS) -> Cast:
    """The clips around the first so many originals, in a folder below `work`; makes no files.

    The folder is named after the code that makes clips, so that other code makes other files. Raises ValueError for an
    impossible number.
    """
    if not 1 <= originals <= ORIGINALS:
        raise ValueError(f"there are {ORIGINALS} originals, {originals} were asked for")
    folder = work_folder(work) / "clips"
    groups = []
    for number in range(originals):
        looks = (number, number, number, number, STRANGER_LOOKS + number)
        names = ("original", "alike1", "alike2", "alike3")
        stems = (*(f"{number:02}-{name}" for name in names), f"stranger-{number:02}")
        groups.append(
            [
                GeneratedClip(
                    folder / f"{stem}.mp4",
                    seed=SEEDS + len(stems) * number + place,
                    look_seed=look_seed,
                    duration_s=DURATIONS_S[(number + place) % len(DURATIONS_S)],
                )
                for place, (stem, look_seed) in enumerate(zip(stems, looks, strict=True))
            ]
        )
    return Cast(
        originals=tuple(group[0] for group in groups),
        alike_references=tuple(clip for group in groups for clip in group[1:3]),
        alike_queries=tuple(group[3] for group in groups),
        strangers=tuple(group[4] for group in groups),
    )


def clip_of(name: str) -> str:
    """The name of the clip that a copy of this name shows, or of the clip itself."""
    return "-".join(name.split("-")[:2])


def are_alike(one: str, other: str) -> bool:
    """Whether the clips of these names look alike."""
    return one.split("-")[0] == other.split("-")[0]


def work_folder(work: Path) -> Path:
    """Where clips and their copies are kept."""
    return work / f"generated-{code_digest(clip_pictures, look, textures, writer)}"


def _as_sources(clips: Sequence[GeneratedClip]) -> list[Clip]:
    return [Clip(clip.path, clip.path.stem) for clip in clips]
