"""Training data of an encoder: pairs of a video and a copy, and distractors, as frame descriptors.

Pairs come from VCDB, or from edited copies of a folder of videos (`copies`). Descriptors are in a DescriptorFolder.
Each video has the number of the work that it shows, so that no copy of an anchor's work counts as a negative.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import torch
from cachetools import LRUCache
from numpy.typing import NDArray
from pydantic import JsonValue
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tca_model.data.descriptor_files import DescriptorFolder
from tca_model.data.vcdb import VcdbAnnotations
from tca_model.errors import TrainingError
from tca_model.types import FloatArray

KEPT_BYTES = 2 * 1024**3  # of descriptors in memory; the least recently used ones are read again


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Videos by number: the works that they show, pairs of copies, and distractors."""

    folder: DescriptorFolder
    videos: tuple[str, ...]  # (V,) ids in the folder
    works: NDArray[np.int64]  # (V,)
    positives: NDArray[np.int64]  # (P, 2)
    distractors: NDArray[np.int64]  # (M,)
    counts: Mapping[str, int]  # for provenance: what was missing, unreadable, held out

    def summary(self) -> dict[str, JsonValue]:
        """The data as part of a run's configuration: a run is not resumed with other pairs."""
        shown = json.dumps([self.videos, self.works.tolist(), self.positives.tolist(), self.distractors.tolist()])
        return {
            "pairs": len(self.positives),
            "videos": len(self.videos),
            "data": sha256(shown.encode()).hexdigest()[:12],
        }

    def __post_init__(self) -> None:
        works = len(np.unique(self.works))
        if not len(self.positives) or not len(self.distractors) or works < 2:
            counted = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in self.counts.items())
            raise TrainingError(
                f"{len(self.positives)} pairs and {len(self.distractors)} distractors of {works} works teach nothing: "
                f"training needs pairs of copies and at least two works ({counted})"
            )


def vcdb_pairs(annotations: VcdbAnnotations, folder: DescriptorFolder) -> Pairs:
    """The pairs and distractors of VCDB with descriptors in the folder; missing ones are counted."""
    pairs = [pair.videos for pair in annotations.pairs if all(video in folder for video in pair.videos)]
    distractors = [video for video in dict.fromkeys(annotations.distractors) if video in folder]
    videos = tuple(dict.fromkeys([video for pair in pairs for video in pair] + distractors))
    number = {video: index for index, video in enumerate(videos)}
    return Pairs(
        folder,
        videos,
        works=np.arange(len(videos)),  # distractors are not copies of anything
        positives=np.array([[number[a], number[b]] for a, b in pairs], np.int64).reshape(-1, 2),
        distractors=np.array([number[video] for video in distractors], np.int64),
        counts={
            "pairs_missing": len(annotations.pairs) - len(pairs),
            "distractors_missing": len(set(annotations.distractors)) - len(distractors),
        },
    )


class Reader:
    """Reads frame descriptors of the videos of some pairs; keeps the latest in memory."""

    def __init__(self, pairs: Pairs, model_version: str) -> None:
        self._pairs, self.model_version = pairs, model_version
        self._kept: LRUCache[int, FloatArray] = LRUCache(KEPT_BYTES, getsizeof=lambda frames: frames.nbytes)

    def __call__(self, video: int) -> FloatArray:
        """Frame descriptors (T, D) of a video by number, T at least 1.

        Raises TrainingError if they are damaged, of another bundle, or empty.
        """
        if (kept := self._kept.get(video)) is not None:
            return kept
        name = self._pairs.videos[video]
        try:
            descriptor, version = self._pairs.folder.read(name)
        except (KeyError, ValueError) as error:
            raise TrainingError(f"the descriptors of {name} cannot be read: {error}") from error
        if version != self.model_version:
            raise TrainingError(
                f"{self._pairs.folder.path(name)} was described by model version {version}, not by "
                f"{self.model_version}: describe the videos with the bundle that is trained on"
            )
        if not len(descriptor):
            raise TrainingError(f"{self._pairs.folder.path(name)} holds no frames: remove it")
        self._kept[video] = descriptor.frames
        return descriptor.frames


def piece(frames: FloatArray, longest: int, shortest_share: float, rng: np.random.Generator) -> FloatArray:
    """Random consecutive frames of (T, D): a random share between `shortest_share` and 1, at most `longest` rows."""
    kept = min(longest, max(1, round(len(frames) * rng.uniform(shortest_share, 1))))
    start = rng.integers(len(frames) - kept + 1)
    return frames[start : start + kept]


def pad(pieces: Sequence[FloatArray]) -> tuple[Tensor, Tensor]:
    """Pieces (T_i, D) as one zero-padded (B, T, D), and the mask of real rows (B, T) bool; T is the longest."""
    lengths = torch.tensor([len(frames) for frames in pieces])
    together = pad_sequence([torch.from_numpy(frames) for frames in pieces], batch_first=True)
    return together, torch.arange(together.shape[1]) < lengths.unsqueeze(1)
