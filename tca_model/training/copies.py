"""Pairs for the encoder from folders of videos: copies edited frame by frame, described once and kept.

The edits are those of `augment`, with one draw per copy; some copies are faster or slower. The benchmark's edits
(tca_model.synthetic.edits) are separate code, on files.
"""

import hashlib
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tca_model.api import Describer
from tca_model.data.descriptor_files import DescriptorFolder
from tca_model.data.held_out import MANIFEST, families, without_held_out
from tca_model.errors import DecodeError, TrainingError
from tca_model.training.augmentation.augment import Augment
from tca_model.training.augmentation.draw import Draw
from tca_model.training.pairs import Pairs
from tca_model.training.pictures import SIDE_PX
from tca_model.video.containers import SUFFIXES
from tca_model.video.decode import sample_frames
from tca_model.video.stills import informative

CLIP_S = 64.0  # only this much from the start of a video is used: an encoder gets no more at once
TOGETHER = 4  # videos that are edited together: some edits combine them
SPEEDS = (0.6, 1.6)
RETIMED = 0.4  # share of copies that are faster or slower

Frames = NDArray[np.uint8]  # (T, SIDE_PX, SIDE_PX, 3)


class Copies:
    """Edited copies of the videos in some folders, `each` per video, described frame by frame.

    Copies that are already described are not made again. Raises TrainingError if a folder is missing or has no video.
    """

    def __init__(self, folders: Sequence[Path], folder: DescriptorFolder, *, each: int, seed: int) -> None:
        found = [video for folder in folders for video in _videos_below(folder)]
        self._originals, self._held_out = without_held_out(found)
        self._family = _families(self._originals)
        self._folder, self._each, self._seed = folder, each, seed

    def describe(self, describer: Describer, advance: Callable[[int, int], None]) -> None:
        """Make and describe the missing copies; `pairs` counts videos that are unreadable or show nothing."""
        order = np.random.default_rng(self._seed).permutation(len(self._originals))
        for start in range(0, len(order), TOGETHER):
            group = [self._originals[video] for video in order[start : start + TOGETHER]]
            if not all(version in self._folder for video in group for version in self._versions(video)):
                self._describe_group(group, describer, start)
            advance(start + len(group), len(order))

    def pairs(self) -> Pairs:
        """The pairs: each video with each of its copies; all versions of all videos are distractors."""
        videos: list[str] = []
        works: list[int] = []
        positives: list[tuple[int, int]] = []
        wanted = 0
        for original in self._originals:
            versions = self._versions(original)
            there = [version for version in versions if version in self._folder]
            if versions[0] in there:
                positives += [(len(videos), len(videos) + copy) for copy in range(1, len(there))]
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
                "missing": wanted - len(videos),
            },
        )

    def _versions(self, video: Path) -> list[str]:
        """The ids of the video itself and of its copies."""
        stem = _name(video)
        return [stem, *(f"{stem} copy {self._seed}-{number}" for number in range(self._each))]

    def _describe_group(self, group: Sequence[Path], describer: Describer, seed: int) -> None:
        extractor = describer.extractor
        frame = extractor.config.frame
        read = {video: _frames(video, frame.sample_every_s, remove_bars=frame.remove_bars) for video in group}
        shown = {video: frames for video, frames in read.items() if len(frames)}
        if all(version in self._folder for video in shown for version in self._versions(video)):
            return  # only unreadable videos are missing
        augment = Augment(frame.input_px, extractor.device)
        plain = [_pixels(augment.plain(torch.from_numpy(frames))) for frames in shown.values()]
        edited = [_edit([*shown.values()], augment, (self._seed, seed, number)) for number in range(self._each)]
        for video, *versions in zip(shown, plain, *edited, strict=True):
            for name, images in zip(self._versions(video), versions, strict=True):
                if name in self._folder:
                    continue
                described = describer.describe_images(
                    frame.sample_every_s * np.arange(len(images), dtype=np.float64), images
                )
                if len(described):
                    self._folder.write(name, described, extractor.model_version)


def _edit(shown: Sequence[Frames], augment: Augment, seeds: tuple[int, ...]) -> list[Frames]:
    """One edited copy of each video."""
    rng = np.random.default_rng(seeds)
    retimed = [_retime(frames, rng) for frames in shown]
    longest = max(map(len, retimed))
    together = np.concatenate([frames[np.arange(longest) % len(frames)] for frames in retimed])
    draw = Draw.from_seeds(augment.device, *seeds, frames=longest)
    edited = np.split(_pixels(augment.strong(torch.from_numpy(together).to(augment.device), draw)), len(shown))
    return [frames[: len(own)] for frames, own in zip(edited, retimed, strict=True)]


def _retime(frames: Frames, rng: np.random.Generator) -> Frames:
    """Make a random share of videos faster or slower by dropping or repeating frames."""
    speed = rng.uniform(*SPEEDS) if rng.random() < RETIMED else 1.0
    return frames[np.arange(0, len(frames), speed).astype(np.int64)]


def _pixels(views: Tensor) -> Frames:
    """(T, 3, H, W) in 0..1 to (T, H, W, 3) in uint8, as decoded frames."""
    return (views.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).cpu().numpy()


def _frames(video: Path, every_s: float, *, remove_bars: bool) -> Frames:
    """The frames at the start of a video that show something; empty if it cannot be read."""
    try:
        with video.open("rb") as file:
            sampled = sample_frames(file, every_s=every_s, size=(SIDE_PX, SIDE_PX), remove_bars=remove_bars)
            images = [one.image for one in takewhile(lambda one: one.timestamp_s < CLIP_S, sampled)]
    except (DecodeError, OSError):
        images = []  # counted: one broken file among thousands must not end a training
    frames = np.array(images, np.uint8).reshape(-1, SIDE_PX, SIDE_PX, 3)
    return frames[informative(frames)]


def _videos_below(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise TrainingError(f"no folder {folder}")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise TrainingError(f"no videos ({', '.join(sorted(SUFFIXES))}) below {folder}")
    return found


def _families(videos: Sequence[Path]) -> dict[Path, int]:
    """The number of each video's family, whose clips may look alike; a video in no manifest is its own family."""
    named = {
        clip: f"{folder} {family}"
        for folder in {video.parent for video in videos}
        if (folder / MANIFEST).is_file()
        for family, clips in families(folder).items()
        for clip in clips
    }
    numbers: dict[str, int] = {}
    return {video: numbers.setdefault(named.get(video, str(video)), len(numbers)) for video in videos}


def _name(video: Path) -> str:
    """An id for the current content of a file: a changed file is described again."""
    stat = video.stat()
    stamp = f"{video.resolve()} {stat.st_size} {stat.st_mtime_ns}"
    return f"{video.stem[:60]}-{hashlib.blake2b(stamp.encode(), digest_size=6).hexdigest()}"
