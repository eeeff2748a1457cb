"""Temporal Hough voting. Not used in the service: `python -m bench.alignment` compares `alignment` with it.

A copy shows as a bright line r = speed * q + offset in the matrix of similarities at query time q and reference
time r. `align_by_hough` is a temporal Hough transform whose votes keep their place on the line: it reads the similarity
along the lines of a few speeds and all offsets, and takes the run of frames with the largest sum of
(similarity - floor) until none is long enough. Unlike a vote count, a run gives the ends of the interval and keeps two
copies on one line apart.
"""

from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import NDArray

from tca_model.matching.alignment import frame_step, may_align, time_order
from tca_model.types import FloatArray, Match, Times

# Lower than any similarity: for places on a line where the reference has no frame.
_NOTHING = np.float32(-1.0)
# The cost of a query frame that an interval already explains: no other interval may cross it.
_EXPLAINED = np.float32(-1e6)
# How many lines are searched for runs, most promising first: bounds the time for a static video.
_MAX_LINES = 128


@dataclass(frozen=True, slots=True)
class HoughConfig:
    """What counts as a copied interval.

    `floor`: frames more similar than this gain, others cost. Unrelated whitened frames reach 0.15 to the nearest ten of
    a thousand; at 0.25 or more, runs of vertical crops and stacked pictures are missed.
    `gap_cost`: the most that one frame can cost, so that a flash does not cut a copy in two. After `max_gap_frames`
    another interval begins.
    `min_frames`: shorter runs are chance. A run that a segment border cuts off may be one frame shorter.
    `slack`: the cost of a match one reference frame beside the line; at 1 frame/s, times are that uncertain.
    `speeds`: reference seconds per query second. Neighbours differ by 12 %; half of that moves the ends of a 32 s
    segment by one frame from its middle.
    `speed_cost`: per doubling or halving, so that a static picture is aligned at speed 1.
    `max_matches`: bounds the work for one matrix.
    """

    floor: float = 0.2
    gap_cost: float = 0.2
    max_gap_frames: int = 4
    min_frames: int = 3
    slack: float = 0.05
    speeds: tuple[float, ...] = tuple(float(2 ** (k / 6)) for k in (0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6))
    speed_cost: float = 0.02
    max_matches: int = 8

    def __post_init__(self) -> None:
        if not self.speeds or min(self.speeds) <= 0:
            raise ValueError("speeds must be positive")
        if self.min_frames < 2 or self.max_matches < 1 or self.max_gap_frames < 0:
            raise ValueError("min_frames must be at least 2, max_matches at least 1, max_gap_frames at least 0")
        if self.gap_cost <= 0 or self.slack < 0 or self.speed_cost < 0:
            raise ValueError("gap_cost must be positive, slack and speed_cost must not be negative")


DEFAULT_HOUGH = HoughConfig()


def align_by_hough(
    similarity: FloatArray,
    query_times: Times,
    reference_times: Times,
    config: HoughConfig = DEFAULT_HOUGH,
) -> list[Match]:
    """Copied intervals in a similarity matrix (Tq, Tr), by query time; none when nothing aligns.

    Times (Tq,), (Tr,) are seconds, ascending. A frame stands for the time until the next one, so intervals are
    half-open. A query frame belongs to one interval at most, even in a static video; a reference frame may belong to
    several.
    """
    if not may_align(similarity, query_times, reference_times, config.floor, config.min_frames):
        return []
    query_step_s, reference_step_s = frame_step(query_times), frame_step(reference_times)
    near = _near(similarity, config.slack)
    speeds, offsets = _promising_lines(near, query_times, reference_times, reference_step_s, config)
    along = _along_lines(near, query_times, reference_times, speeds, offsets, reference_step_s)
    handicap = (config.speed_cost * np.abs(np.log2(speeds))).astype(np.float32)
    gain = np.maximum(along - (np.float32(config.floor) + handicap), np.float32(-config.gap_cost))
    matches: list[Match] = []
    while len(matches) < config.max_matches:
        line, first, last = _best_run(gain, config)
        if line < 0:
            break
        gain[first : last + 1] = _EXPLAINED
        values = along[first : last + 1, line]
        query_start, query_end = query_times[first], query_times[last] + query_step_s
        reference_start = max(speeds[line] * query_start + offsets[line], reference_times[0])
        reference_end = min(speeds[line] * query_end + offsets[line], reference_times[-1] + reference_step_s)
        # Many query frames similar to a single reference frame are a still picture, not a copied interval.
        if reference_end - reference_start > reference_step_s:
            score = float(values[values > _NOTHING].mean())
            matches.append(
                Match(float(query_start), float(query_end), float(reference_start), float(reference_end), score)
            )
    return sorted(matches, key=time_order)


