"""Pairs for the encoder made of a folder of videos: edited copies, described once and kept beside the run."""

import hashlib
import tempfile
import zlib
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tca_model.data.descriptor_files import DescriptorFolder
from tca_model.data.held_out import MANIFEST, families, without_held_out
from tca_model.edits import EDITS, apply_edit
from tca_model.errors import DecodeError, TrainingError
from tca_model.extractor import DescriptorExtractor
from tca_model.training.pairs import Pairs
from tca_model.training.pictures import VIDEO_SUFFIXES
from tca_model.types import VideoDescriptor
from tca_model.video import sample_frames

CLIP_S = 120.0  # of a longer video only the first are used: original and copy must show the same


class _Version(NamedTuple):
    id: str
    edit: str | None = None
    other: Path | None = None  # the second video of an edit that needs one


class Copies:
    """Edited copies of the videos in some folders, a few of each, drawn by a seed and described by an extractor.

    What is described already is not made again. Raises TrainingError when a folder is missing or holds no video.
    """

    def __init__(self, folders: Sequence[Path], folder: DescriptorFolder, *, each: int, seed: int) -> None:
        found = [video for folder in folders for video in _videos_below(folder)]
        self._originals, self._held_out = without_held_out(found)
        self._family = _families(self._originals)
        self._folder, self._each, self._seed = folder, each, seed

    def describe(self, extractor: DescriptorExtractor, advance: Callable[[int, int], None]) -> None:
        """Make and describe what is not yet there. What cannot be read is passed over, and counted by `pairs`."""
        for done, original in enumerate(self._originals, start=1):
            for version in self._versions(original):
                if version.id in self._folder:
                    continue
                try:
                    descriptor = self._described(original, version, extractor)
                except (DecodeError, ValueError):
                    continue
                self._folder.write(version.id, descriptor, extractor.model_version)
            advance(done, len(self._originals))

    def pairs(self) -> Pairs:
        """Every two versions of one video are a pair; all versions of all videos are distractors."""
        videos: list[str] = []
        works: list[int] = []
        positives: list[tuple[int, int]] = []
        wanted = 0
        for original in self._originals:
            versions = self._versions(original)
            there = [version.id for version in versions if version.id in self._folder]
            positives += combinations(range(len(videos), len(videos) + len(there)), 2)
            videos += there
            works += [self._family[original]] * len(there)
            wanted += len(versions)
        return Pairs(
            self._folder,
            tuple(videos),
            np.array(works, np.int64),
            np.array(positives, np.int64).reshape(-1, 2),
            np.arange(len(videos)),
            counts={
                "videos": len(self._originals),
                "videos_held_out": self._held_out,
                "versions": len(videos),
                "unreadable": wanted - len(videos),
            },
        )

    def _versions(self, original: Path) -> list[_Version]:
        """The video itself, and the edits that its seed draws."""
        name = _id(original)
        rng = np.random.default_rng([self._seed, zlib.crc32(original.name.encode())])  # wherever the folder lies
        alone = len(set(self._family.values())) < 2
        edits = [edit for edit in EDITS if not (alone and EDITS[edit].needs_other)]
        versions = [_Version(name)]
        for edit in (edits[choice] for choice in rng.permutation(len(edits))[: self._each]):
            other = self._of_another_work(original, rng) if EDITS[edit].needs_other else None
            versions.append(_Version(f"{name} {edit} {self._seed}", edit, other))
        return versions

    def _of_another_work(self, original: Path, rng: np.random.Generator) -> Path:
        while self._family[other := self._originals[rng.integers(len(self._originals))]] == self._family[original]:
            pass
        return other

    def _described(self, original: Path, version: _Version, extractor: DescriptorExtractor) -> VideoDescriptor:
        if version.edit is None:
            return _describe(original, extractor)
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "copy.mp4"
            apply_edit(version.edit, original, target, seed=self._seed, other=version.other, within_s=CLIP_S)
            return _describe(target, extractor)


def _videos_below(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise TrainingError(f"no folder {folder}")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    if not found:
        raise TrainingError(f"no videos ({', '.join(sorted(VIDEO_SUFFIXES))}) below {folder}")
    return found


def _families(videos: Sequence[Path]) -> dict[Path, int]:
    """The number of each video's family, whose clips may show the same; what no manifest names is a work of its own."""
    named = {
        clip: f"{folder} {family}"
        for folder in {video.parent for video in videos}
        if (folder / MANIFEST).is_file()
        for family, clips in families(folder).items()
        for clip in clips
    }
    numbers: dict[str, int] = {}
    return {video: numbers.setdefault(named.get(video, str(video)), len(numbers)) for video in videos}


def _id(video: Path) -> str:
    """A name for a file as it is now: a changed file is described anew."""
    stat = video.stat()
    stamp = f"{video.resolve()} {stat.st_size} {stat.st_mtime_ns}"
    return f"{video.stem[:60]}-{hashlib.blake2b(stamp.encode(), digest_size=6).hexdigest()}"


def _describe(video: Path, extractor: DescriptorExtractor) -> VideoDescriptor:
    frame = extractor.config.frame
    times, images = [], []
    with video.open("rb") as file:
        for sampled in sample_frames(
            file, every_s=frame.sample_every_s, size=extractor.input_size, remove_bars=frame.remove_bars
        ):
            if sampled.timestamp_s >= CLIP_S:
                break
            times.append(sampled.timestamp_s)
            images.append(sampled.image)
    return VideoDescriptor(np.array(times), extractor.describe(np.stack(images)))
