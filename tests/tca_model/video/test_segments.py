"""Cutting gives the same segments however the frames come, and none where there are no frames."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tca_model.video.segments import CutSegment, SegmentCutter

DIMENSION = 8


def unit(time_s: float) -> np.ndarray:
    """A descriptor of its own for each time."""
    vector = np.random.default_rng(abs(hash(time_s))).standard_normal(DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


def cut(
    cutter: SegmentCutter,
    times_s: list[float],
    duration_s: float,
    *,
    informative: list[bool] | None = None,
    chunks: list[int] | None = None,
) -> list[CutSegment]:
    """All segments of frames at these times, handed over in chunks of these sizes and a last one of the rest."""
    kept = informative if informative is not None else [True] * len(times_s)
    frames = np.array([unit(time_s) for time_s in times_s], np.float32).reshape(-1, DIMENSION)
    cuts: list[CutSegment] = []
    position = 0
    for size in [*(chunks or []), len(times_s)]:
        part = slice(position, position + size)
        times = np.array(times_s[part], np.float64)
        cuts += cutter.add(times, frames[part], np.where(np.array(kept[part], np.bool_), times, np.nan))
        position += size
    return [*cuts, cutter.finish(duration_s)]


def cutter(segment_s: float = 32.0, *, first_index: int = 0, start_s: float = 0.0) -> SegmentCutter:
    return SegmentCutter(dimension=DIMENSION, segment_s=segment_s, first_index=first_index, start_s=start_s)


def bounds(cuts: list[CutSegment]) -> list[tuple[int, float, float]]:
    return [(one.segment_index, one.start_s, one.end_s) for one in cuts]


def times_in(one: CutSegment) -> list[float]:
    times: list[float] = one.descriptor.timestamps_s.tolist()
    return times


@given(
    gaps_s=st.lists(st.floats(0.01, 90), min_size=1, max_size=40),
    informative=st.lists(st.booleans(), min_size=40, max_size=40),
    chunks=st.lists(st.integers(0, 9), max_size=8),
    segment_s=st.sampled_from([4.0, 32.0, 33.3, 120.0]),
)
def test_the_segments_do_not_depend_on_how_the_frames_come(
    gaps_s: list[float], informative: list[bool], chunks: list[int], segment_s: float
) -> None:
    times_s = np.cumsum(gaps_s).tolist()
    kept = informative[: len(times_s)]
    duration_s = times_s[-1] + 0.5
    at_once = cut(cutter(segment_s), times_s, duration_s, informative=kept)
    in_parts = cut(cutter(segment_s), times_s, duration_s, informative=kept, chunks=chunks)

    assert bounds(in_parts) == bounds(at_once)
    for one, other in zip(in_parts, at_once, strict=True):
        np.testing.assert_array_equal(one.descriptor.timestamps_s, other.descriptor.timestamps_s)
        np.testing.assert_array_equal(one.descriptor.frames, other.descriptor.frames)

    every_time = [time_s for one in at_once for time_s in times_in(one)]
    assert every_time == [time_s for time_s, keep in zip(times_s, kept, strict=True) if keep]
    for one in at_once:
        assert one.start_s < one.end_s
        assert one.start_s == pytest.approx(one.segment_index * segment_s)
        assert all(one.start_s <= time_s < one.end_s for time_s in times_in(one))
        np.testing.assert_array_equal(
            one.descriptor.frames, [unit(t) for t in times_in(one)] or np.empty((0, DIMENSION))
        )
    assert all(before.end_s <= after.start_s for before, after in pairwise(at_once))


def test_bounds_are_half_open() -> None:
    first, second = cut(cutter(), [0, 31.999, 32, 40], 41)
    assert times_in(first) == [0, 31.999]
    assert times_in(second) == [32, 40]


def test_the_last_segment_ends_with_the_file_but_not_after_its_own_end() -> None:
    assert bounds(cut(cutter(), [0, 33], 40.5)) == [(0, 0, 32), (1, 32, 40.5)]
    assert bounds(cut(cutter(), [0, 63.9], 64.04)) == [(0, 0, 32), (1, 32, 64)]


def test_a_stretch_without_frames_makes_no_segment() -> None:
    one = cutter()
    assert bounds(cut(one, [0, 1, 1_000_000], 1_000_001)) == [(0, 0, 32), (31_250, 1_000_000, 1_000_001)]
    assert one.segment_count == 2


def test_a_segment_without_informative_frames_is_there_and_empty() -> None:
    first, second = cut(cutter(), [0, 1, 32], 33, informative=[False, False, True])
    assert (first.start_s, first.end_s, len(first.descriptor)) == (0, 32, 0)
    assert first.descriptor.frames.shape == (0, DIMENSION)
    assert len(second.descriptor) == 1


def test_a_segment_file_is_one_segment_in_the_time_of_its_upload() -> None:
    one = cutter(math.inf, first_index=7, start_s=224.5)
    [segment] = cut(one, [0, 31, 32, 99], 100)
    assert bounds([segment]) == [(7, 224.5, 324.5)]
    assert times_in(segment) == [224.5, 255.5, 256.5, 323.5]
    assert one.segment_count == 1


def test_it_counts_the_segments_that_came_out() -> None:
    one = cutter()
    list(one.add(np.array([0.0, 40.0]), np.array([unit(0), unit(40)]), np.array([0.0, 40.0])))
    assert one.segment_count == 1, "the second is still open"
    one.finish(41)
    assert one.segment_count == 2


def test_a_file_without_frames_has_no_segments() -> None:
    with pytest.raises(ValueError, match="without frames"):
        cutter().finish(0)


def test_a_segment_in_which_nothing_moves_has_no_frames() -> None:
    times_s = np.arange(96, dtype=np.float64)
    first_shown_s = np.where((times_s >= 32) & (times_s < 70), 32, times_s)
    one = cutter()
    frames = np.stack([unit(time_s) for time_s in times_s])
    cuts = [*one.add(times_s, frames, first_shown_s), one.finish(96)]
    assert [len(cut.descriptor) for cut in cuts] == [32, 0, 26]
    assert times_in(cuts[2])[0] == 70, "the still that began before is not begun again"
    assert bounds(cuts) == [(0, 0, 32), (1, 32, 64), (2, 64, 96)]