def _near(similarity: FloatArray, slack: float) -> FloatArray:
    """Similarity (Tq, Tr) to a reference frame or, minus `slack`, to one of its two neighbours."""
    padded = np.pad(similarity, ((0, 0), (1, 1)), constant_values=_NOTHING)
    return np.maximum(similarity, np.maximum(padded[:, :-2], padded[:, 2:]) - np.float32(slack))


def _promising_lines(
    near: FloatArray, query_times: Times, reference_times: Times, step_s: float, config: HoughConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Speeds (L,) and offsets (L,) of the lines with the most similarity above the floor, best first.

    The Hough vote: for each speed, each pair of frames above the floor votes for the line through it. Lines of one
    speed are one reference frame apart. No run on a line can have a larger sum than its votes.
    """
    rows, columns = np.nonzero(near > config.floor)
    weights = near[rows, columns] - np.float32(config.floor)
    speeds, offsets, votes = [], [], []
    for speed in config.speeds:
        lowest = reference_times[0] - speed * query_times[-1]
        count = int((reference_times[-1] - speed * query_times[0] - lowest) / step_s) + 2
        # Round half up, not to even: each line then gets one reference frame per row.
        line = np.floor((reference_times[columns] - speed * query_times[rows] - lowest) / step_s + 0.5).astype(np.intp)
        votes.append(np.bincount(line, np.maximum(weights - config.speed_cost * abs(log2(speed)), 0), count))
        offsets.append(lowest + step_s * np.arange(count))
        speeds.append(np.full(count, speed))
    best = np.argsort(-np.concatenate(votes), kind="stable")[:_MAX_LINES]
    return np.concatenate(speeds)[best], np.concatenate(offsets)[best]


def _along_lines(
    near: FloatArray,
    query_times: Times,
    reference_times: Times,
    speeds: NDArray[np.float64],
    offsets: NDArray[np.float64],
    step_s: float,
) -> FloatArray:
    """Similarity (Tq, L) along each line, at the nearest reference frame; -1 where none is within one step."""
    targets = speeds * query_times[:, None] + offsets  # (Tq, L) seconds of the reference
    right = np.minimum(np.searchsorted(reference_times, targets), len(reference_times) - 1)
    left = np.maximum(right - 1, 0)
    nearest = np.where(targets - reference_times[left] <= reference_times[right] - targets, left, right)
    missing = np.abs(reference_times[nearest] - targets) > step_s
    return np.where(missing, _NOTHING, np.take_along_axis(near, nearest, axis=1))


def _best_run(gain: FloatArray, config: HoughConfig) -> tuple[int, int, int]:
    """Line, first and last row of the run with the largest sum of gain (Tq, L); line -1 if there is none.

    Kadane's maximum subarray on all lines at once. At least `min_frames` rows of a run gain, one fewer if it touches
    the first or last row. It ends where more than `max_gap_frames` consecutive rows cost.
    """
    rows, lines = gain.shape
    running = np.zeros(lines, dtype=np.float32)
    start, gaining, missed = (np.zeros(lines, dtype=np.intp) for _ in range(3))
    best, found = 0.0, (-1, 0, 0)
    for row in range(rows):
        gains = gain[row] > 0
        missed = np.where(gains, 0, missed + 1)
        fresh = (running <= 0) | (missed > config.max_gap_frames)
        start[fresh] = row
        gaining = np.where(fresh, 0, gaining) + gains
        running = np.where(fresh, 0, running) + gain[row]
        at_border = (start == 0) | (row == rows - 1)
        eligible = np.where(gaining >= config.min_frames - at_border, running, 0)
        line = int(eligible.argmax())
        if eligible[line] > best:
            best, found = float(eligible[line]), (line, int(start[line]), row)
    return found
