"""Pairs of VCDB, the errors of the reader, and the pieces for a step."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tca_model.data.descriptor_files import DescriptorFolder
from tca_model.data.vcdb import CopiedPair, VcdbAnnotations
from tca_model.errors import TrainingError
from tca_model.training.pairs import Pairs, Reader, pad, piece, vcdb_pairs
from tca_model.types import FloatArray, VideoDescriptor

VERSION = "abc"
ANNOTATIONS = VcdbAnnotations(
    queries=("a", "b", "c"),
    database=("a", "b", "c"),
    pairs=tuple(CopiedPair(videos=videos, overlap=(1, 1)) for videos in (("a", "b"), ("b", "c"))),
    distractors=("d", "e", "d", "f"),
)


def distinct_rows(count: int) -> FloatArray:
    """Unit rows (count, 2), each with its own angle."""
    angles = np.linspace(0, 1, count)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def store(folder: Path, *videos: str, frames: int = 3) -> DescriptorFolder:
    descriptors = DescriptorFolder(folder)
    for video in videos:
        descriptors.write(video, VideoDescriptor(np.arange(float(frames)), distinct_rows(frames)), VERSION)
    return descriptors


def test_videos_of_vcdb_without_descriptors_are_left_out(tmp_path: Path) -> None:
    pairs = vcdb_pairs(ANNOTATIONS, store(tmp_path, "a", "b", "d", "e"))
    assert [[pairs.videos[v] for v in pair] for pair in pairs.positives] == [["a", "b"]]
    assert [pairs.videos[v] for v in pairs.distractors] == ["d", "e"]
    assert pairs.counts == {"pairs_missing": 1, "distractors_missing": 1}
    assert len(set(pairs.works.tolist())) == 4


def test_vcdb_without_descriptors_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"0 pairs and 1 distractors .* \(pairs missing 2, distractors missing 2\)"):
        vcdb_pairs(ANNOTATIONS, store(tmp_path, "d"))


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    return vcdb_pairs(ANNOTATIONS, store(tmp_path, "a", "b", "d"))


def test_the_reader_reads_once(pairs: Pairs) -> None:
    read = Reader(pairs, VERSION)
    assert read(0) == pytest.approx(distinct_rows(3), abs=1e-3)
    pairs.folder.path("a").unlink()
    assert read(0).shape == (3, 2)


def test_the_reader_rejects_descriptors_of_another_bundle(pairs: Pairs) -> None:
    with pytest.raises(TrainingError, match="described by model version abc, not by xyz"):
        Reader(pairs, "xyz")(0)


def test_the_reader_names_damaged_missing_and_empty_descriptors(pairs: Pairs) -> None:
    pairs.folder.path("a").write_bytes(b"no npz")
    with pytest.raises(TrainingError, match=r"descriptors of a cannot be read: .* damaged"):
        Reader(pairs, VERSION)(0)
    pairs.folder.path("a").unlink()
    with pytest.raises(TrainingError, match="descriptors of a cannot be read"):
        Reader(pairs, VERSION)(0)
    store(pairs.folder.folder, "a", frames=0)
    with pytest.raises(TrainingError, match="holds no frames"):
        Reader(pairs, VERSION)(0)


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 20), longest=st.integers(1, 20), share=st.floats(0.05, 1), seed=st.integers(0, 2**32 - 1))
def test_a_piece_consists_of_consecutive_frames(count: int, longest: int, share: float, seed: int) -> None:
    frames = distinct_rows(count)
    chosen = piece(frames, longest, share, np.random.default_rng(seed))
    assert min(longest, max(1, round(share * count))) <= len(chosen) <= min(longest, count)
    start = int(np.flatnonzero((frames == chosen[0]).all(axis=1))[0])
    assert np.array_equal(chosen, frames[start : start + len(chosen)])


def test_pieces_reach_both_ends() -> None:
    rng = np.random.default_rng(0)
    firsts = {float(piece(distinct_rows(5), 4, 1.0, rng)[0, 1]) for _ in range(40)}
    assert len(firsts) == 2


def test_padding_is_zero_and_masked() -> None:
    frames, present = pad([distinct_rows(1), distinct_rows(3)])
    assert frames.shape == (2, 3, 2)
    assert present.tolist() == [[True, False, False], [True, True, True]]
    assert not frames[0, 1:].any()
