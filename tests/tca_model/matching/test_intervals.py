"""Intervals of copies that run backwards."""

import numpy as np
import pytest

from tca_model.matching.alignment import align
from tca_model.matching.intervals import find_intervals
from tca_model.types import FloatArray, Match, Times


def noise(query_frames: int, reference_frames: int) -> FloatArray:
    return np.random.default_rng(0).uniform(0, 0.1, (query_frames, reference_frames)).astype(np.float32)


@pytest.mark.parametrize("step_s", [0.5, 1.0])
def test_a_copy_that_runs_backwards_is_found_where_it_is(step_s: float) -> None:
    similarity = noise(20, 40)
    similarity[np.arange(4, 18), np.arange(30, 16, -1)] = 0.8
    query_times, reference_times = 100 + step_s * np.arange(20.0), 50 + step_s * np.arange(40.0)
    [match] = find_intervals(similarity, query_times, reference_times, align)
    assert (match.query_start_s, match.query_end_s) == (100 + 4 * step_s, 100 + 18 * step_s)
    assert (match.reference_start_s, match.reference_end_s) == (50 + 17 * step_s, 50 + 31 * step_s)
    assert match.contrast > 0.5


def test_a_copy_that_runs_forwards_is_not_turned_around() -> None:
    similarity = noise(20, 40)
    similarity[np.arange(20), np.arange(10, 30)] = 0.8
    [match] = find_intervals(similarity, np.arange(20.0), np.arange(40.0), align)
    assert (match.reference_start_s, match.reference_end_s) == (10, 30)


def test_little_similarity_is_not_looked_at_backwards() -> None:
    similarity = noise(20, 20)
    similarity[np.arange(20), np.arange(19, -1, -1)] = 0.3
    assert find_intervals(similarity, np.arange(20.0), np.arange(20.0), align) == []


def test_frames_that_are_alike_at_any_time_do_not_run_backwards() -> None:
    calls = []

    def find_whole(_matrix: FloatArray, *_times: Times) -> list[Match]:
        """Finds nothing at first, and then all of it."""
        calls.append(1)
        return [Match(0, 20, 0, 20, 0.7)] if len(calls) == 2 else []

    flat = np.full((20, 20), 0.7, np.float32)
    assert find_intervals(flat, np.arange(20.0), np.arange(20.0), find_whole) == []
    assert len(calls) == 2
