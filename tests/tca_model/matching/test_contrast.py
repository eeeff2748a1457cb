"""Contrast distinguishes a copy from pictures that are alike at any time."""

import numpy as np
import pytest

from tca_model.matching.contrast import ENOUGH_CONTRAST, LEAST_ROOM, measure_contrast
from tca_model.matching.evidence import join, observe, score_interval
from tca_model.types import TYPICAL_CONTRAST, FloatArray, Match

FRAMES = 10


def line(on_it: float, around: float, frames: int = FRAMES) -> FloatArray:
    similarity = np.full((frames, frames), around, np.float32)
    np.fill_diagonal(similarity, on_it)
    return similarity


def contrast(similarity: FloatArray, match: Match) -> float:
    return measure_contrast(
        similarity, np.arange(float(similarity.shape[0])), np.arange(float(similarity.shape[1])), match
    )


def score(similarity: FloatArray) -> float:
    rows, columns = (np.arange(float(count)) for count in similarity.shape)
    return join([observe(0, similarity, rows, columns, np.zeros(len(columns), np.int64))]).joined_score


def test_contrast_by_hand() -> None:
    whole = Match(0, FRAMES, 0, FRAMES, 0.8)
    assert contrast(line(0.8, 0.4), whole) == pytest.approx(0.4 / (0.6 + LEAST_ROOM))
    assert contrast(line(0.8, 0.8), whole) == pytest.approx(0.0, abs=1e-6)
    assert contrast(line(0.8, 0.9), whole) < 0


def test_what_surrounds_the_interval_does_not_matter() -> None:
    similarity = np.full((30, 40), 0.95, np.float32)
    similarity[5:15, 20:30] = line(0.8, 0.4)
    assert contrast(similarity, Match(5, 15, 20, 30, 0.8)) == pytest.approx(
        contrast(line(0.8, 0.4), Match(0, 10, 0, 10, 0.8))
    )


@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_at_another_speed_the_line_is_followed(speed: float) -> None:
    frames = np.eye(60, 60, dtype=np.float32) * 0.5 + 0.3
    query = frames[np.round(np.arange(20) * speed).astype(int)]
    found = contrast(query, Match(0, 20, 0, 20 * speed, 0.8))
    assert found == pytest.approx(0.5 / (0.7 + LEAST_ROOM), abs=0.05)


@pytest.mark.parametrize("frames", [1, 2])
def test_an_interval_too_short_for_contrast_has_the_typical_one(frames: int) -> None:
    assert contrast(line(0.9, 0.9, frames), Match(0, frames, 0, frames, 0.9)) == TYPICAL_CONTRAST


def test_times_need_not_be_seconds_apart() -> None:
    similarity = line(0.8, 0.4)
    times = np.arange(float(FRAMES)) * 0.25  # only few frames are two seconds apart
    assert measure_contrast(similarity, times, times, Match(0, 2.5, 0, 2.5, 0.8)) == pytest.approx(
        0.4 / (0.6 + LEAST_ROOM)
    )


def test_it_is_the_same_from_both_sides() -> None:
    similarity = line(0.7, 0.3) + np.random.default_rng(0).uniform(0, 0.1, (FRAMES, FRAMES)).astype(np.float32)
    match = Match(0, FRAMES, 0, FRAMES, 0.7)
    assert contrast(similarity, match) == pytest.approx(contrast(similarity.T, match.swap_sides()))


def test_a_copy_scores_above_a_look_alike_of_the_same_similarity() -> None:
    copy, look_alike = score(line(0.7, 0.4)), score(line(0.7, 0.7))
    assert copy > 0.7
    assert look_alike < 0.25


def test_pictures_that_hardly_move_count_if_they_are_nearly_identical() -> None:
    assert score(np.full((FRAMES, FRAMES), 0.99, np.float32)) > 0.85


def test_more_contrast_than_enough_is_worth_no_more() -> None:
    enough, more = (Match(0, 10, 0, 10, 0.8, one) for one in (ENOUGH_CONTRAST, 0.9))
    assert score_interval(enough) == score_interval(more) > score_interval(Match(0, 10, 0, 10, 0.8))
