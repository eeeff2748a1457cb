"""Values that pass between the stages of the model."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tca_model.types import Match, VideoDescriptor


def stretch(start_s: float, count: int, dimension: int = 3) -> VideoDescriptor:
    """One unit vector a second."""
    return VideoDescriptor(
        start_s + np.arange(count, dtype=np.float64), np.eye(max(count, 1), dimension, dtype=np.float32)[:count]
    )


def test_stretches_of_a_video_make_one_descriptor() -> None:
    whole = VideoDescriptor.concatenate([stretch(0, 3), stretch(3, 2)])
    np.testing.assert_array_equal(whole.timestamps_s, range(5))
    np.testing.assert_array_equal(whole.frames, np.eye(3)[[0, 1, 2, 0, 1]])


def test_a_stretch_without_frames_adds_nothing_whatever_its_width() -> None:
    whole = VideoDescriptor.concatenate([stretch(0, 0, 1), stretch(1, 2), stretch(3, 0)])
    np.testing.assert_array_equal(whole.timestamps_s, [1, 2])
    assert len(VideoDescriptor.concatenate([stretch(0, 0)])) == 0


def test_stretches_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="backwards"):
        VideoDescriptor.concatenate([stretch(3, 2), stretch(0, 3)])
    with pytest.raises(ValueError, match="at least one"):
        VideoDescriptor.concatenate([])


starts = st.integers(0, 1000).map(float)
lengths = st.integers(1, 200).map(float)
matches = st.builds(
    lambda start, length, other, speed, score: Match(start, start + length, other, other + length * speed, score),
    starts,
    lengths,
    starts,
    st.sampled_from([0.5, 1.0, 2.0]),
    st.floats(0, 1),
)


@given(matches, starts, lengths)
def test_the_pieces_of_a_match_and_what_was_cut_out_make_the_whole(
    match: Match, start_s: float, length_s: float
) -> None:
    end_s = start_s + length_s
    pieces = match.cut_reference(start_s, end_s)
    cut_s = max(0.0, min(match.reference_end_s, end_s) - max(match.reference_start_s, start_s))
    lasts_s = match.reference_end_s - match.reference_start_s
    left_s = sum(one.reference_end_s - one.reference_start_s for one in pieces)
    assert left_s + cut_s == pytest.approx(lasts_s)
    queried_s = sum(one.query_end_s - one.query_start_s for one in pieces)
    assert queried_s == pytest.approx((match.query_end_s - match.query_start_s) * left_s / lasts_s)
    speed = (match.query_end_s - match.query_start_s) / lasts_s
    for one in pieces:
        assert one.reference_end_s <= start_s or one.reference_start_s >= end_s
        offset_s = (one.reference_start_s - match.reference_start_s) * speed
        assert one.query_start_s - match.query_start_s == pytest.approx(offset_s), "on its line"
        assert one.similarity == match.similarity


@given(matches, lengths)
def test_a_match_is_itself_without_a_stretch_that_it_does_not_show(match: Match, length_s: float) -> None:
    end_s, start_s = match.reference_end_s, match.reference_start_s
    assert match.cut_reference(end_s, end_s + length_s) == [match]
    assert match.cut_reference(start_s - length_s, start_s) == [match]
    assert match.cut_reference(start_s, end_s) == match.cut_reference(start_s - 1, end_s + 1) == []


def test_a_match_in_two_pieces_by_hand() -> None:
    """Ten seconds of the query play twenty of the reference."""
    assert Match(100, 110, 40, 60, 0.9).cut_reference(44, 50) == [
        Match(100, 102, 40, 44, 0.9),
        Match(105, 110, 50, 60, 0.9),
    ]
