"""Copied intervals in similarity matrices: what both methods find, what only dynamic programming finds, merging."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tca_model.matching.alignment import AlignmentConfig, _best_places, align, merge
from tca_model.matching.evidence import Aligner
from tca_model.matching.hough import HoughConfig, align_by_hough
from tca_model.types import FloatArray, Match


def background(query_frames: int, reference_frames: int, seed: int = 0) -> FloatArray:
    """Similarities of unrelated whitened frames: about 0, some pairs similar by chance."""
    noise = np.random.default_rng(seed).normal(0.02, 0.1, size=(query_frames, reference_frames))
    return np.clip(noise, -0.2, 0.2).astype(np.float32)


def plant(
    similarity: FloatArray, query_start: int, count: int, reference_start: float, speed: float, value: float = 0.8
) -> None:
    """A copy: `count` query frames starting at `query_start` show the reference starting at `reference_start`."""
    for step in range(count):
        column = int(reference_start + speed * step)
        similarity[query_start + step, column] = value


def seconds(count: int, start: float = 0.0) -> NDArray[np.float64]:
    return start + np.arange(count, dtype=np.float64)


def assert_near(match: Match, expected: tuple[float, float, float, float], within_s: float) -> None:
    found = (match.query_start_s, match.query_end_s, match.reference_start_s, match.reference_end_s)
    assert np.abs(np.subtract(found, expected)).max() <= within_s, f"{found} is not {expected}"


@pytest.fixture(params=[align, align_by_hough], ids=["dynamic programming", "hough"])
def aligner(request: pytest.FixtureRequest) -> Aligner:
    method: Aligner = request.param
    return method


@pytest.mark.parametrize("speed", [0.5, 0.6, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_copy_at_another_speed_is_found_on_both_sides(aligner: Aligner, speed: float, seed: int) -> None:
    similarity = background(32, 120, seed)
    plant(similarity, 6, 20, 31, speed)
    (match,) = aligner(similarity, seconds(32), seconds(120))
    assert_near(match, (6, 26, 31, 31 + 20 * speed), within_s=2)
    assert match.similarity == pytest.approx(0.8, abs=0.06)


def test_times_are_those_of_the_assets_and_intervals_are_half_open(aligner: Aligner) -> None:
    similarity = background(32, 40)
    plant(similarity, 0, 32, 4, 1.0)
    (match,) = aligner(similarity, seconds(32, start=64), seconds(40, start=320))
    assert_near(match, (64, 96, 324, 356), within_s=0.01)


def test_two_reordered_intervals_are_two_matches(aligner: Aligner) -> None:
    similarity = background(32, 60)
    plant(similarity, 2, 8, 40, 1.0)
    plant(similarity, 15, 12, 5, 1.0)
    first, second = aligner(similarity, seconds(32), seconds(60))
    assert_near(first, (2, 10, 40, 48), within_s=1)
    assert_near(second, (15, 27, 5, 17), within_s=1)


def test_two_intervals_on_one_line_with_other_material_between_them_stay_separate(aligner: Aligner) -> None:
    similarity = background(32, 60)
    plant(similarity, 0, 8, 10, 1.0)
    plant(similarity, 22, 8, 32, 1.0)
    first, second = aligner(similarity, seconds(32), seconds(60))
    assert_near(first, (0, 8, 10, 18), within_s=1)
    assert_near(second, (22, 30, 32, 40), within_s=1)


def test_a_flash_of_one_frame_does_not_cut_an_interval(aligner: Aligner) -> None:
    similarity = background(20, 20)
    plant(similarity, 0, 20, 0, 1.0)
    similarity[9] = -0.1
    (match,) = aligner(similarity, seconds(20), seconds(20))
    assert_near(match, (0, 20, 0, 20), within_s=0.01)


def test_dropped_frames_do_not_split_an_interval(aligner: Aligner) -> None:
    similarity = background(20, 30)
    plant(similarity, 0, 20, 5, 1.0)
    kept, stored = np.delete(np.arange(20), [7, 8]), np.delete(np.arange(30), [20])
    (match,) = aligner(similarity[np.ix_(kept, stored)], seconds(20)[kept], seconds(30)[stored])
    assert_near(match, (0, 20, 5, 25), within_s=1)


def test_a_copy_sampled_half_a_frame_later_is_found(aligner: Aligner) -> None:
    similarity = background(20, 30)
    for row in range(20):
        similarity[row, [row + 5, row + 6]] = 0.6
    (match,) = aligner(similarity, seconds(20), seconds(30))
    assert_near(match, (0, 20, 5.5, 25.5), within_s=1)


def test_a_static_video_gives_one_match_at_normal_speed(aligner: Aligner) -> None:
    similarity = np.full((32, 300), 0.95, np.float32)
    (match,) = aligner(similarity, seconds(32), seconds(300))
    assert_near(match, (0, 32, 0, 32), within_s=0.01)
    assert match.similarity == pytest.approx(0.95)


def test_a_still_picture_is_not_an_interval(aligner: Aligner) -> None:
    assert aligner(np.full((20, 1), 0.95, np.float32), seconds(20), seconds(1)) == []
    assert aligner(np.full((1, 20), 0.95, np.float32), seconds(1), seconds(20)) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (2, 2), (2, 40), (32, 1), (32, 300)])
def test_nothing_is_found_in_unrelated_frames(aligner: Aligner, shape: tuple[int, int]) -> None:
    for seed in range(5):
        assert aligner(background(*shape, seed=seed), seconds(shape[0]), seconds(shape[1])) == []


def test_fewer_than_three_frames_are_chance(aligner: Aligner) -> None:
    similarity = background(32, 60)
    plant(similarity, 10, 2, 20, 1.0, 0.95)
    assert aligner(similarity, seconds(32), seconds(60)) == []
    plant(similarity, 10, 3, 20, 1.0, 0.95)
    assert len(aligner(similarity, seconds(32), seconds(60))) == 1


@pytest.mark.parametrize("start", [0, 30])
def test_two_frames_count_where_a_segment_border_may_have_cut_them_off(aligner: Aligner, start: int) -> None:
    similarity = background(32, 60)
    plant(similarity, start, 2, 20, 1.0, 0.95)
    (match,) = aligner(similarity, seconds(32), seconds(60))
    assert_near(match, (start, start + 2, 20, 22), within_s=1)


@pytest.mark.parametrize("start", [0, 58])
def test_two_frames_count_at_the_ends_of_the_reference(start: int) -> None:
    similarity = background(32, 60)
    plant(similarity, 12, 2, start, 1.0, 0.95)
    (match,) = align(similarity, seconds(32), seconds(60))
    assert_near(match, (12, 14, start, start + 2), within_s=1)


def test_a_query_frame_belongs_to_one_interval(aligner: Aligner) -> None:
    similarity = background(10, 60)
    plant(similarity, 0, 10, 5, 1.0, 0.8)
    plant(similarity, 0, 10, 40, 1.0, 0.9)
    (match,) = aligner(similarity, seconds(10), seconds(60))
    assert_near(match, (0, 10, 40, 50), within_s=0.01)


def test_the_matrix_is_not_changed(aligner: Aligner) -> None:
    similarity = background(32, 60)
    plant(similarity, 3, 9, 20, 1.0)
    before = similarity.copy()
    similarity.flags.writeable = False
    aligner(similarity, seconds(32), seconds(60))
    assert np.array_equal(similarity, before)


def test_wrong_shapes_are_rejected(aligner: Aligner) -> None:
    with pytest.raises(ValueError, match="expected"):
        aligner(background(4, 5), seconds(5), seconds(4))
    with pytest.raises(ValueError, match="expected"):
        aligner(background(0, 5), seconds(0), seconds(5))


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


def test_costs_that_make_no_sense_are_rejected() -> None:
    with pytest.raises(ValueError, match="must cost something"):
        AlignmentConfig(cut_cost=0)
    with pytest.raises(ValueError, match="speeds"):
        HoughConfig(speeds=(0.0,))


def test_pieces_of_one_copy_are_joined_across_a_segment_border() -> None:
    pieces = [Match(27, 32, 100, 105, 0.6), Match(32, 64, 105, 137, 0.9), Match(64, 67, 137.5, 140.5, 0.9)]
    for order in permutations(pieces):
        (match,) = merge(list(order))
        assert (match.query_start_s, match.query_end_s) == (27, 67)
        assert (match.reference_start_s, match.reference_end_s) == (100, 140.5)
        assert match.similarity == pytest.approx((5 * 0.6 + 35 * 0.9) / 40)


def test_pieces_at_double_speed_are_joined_along_their_own_line() -> None:
    (match,) = merge([Match(20, 30, 40, 60, 0.8), Match(32, 40, 64, 80, 0.8)])
    assert (match.reference_start_s, match.reference_end_s) == (40, 80)


@pytest.mark.parametrize(
    "other",
    [
        Match(32, 40, 70, 78, 0.8),  # elsewhere in the reference
        Match(50, 60, 30, 40, 0.8),  # long after
        Match(20, 30, 50, 60, 0.8),  # at the same time
    ],
)
def test_intervals_that_do_not_continue_each_other_stay_separate(other: Match) -> None:
    first = Match(20, 30, 10, 20, 0.8)
    assert merge([first, other]) == merge([other, first])
    assert len(merge([first, other])) == 2


def test_merging_nothing_or_the_same_interval_twice() -> None:
    match = Match(0, 5, 10, 15, 0.7)
    assert merge([]) == []
    assert merge([match, match]) == [match]
