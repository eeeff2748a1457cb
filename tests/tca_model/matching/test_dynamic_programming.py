"""What alignment by dynamic programming alone finds, compared with every sequence of places in small matrices."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tca_model.matching.alignment import AlignmentConfig, _best_places, align
from tca_model.types import FloatArray, Match
from tests.tca_model.matching.matrices import assert_near, background, plant, seconds


@pytest.mark.parametrize("start", [0, 58])
def test_two_frames_count_at_the_ends_of_the_reference(start: int) -> None:
    similarity = background(32, 60)
    plant(similarity, 12, 2, start, 1.0, 0.95)
    (match,) = align(similarity, seconds(32), seconds(60))
    assert_near(match, (12, 14, start, start + 2), within_s=1)


def slow_scene(frames: int, seed: int = 0) -> FloatArray:
    """Unit frames of a slowly changing scene: frames 5 s apart have a similarity of 0.6."""
    steps = np.random.default_rng(seed).normal(size=(frames, 64)).cumsum(axis=0)
    rows = steps + 3 * np.random.default_rng(seed + 1).normal(size=64)
    unit: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def align_pieces(order: list[slice]) -> list[Match]:
    """The matches of pieces of a slow scene with the whole scene."""
    scene = slow_scene(30)
    copy = np.concatenate([scene[piece] for piece in order])
    return align(copy @ scene.T, seconds(len(copy)), seconds(len(scene)))


def test_reordered_pieces_of_a_slow_scene_are_separate_matches() -> None:
    first, second = align_pieces([slice(15, 30), slice(0, 15)])
    assert_near(first, (0, 15, 15, 30), within_s=1)
    assert_near(second, (15, 30, 0, 15), within_s=1)


def test_a_loop_matches_the_same_piece_twice() -> None:
    matches = align_pieces([slice(0, 12)] * 3)
    assert len(matches) == 3
    for number, match in enumerate(matches):
        assert_near(match, (12 * number, 12 * number + 12, 0, 12), within_s=1)


def test_frames_far_apart_are_not_on_one_run() -> None:
    similarity = background(12, 60)
    plant(similarity, 0, 6, 10, 1.0)
    plant(similarity, 6, 6, 36, 1.0)
    times = np.concatenate([seconds(6), seconds(6, start=26)])  # what lies between was left out
    first, second = align(similarity, times, seconds(60))
    assert_near(first, (0, 6, 10, 16), within_s=1)
    assert_near(second, (26, 32, 36, 42), within_s=1)


def slow_sum(
    places: tuple[int, ...], similarity: FloatArray, query: NDArray[np.float64], reference: NDArray[np.float64]
) -> float:
    """The worth of a sequence of places (-1: none), with the better of continuing and a cut at each step."""
    costs = AlignmentConfig()
    query_step_s = float(np.median(np.diff(query))) if len(query) > 1 else 1.0
    step_s = float(np.median(np.diff(reference))) if len(reference) > 1 else 1.0
    total = 0.0
    for row, place in enumerate(places):
        previous = places[row - 1] if row else -1
        if place >= 0:
            total += max(float(similarity[row, place]) - costs.floor, -costs.gap_cost)
        if (place < 0) != (previous < 0):
            total -= costs.edge_cost
        if place < 0 or previous < 0:
            continue
        passed, moved = query[row] - query[row - 1], reference[place] - reference[previous]
        furthest = 2 * passed + step_s + 1e-6
        may_go_on = passed <= max(costs.longest_gap_s, 2 * query_step_s) and 0 <= moved <= furthest
        may_go_on = may_go_on and place - previous <= int(furthest / step_s)  # as many as usual, if some are closer
        drift = costs.drift_cost * abs(moved - passed) / step_s if may_go_on else costs.cut_cost
        total -= min(drift, costs.cut_cost)
    return total - costs.edge_cost * (places[-1] >= 0)


GAPS = st.lists(st.sampled_from([0.2, 1.0, 2.0, 3.0, 7.0]), min_size=4, max_size=4)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**16), rows=st.integers(2, 5), columns=st.integers(1, 4), query=GAPS, reference=GAPS)
def test_no_sequence_of_places_is_better(
    seed: int, rows: int, columns: int, query: list[float], reference: list[float]
) -> None:
    similarity = np.random.default_rng(seed).uniform(-0.2, 0.9, (rows, columns)).astype(np.float32)
    query_times, reference_times = np.cumsum([0.0, *query])[:rows], np.cumsum([0.0, *reference])[:columns]
    places, _ = _best_places(similarity, query_times, reference_times, AlignmentConfig())
    found = slow_sum(tuple(places.tolist()), similarity, query_times, reference_times)
    every = product(range(-1, columns), repeat=rows)
    best = max(slow_sum(places, similarity, query_times, reference_times) for places in every)
    assert found == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("columns", range(3, 9))
@pytest.mark.parametrize("gap_s", [2, 3, 4])
def test_a_gap_in_the_query_may_be_longer_than_the_reference(columns: int, gap_s: int) -> None:
    times = np.concatenate([seconds(4), seconds(4, start=3 + gap_s)])
    for match in align(np.full((8, columns), 0.6, np.float32), times, seconds(columns)):
        assert 0 <= match.reference_start_s < match.reference_end_s <= columns


@pytest.mark.parametrize(("query_s", "reference_s"), [(5, 5), (10, 10), (5, 1), (1, 5)])
def test_sparse_frames_align_too(query_s: float, reference_s: float) -> None:
    query = np.arange(0, 60, query_s, dtype=np.float64)
    reference = np.arange(0, 60, reference_s, dtype=np.float64)
    alike = np.abs(query[:, None] // 10 - reference // 10) < 0.5  # slides of 10 s
    (match,) = align(np.where(alike, 0.9, 0.0).astype(np.float32), query, reference)
    assert_near(match, (0, 60, 0, 60), within_s=6)


def test_an_interval_does_not_cross_a_gap_in_the_reference() -> None:
    reference = seconds(20)
    reference[10:] += 300
    similarity = background(20, 20)
    plant(similarity, 0, 20, 0, 1.0, 0.9)
    first, second = align(similarity, seconds(20), reference)
    assert_near(first, (0, 10, 0, 10), within_s=1)
    assert_near(second, (10, 20, 310, 320), within_s=1)


def test_the_same_gap_on_both_sides_costs_nothing() -> None:
    times = np.delete(seconds(20), [8, 9, 10])
    (match,) = align(np.eye(17, dtype=np.float32) * 0.5, times, times)
    assert_near(match, (0, 20, 0, 20), within_s=0.01)


def test_a_still_picture_in_both_is_not_an_interval() -> None:
    similarity = background(32, 60)
    similarity[:, 20:23] = 0.9
    assert all(match.query_end_s - match.query_start_s < 14 for match in align(similarity, seconds(32), seconds(60)))


def test_intervals_do_not_overlap_where_frames_are_close_together() -> None:
    times = np.array([0, 1, 2, 3, 4, 5, 5.2, 6.2, 7.2, 8.2, 9.2, 10.2])
    similarity = background(12, 60)
    plant(similarity, 0, 6, 30, 1.0)
    plant(similarity, 6, 6, 5, 1.0)
    first, second = align(similarity, times, seconds(60))
    assert first.query_end_s <= second.query_start_s
