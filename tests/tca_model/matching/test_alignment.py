"""What both ways to align find in similarity matrices, and what they refuse."""

import numpy as np
import pytest

from tca_model.matching.alignment import AlignmentConfig, align
from tca_model.matching.hough import HoughConfig, align_by_hough
from tca_model.matching.intervals import Aligner
from tests.tca_model.matching.matrices import assert_near, background, plant, seconds


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


def test_costs_that_make_no_sense_are_rejected() -> None:
    with pytest.raises(ValueError, match="must cost something"):
        AlignmentConfig(cut_cost=0)
    with pytest.raises(ValueError, match="speeds"):
        HoughConfig(speeds=(0.0,))
