"""Temporal alignment: from a similarity matrix to copied intervals, and merging them across segment borders.

`align` is dynamic programming (Viterbi). Each query frame is assigned to one reference frame or to none. The best
sequence has the largest sum of similarities minus costs. Advancing along the reference is free at normal speed and
cheap otherwise. A cut to another place costs more, so that reordered, repeated and missing pieces become separate
intervals. The begin and the end of a copied interval cost too.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tca_model.types import FloatArray, Match, Times

MIN_FRAMES = 3  # shorter runs are chance; a run that a segment border may have cut off can be one frame shorter
SHORTEST_STEP_S = 0.1  # ten frames per second; copy detection never samples more densely
ROUNDING_S = 1e-6  # rounding error of times
FASTEST, SLOWEST = 2.0, 0.25  # reference seconds per query second; anything slower is a still picture, or nearly


@dataclass(frozen=True, slots=True)
class AlignmentConfig:
    """The costs of a sequence, in units of similarity summed over query frames.

    `floor`: the worth of a frame that shows nothing of the reference; unrelated whitened frames reach 0.15 to the
    nearest ten of a thousand.
    `gap_cost`: the most that one frame can cost, so that a flash does not cut a copy in two.
    `cut_cost`: continuing at another place.
    `edge_cost`: the begin or the end of a copied interval.
    `drift_cost`: per reference frame more or less than at speed 1, so that a static picture is aligned at speed 1.
    `longest_gap_s`: frames further apart, because those between were dropped, are not on one run, unless all query
    frames are that sparse.
    """

    floor: float = 0.15
    gap_cost: float = 0.2
    cut_cost: float = 0.4
    edge_cost: float = 0.2
    drift_cost: float = 0.08
    longest_gap_s: float = 4.0

    def __post_init__(self) -> None:
        if min(self.gap_cost, self.cut_cost, self.edge_cost, self.drift_cost, self.longest_gap_s) <= 0:
            raise ValueError("gaps, cuts, edges and drift must cost something, and longest_gap_s must be positive")


DEFAULT_ALIGNMENT = AlignmentConfig()


def align(
    similarity: FloatArray,
    query_times: Times,
    reference_times: Times,
    config: AlignmentConfig = DEFAULT_ALIGNMENT,
) -> list[Match]:
    """Copied intervals in a similarity matrix (Tq, Tr), by query time; empty if nothing aligns.

    Times (Tq,), (Tr,) are seconds, ascending. A frame stands for the time until the next one, so intervals are
    half-open. A query frame belongs to one interval at most, even in a static video; a reference frame may belong to
    several.
    """
    if not may_align(similarity, query_times, reference_times, config.floor, MIN_FRAMES):
        return []
    rows, columns = similarity.shape
    query_step_s, reference_step_s = frame_step(query_times), frame_step(reference_times)
    places, goes_on = _best_places(similarity, query_times, reference_times, config)
    query_ends = np.append(np.minimum(query_times[:-1] + query_step_s, query_times[1:]), query_times[-1] + query_step_s)
    matches = []
    for first, last in _runs(places, goes_on):
        values = similarity[np.arange(first, last + 1), places[first : last + 1]]
        counted = np.flatnonzero(values > config.floor)
        at_border = first == 0 or last == rows - 1 or places[first] == 0 or places[last] == columns - 1
        if len(counted) < MIN_FRAMES - at_border:
            continue
        values = values[counted[0] : counted[-1] + 1]
        first, last = first + counted[0], first + counted[-1]
        reference_start, reference_end = reference_times[places[first]], reference_times[places[last]]
        # Many query frames similar to a single reference frame are a still picture, not a copied interval.
        if reference_end > reference_start + SLOWEST * (query_times[last] - query_times[first] - query_step_s):
            reference_end = reference_end + reference_step_s
            spans = (query_times[first], query_ends[last], reference_start, reference_end, values.mean())
            matches.append(Match(*map(float, spans)))
    return matches


def may_align(
    similarity: FloatArray, query_times: Times, reference_times: Times, floor: float, min_frames: int
) -> bool:
    """Whether enough query frames of a matrix (Tq, Tr) reach above `floor`; most chance candidates fail.

    One frame fewer than `min_frames` is enough, since a segment border may cut an interval off. Raises ValueError for a
    matrix that is empty or does not fit the times (Tq,) and (Tr,).
    """
    if similarity.shape != (len(query_times), len(reference_times)) or not similarity.size:
        raise ValueError(f"expected {(len(query_times), len(reference_times))} with entries, got {similarity.shape}")
    return bool(np.sum(similarity.max(axis=1) > floor) >= min_frames - 1)


def merge(matches: list[Match], max_gap_s: float = 4.0, tolerance_s: float = 2.0) -> list[Match]:
    """The intervals of one pair of assets, with those that continue or contain each other joined, by query time.

    One continues another if at most `max_gap_s` of the query lies between them and it starts, in the reference, within
    `tolerance_s` of the other's line. Similarity and contrast of the result are means weighted by query time. The order
    of `matches` does not matter.
    """
    chains: list[Match] = []
    for match in sorted(set(matches), key=time_order):
        errors = [(_discontinuity(chain, match, max_gap_s), index) for index, chain in enumerate(chains)]
        error, index = min(errors, default=(np.inf, -1))
        if error <= tolerance_s:
            chains[index] = _join(chains[index], match)
        else:
            chains.append(match)
    return sorted(chains, key=time_order)


def frame_step(times: Times) -> float:
    """Seconds from one frame to the next in the times (T,) of a video: the median, because frames may be missing."""
    # A single frame has no spacing; the service samples 1 frame/s. In damaged files, times may lie in close pairs: a
    # step of a millisecond would put each of them on a line of its own.
    return max(float(np.median(np.diff(times))), SHORTEST_STEP_S) if len(times) > 1 else 1.0


def _best_places(
    similarity: FloatArray, query_times: Times, reference_times: Times, config: AlignmentConfig
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The reference frame of each query frame (Tq,), -1 for none, and whether it continues the run before (Tq,).

    Forward Viterbi: `sums` (Tr + 1,) is the best sum of a sequence that ends at each reference frame or, last, at none.
    """
    rows, columns = similarity.shape
    query_step_s, reference_step_s = frame_step(query_times), frame_step(reference_times)
    gain = np.zeros((rows, columns + 1), dtype=np.float32)
    gain[:, :columns] = np.maximum(similarity - np.float32(config.floor), -np.float32(config.gap_cost))
    before = np.zeros((rows, columns + 1), dtype=np.int32)
    goes_on = np.zeros((rows, columns + 1), dtype=np.bool_)
    sums = gain[0].copy()
    sums[:columns] -= config.edge_cost
    for row in range(1, rows):
        # Begin at a place, or cut to it from the best one; end; or continue (below).
        best, nowhere = int(sums[:columns].argmax()), float(sums[columns])
        begun, cut, ended = nowhere - config.edge_cost, sums[best] - config.cut_cost, sums[best] - config.edge_cost
        reached = np.full(columns + 1, max(begun, cut), dtype=np.float32)
        before[row] = columns if begun >= cut else best
        reached[columns], before[row, columns] = (nowhere, columns) if nowhere >= ended else (ended, best)
        step_s = query_times[row] - query_times[row - 1]
        furthest_s = FASTEST * step_s + reference_step_s + ROUNDING_S
        if step_s <= max(config.longest_gap_s, 2 * query_step_s):
            for advance in range(min(int(furthest_s / reference_step_s), columns - 1) + 1):
                moved_s = reference_times[advance:] - reference_times[: columns - advance]
                going = sums[: columns - advance] - config.drift_cost * np.abs(moved_s - step_s) / reference_step_s
                better = (going > reached[advance:columns]) & (moved_s <= furthest_s)
                reached[advance:columns][better] = going[better]
                before[row, advance:columns][better] = np.flatnonzero(better)
                goes_on[row, advance:columns] |= better
        sums = reached + gain[row]
    places = np.empty(rows, dtype=np.intp)
    joined = np.zeros(rows, dtype=np.bool_)
    sums[:columns] -= config.edge_cost
    place = int(sums.argmax())
    for row in range(rows - 1, -1, -1):
        places[row], joined[row] = place, goes_on[row, place]
        place = before[row, place]
    places[places == columns] = -1
    return places, joined


