import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tca_model.matching.similarity import (
    chamfer,
    chamfer_ragged,
    cosine,
    noise_similarity,
    similarity_matrix,
    subtract_noise,
    symmetric_chamfer,
)
from tca_model.types import FloatArray
from tests.vectors import unit_rows


def slow_chamfer(query: FloatArray, reference: FloatArray) -> float:
    total = 0.0
    for q in query:
        best = -2.0
        for r in reference:
            best = max(best, sum(float(a) * float(b) for a, b in zip(q, r, strict=True)))
        total += best
    return total / len(query)


def test_cosine_of_known_vectors() -> None:
    east, north = np.array([2, 0], np.float32), np.array([0, 5], np.float32)
    assert cosine(east, east) == pytest.approx(1)
    assert cosine(east, north) == 0
    assert cosine(east, -east) == pytest.approx(-1)
    assert cosine(east, east + np.array([0, 2], np.float32)) == pytest.approx(0.5**0.5)
    assert cosine(east, np.zeros(2, np.float32)) == 0


def test_chamfer_by_hand() -> None:
    similarity = np.array([[0.1, 0.9, 0.2], [0.5, 0.3, 0.4]], np.float32)
    assert chamfer(similarity) == pytest.approx((0.9 + 0.5) / 2)
    assert chamfer(similarity.T) == pytest.approx((0.5 + 0.9 + 0.4) / 3)
    assert symmetric_chamfer(similarity) == pytest.approx((0.7 + 0.6) / 2)


def test_chamfer_of_a_clip_and_its_longer_source_is_1_in_one_direction_only() -> None:
    long = unit_rows(0, 12)
    clip = long[3:6]
    assert chamfer(similarity_matrix(clip, long)) == pytest.approx(1)
    assert chamfer(similarity_matrix(long, clip)) < 0.9


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 2**16), frames=st.integers(1, 9), lengths=st.lists(st.integers(1, 7), min_size=1, max_size=6)
)
def test_ragged_chamfer_equals_a_slow_loop_over_the_references(seed: int, frames: int, lengths: list[int]) -> None:
    query, references = unit_rows(seed, frames), unit_rows(seed + 1, sum(lengths))
    forward, backward = chamfer_ragged(query, references, lengths)
    assert forward.shape == backward.shape == (len(lengths),)
    start = 0
    for index, length in enumerate(lengths):
        reference = references[start : start + length]
        start += length
        assert forward[index] == pytest.approx(slow_chamfer(query, reference), abs=1e-5)
        assert backward[index] == pytest.approx(slow_chamfer(reference, query), abs=1e-5)
        similarity = similarity_matrix(query, reference)
        assert forward[index] == pytest.approx(chamfer(similarity), abs=1e-6)
        assert backward[index] == pytest.approx(chamfer(similarity.T), abs=1e-6)


def test_arguments_are_not_changed() -> None:
    query, references = unit_rows(1, 4), unit_rows(2, 6)
    for array in (query, references):
        array.flags.writeable = False
    chamfer_ragged(query, references, np.array([2, 4]))
    symmetric_chamfer(similarity_matrix(query, references))
    np.testing.assert_array_equal(query, unit_rows(1, 4))
    np.testing.assert_array_equal(references, unit_rows(2, 6))


def test_empty_input_and_wrong_shapes_are_rejected() -> None:
    frames, nothing = unit_rows(1, 3), np.zeros((0, 16), np.float32)
    with pytest.raises(ValueError, match="without frames"):
        similarity_matrix(nothing, frames)
    with pytest.raises(ValueError, match="without frames"):
        similarity_matrix(frames, nothing)
    with pytest.raises(ValueError, match="expected"):
        similarity_matrix(frames, unit_rows(1, 3, 17))
    with pytest.raises(ValueError, match="similarity matrix"):
        chamfer(np.zeros((0, 4), np.float32))
    with pytest.raises(ValueError, match="similarity matrix"):
        chamfer(np.zeros((4, 0), np.float32))
    with pytest.raises(ValueError, match="one dimension"):
        cosine(np.zeros(0, np.float32), np.zeros(0, np.float32))
    for lengths in ([], [3, 0], [2], [4]):
        with pytest.raises(ValueError, match="lengths"):
            chamfer_ragged(frames, frames, lengths)


def test_noise_similarity_is_the_mean_of_the_nearest() -> None:
    frames = np.eye(3, dtype=np.float32)
    noise = np.array([[1, 0, 0], [0.6, 0.8, 0], [0, 0.6, 0.8]], np.float32)
    np.testing.assert_allclose(noise_similarity(frames, noise, nearest=2), [0.8, 0.7, 0.4], atol=1e-6)
    np.testing.assert_allclose(noise_similarity(frames, noise, nearest=9), (frames @ noise.T).mean(axis=1), atol=1e-6)


def test_subtract_noise_takes_half_from_each_side() -> None:
    matrix = np.array([[0.9, 0.5], [0.4, 0.8]], np.float32)
    query, reference = np.array([0.2, 0.0], np.float32), np.array([0.1, 0.3], np.float32)
    expected = [[0.9 - 0.15, 0.5 - 0.25], [0.4 - 0.05, 0.8 - 0.15]]
    np.testing.assert_allclose(subtract_noise(matrix, query, reference), expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"\(2, 2\) does not fit 1 and 2 frames"):
        subtract_noise(matrix, query[:1], reference)
