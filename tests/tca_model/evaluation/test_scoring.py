"""The score table, compared with a loop over pairs: every similarity, any grouping, with missing videos."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from tca_model.data.descriptor_files import DescriptorFolder
from tca_model.evaluation import scoring
from tca_model.evaluation.scoring import SIMILARITIES, ScoreTable, Similarity, score_table
from tca_model.types import FloatArray, VideoDescriptor


def descriptor(seed: int, frames: int, dimension: int = 6) -> VideoDescriptor:
    values = np.random.default_rng(seed).normal(size=(frames, dimension))
    if frames:
        values /= np.linalg.norm(values, axis=1, keepdims=True)
    return VideoDescriptor(np.arange(frames, dtype=np.float64), values.astype(np.float32))


@pytest.fixture
def stored(tmp_path: Path) -> DescriptorFolder:
    folder = DescriptorFolder(tmp_path)
    for seed, (video, frames) in enumerate({"q1": 3, "q2": 1, "q3": 7, "a": 5, "b": 2, "c": 4}.items()):
        folder.write(video, descriptor(seed, frames), "abc")
    return folder


def by_definition(query: FloatArray, reference: FloatArray, similarity: Similarity) -> float:
    if similarity == "cosine":
        one, other = query.mean(axis=0), reference.mean(axis=0)
        return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
    there = sum(max(float(q @ r) for r in reference) for q in query) / len(query)
    back = sum(max(float(q @ r) for q in query) for r in reference) / len(reference)
    return {"chamfer": there, "symmetric-chamfer": (there + back) / 2, "larger-chamfer": max(there, back)}[similarity]


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize(("query_frames", "entries"), [(1000, 10**6), (4, 10**6), (1000, 9), (1, 1)])
def test_every_similarity_in_every_grouping(
    stored: DescriptorFolder,
    monkeypatch: pytest.MonkeyPatch,
    similarity: Similarity,
    query_frames: int,
    entries: int,
) -> None:
    monkeypatch.setattr(scoring, "MATRIX_ENTRIES", entries)
    queries, database = ["q1", "q2", "q3"], ["a", "q2", "b", "c"]
    table = score_table(queries, database, stored, similarity, query_frames=query_frames)
    assert (table.queries, table.database) == (tuple(queries), tuple(database))
    assert table.scores.dtype == np.float32
    for (row, query), (column, video) in itertools.product(enumerate(queries), enumerate(database)):
        expected = by_definition(stored.read(query)[0].frames, stored.read(video)[0].frames, similarity)
        assert table.scores[row, column] == pytest.approx(expected, abs=1e-5)


def test_missing_and_empty_videos_are_left_out_and_named(stored: DescriptorFolder) -> None:
    for video in ("hollow_query", "hollow"):
        stored.write(video, descriptor(9, 0), "abc")
    whole = score_table(["q1", "q3"], ["a", "c"], stored, "chamfer")
    table = score_table(
        ["gone_query", "q1", "hollow_query", "q3"], ["hollow", "a", "gone", "c", "hollow_query"], stored, "chamfer"
    )
    assert (table.queries, table.database) == (("q1", "q3"), ("a", "c"))
    assert (table.missing, table.empty) == (("gone_query", "gone"), ("hollow_query", "hollow"))
    np.testing.assert_array_equal(table.scores, whole.scores)


def test_progress_ends_at_the_number_of_pairs(stored: DescriptorFolder) -> None:
    seen: list[tuple[int, int]] = []
    report = seen.append
    score_table(
        ["q1", "q2"], ["a", "b", "c"], stored, "cosine", lambda done, total: report((done, total)), query_frames=1
    )
    assert seen == [(done, 6) for done in range(1, 7)]


def test_nothing_to_compare_is_an_error(stored: DescriptorFolder) -> None:
    with pytest.raises(ValueError, match="none of the 1 queries"):
        score_table(["gone"], ["a"], stored, "chamfer")
    with pytest.raises(ValueError, match="none of the 2 database videos"):
        score_table(["q1"], ["gone", "gone too"], stored, "chamfer")


def test_two_model_versions_are_never_compared(stored: DescriptorFolder) -> None:
    stored.write("other", descriptor(3, 2), "def")
    with pytest.raises(ValueError, match=r"q1 is of model version abc with 6 .* other of def with 6"):
        score_table(["q1"], ["a", "other"], stored, "chamfer")
    stored.write("other", descriptor(3, 2, dimension=5), "abc")
    with pytest.raises(ValueError, match="other of abc with 5"):
        score_table(["q1"], ["a", "other"], stored, "chamfer")


def test_a_table_of_another_shape_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"scores \(1, 1\) of 2 x 1"):
        ScoreTable(("a", "b"), ("c",), np.zeros((1, 1), np.float32))