def _runs(places: NDArray[np.intp], goes_on: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last query frame of each continued run of places."""
    runs: list[tuple[int, int]] = []
    for row, place in enumerate(places.tolist()):
        if place < 0:
            continue
        if goes_on[row]:
            runs[-1] = (runs[-1][0], row)
        else:
            runs.append((row, row))
    return runs


def _discontinuity(first: Match, second: Match, max_gap_s: float) -> float:
    """Seconds of the reference by which `second` misses the line of `first`; infinite if too far away in time."""
    gap_s = second.query_start_s - first.query_end_s
    if gap_s > max_gap_s:
        return float("inf")
    ahead = abs(first.reference_end_s + gap_s * _speed(first) - second.reference_start_s)
    back = abs(second.reference_start_s - gap_s * _speed(second) - first.reference_end_s)
    return max(ahead, back)


def _join(first: Match, second: Match) -> Match:
    length, other = first.query_end_s - first.query_start_s, second.query_end_s - second.query_start_s

    def weigh(value: float, other_value: float) -> float:
        return (value * length + other_value * other) / (length + other)

    return Match(
        first.query_start_s,
        max(first.query_end_s, second.query_end_s),
        min(first.reference_start_s, second.reference_start_s),
        max(first.reference_end_s, second.reference_end_s),
        weigh(first.similarity, second.similarity),
        weigh(first.contrast, second.contrast),
    )


def _speed(match: Match) -> float:
    return (match.reference_end_s - match.reference_start_s) / (match.query_end_s - match.query_start_s)


def time_order(match: Match) -> tuple[float, ...]:
    """Sort key of matches: by query time, then by reference time."""
    spans = match.query_start_s, match.query_end_s, match.reference_start_s, match.reference_end_s
    return *spans, match.similarity, match.contrast
