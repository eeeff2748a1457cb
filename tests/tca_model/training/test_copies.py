"""Pairs from a folder of videos: what is edited, made once, and left out."""

import csv
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TypeAlias

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tca_model.api import Describer
from tca_model.data.descriptor_files import DescriptorFolder
from tca_model.data.held_out import MANIFEST, ORIGINALS
from tca_model.errors import TrainingError
from tca_model.training.copies import CLIP_S, Copies
from tca_model.types import FloatArray
from tests.clips import four_corners, steady, write_clip


class Extractor:
    """Describes a frame by its mean colour, and counts the videos."""

    model_version = "abc"
    device = torch.device("cpu")
    config = SimpleNamespace(frame=SimpleNamespace(input_px=16, dimension=3, sample_every_s=1.0, remove_bars=False))

    def __init__(self) -> None:
        self.described = 0

    def describe(self, images: NDArray[np.uint8]) -> FloatArray:
        self.described += 1
        assert images.shape[1:] == (16, 16, 3)
        rows = images.reshape(len(images), -1, 3).mean(axis=1) + 1
        described: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        return described


MakeDescriber: TypeAlias = Callable[[Extractor], Describer]


@pytest.fixture
def describer(monkeypatch: pytest.MonkeyPatch) -> MakeDescriber:
    """Makes a describer with an extractor."""

    def with_extractor(extractor: Extractor) -> Describer:
        monkeypatch.setattr("tca_model.api.DescriptorExtractor", lambda _bundle: extractor)
        return Describer("bootstrap")

    return with_extractor


def clip(path: Path, duration_s: float = 3, fps: float = 5) -> Path:
    """A clip of a moving picture, because frames that show nothing, or a still, are left out."""
    times = steady(duration_s, fps)
    moving = [np.roll(four_corners(), 5 * n, axis=1) for n in range(len(times))]
    return write_clip(path, times, images=moving)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two clips of one family, one without a family, one that is held out, one that is not a video."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("take1.mp4", "take2.mp4", "alone.mp4", "held.mp4"):
        clip(folder / name)
    (folder / "broken.mp4").write_bytes(b"no video")
    with (folder / MANIFEST).open("w", newline="") as file:
        rows = [["take1.mp4", "scene"], ["take2.mp4", "scene"], ["held.mp4", ORIGINALS[0]]]
        csv.writer(file).writerows([["clip", "family"], *rows])
    return folder


def no_progress(*_: object) -> None:
    """No progress bar."""


def test_pairs_are_versions_of_one_video_and_works_are_families(
    folder: Path, tmp_path: Path, describer: MakeDescriber
) -> None:
    copies = Copies([folder], DescriptorFolder(tmp_path / "described"), each=2, seed=0)
    steps: list[tuple[int, int]] = []
    copies.describe(describer(Extractor()), lambda done, total: steps.append((done, total)))
    pairs = copies.pairs()

    assert steps == [(4, 4)]
    assert pairs.counts == {"videos": 4, "videos_held_out": 1, "versions": 9, "missing": 3}
    assert len(pairs.positives) == 3 * 2
    assert not any(" copy " in pairs.videos[anchor] for anchor in pairs.positives[:, 0])
    assert all(" copy " in pairs.videos[positive] for positive in pairs.positives[:, 1])
    stems = [video.split("-")[0] for video in pairs.videos]
    assert sorted(set(stems)) == ["alone", "take1", "take2"]
    assert all(stems[a] == stems[b] and a != b for a, b in pairs.positives)
    work = dict(zip(stems, pairs.works.tolist(), strict=True))
    assert work["take1"] == work["take2"] != work["alone"]
    assert pairs.distractors.tolist() == list(range(9))


def test_described_copies_are_not_made_again(folder: Path, tmp_path: Path, describer: MakeDescriber) -> None:
    place, first, second = DescriptorFolder(tmp_path / "described"), Extractor(), Extractor()
    Copies([folder], place, each=1, seed=0).describe(describer(first), no_progress)
    assert first.described == 6
    again = Copies([folder], place, each=1, seed=0)
    again.describe(describer(second), no_progress)
    assert second.described == 0
    assert len(again.pairs().videos) == 6

    more = Copies([folder], place, each=2, seed=0)
    more.describe(describer(second), no_progress)
    assert second.described == 3  # the first copy of each is the same
    clip(folder / "alone.mp4", 4)
    Copies([folder], place, each=1, seed=0).describe(describer(second), no_progress)
    assert second.described == 5  # a changed file is a new video


def test_only_the_start_of_a_long_video_is_used(tmp_path: Path, describer: MakeDescriber) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("long.mp4", "short.mp4"):
        clip(folder / name, CLIP_S + 30 if name == "long.mp4" else 5, 1)
    place = DescriptorFolder(tmp_path / "described")
    copies = Copies([folder], place, each=1, seed=0)
    copies.describe(describer(Extractor()), no_progress)
    long = next(video for video in copies.pairs().videos if video.startswith("long"))
    assert len(place.read(long)[0]) == CLIP_S


def test_copies_are_edited_and_some_are_faster_or_slower(tmp_path: Path, describer: MakeDescriber) -> None:
    folder, place = tmp_path / "videos", DescriptorFolder(tmp_path / "described")
    folder.mkdir()
    for name in ("one.mp4", "two.mp4", "three.mp4"):
        clip(folder / name, 10, 1)
    copies = Copies([folder], place, each=8, seed=0)
    copies.describe(describer(Extractor()), no_progress)
    read = {video: place.read(video)[0] for video in copies.pairs().videos}
    originals = [descriptor for video, descriptor in read.items() if " copy " not in video]
    lengths = [len(descriptor) for video, descriptor in read.items() if " copy " in video]
    assert [len(descriptor) for descriptor in originals] == [10] * 3
    assert min(lengths) < 10 < max(lengths)
    assert lengths.count(10) > 6
    first_rows = {tuple(descriptor.frames[0].round(2)) for descriptor in read.values()}
    assert len(first_rows) > 15


def test_videos_that_show_nothing_are_left_out(folder: Path, tmp_path: Path, describer: MakeDescriber) -> None:
    write_clip(folder / "black.mp4", steady(3, 5), images=[four_corners() * 0] * 15)
    copies = Copies([folder], DescriptorFolder(tmp_path / "described"), each=1, seed=0)
    copies.describe(describer(Extractor()), no_progress)
    pairs = copies.pairs()
    assert pairs.counts == {"videos": 5, "videos_held_out": 1, "versions": 6, "missing": 4}  # broken.mp4, too
    assert not any(video.startswith("black") for video in pairs.videos)


def test_folders_without_videos_are_rejected(tmp_path: Path) -> None:
    place = DescriptorFolder(tmp_path / "described")
    with pytest.raises(TrainingError, match="no folder"):
        Copies([tmp_path / "nowhere"], place, each=1, seed=0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match=r"no videos \(.*\.mp4.*\) below"):
        Copies([tmp_path / "empty"], place, each=1, seed=0)


def test_pairs_of_a_single_work_are_rejected(tmp_path: Path, describer: MakeDescriber) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    clip(folder / "only.mp4")
    copies = Copies([folder], DescriptorFolder(tmp_path / "described"), each=1, seed=0)
    copies.describe(describer(Extractor()), no_progress)
    with pytest.raises(TrainingError, match=r"1 pairs and 2 distractors of 1 works teach nothing"):
        copies.pairs()
