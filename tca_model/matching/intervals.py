"""The copied intervals in a similarity matrix, and what their similarity and length are worth."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from tca_model.matching.alignment import MIN_FRAMES, frame_step
from tca_model.matching.contrast import measure_contrast
from tca_model.types import FloatArray, Match, Times

# A short stretch of moderate similarity happens by chance, a long one does not, and near-identity never does: a mean
# similarity s over n frames or seconds counts as s * n / (n + PRIOR * (1 - s)). Values of 6 to 12 rank alike.
PRIOR = 9.0
# Chamfer takes the best match of each frame in any order, so unrelated works get a higher value than an aligned
# interval would have. At 0.8 or more, pairs of different works rank above true ones.
CHAMFER_WEIGHT = 0.6
# If a video has only one or two frames, they are evidence of a copy only if they are almost the same.
NEARLY_IDENTICAL = 0.9
# Below this chamfer similarity nobody looks whether the copy runs backwards.
LEAST_BACKWARDS = 0.4
# What runs backwards must stand out: hardly a look-alike has as much.
CONTRAST_BACKWARDS = 0.25

Aligner: TypeAlias = Callable[[FloatArray, Times, Times], list[Match]]


def find_intervals(similarity: FloatArray, query_times: Times, reference_times: Times, aligner: Aligner) -> list[Match]:
    """The copied intervals in a matrix (Tq, Tr), with their contrast.

    If nothing aligns as well as the frames are similar in any order, one video may run backwards: then those of the
    reference turned around, if they are worth more. These need contrast: a flat matrix is as similar backwards. Such
    intervals, too, start before they end on both sides.
    """
    if min(similarity.shape) < MIN_FRAMES:
        return _match_identical(similarity, query_times, reference_times)
    forwards = _align(similarity, query_times, reference_times, aligner)
    chamfer = float(similarity.max(axis=1).mean())
    if chamfer < LEAST_BACKWARDS or _find_best(forwards) >= CHAMFER_WEIGHT * discount(chamfer, len(similarity)):
        return forwards
    end_s = float(reference_times[-1])
    turned = _align(similarity[:, ::-1], query_times, end_s - reference_times[::-1], aligner)
    step_s = frame_step(reference_times)
    backwards = [
        replace(
            one,
            reference_start_s=end_s - one.reference_end_s + step_s,
            reference_end_s=end_s - one.reference_start_s + step_s,
        )
        for one in turned
        if one.contrast >= CONTRAST_BACKWARDS
    ]
    return max(forwards, backwards, key=_find_best)


def measure_worth(match: Match) -> float:
    """What an interval's similarity is worth over its length on the shorter side."""
    shorter_s = min(match.query_end_s - match.query_start_s, match.reference_end_s - match.reference_start_s)
    return discount(match.similarity, shorter_s)


def discount(similarity: float, length: float) -> float:
    """The worth of a mean similarity over that many seconds or frames: s n / (n + PRIOR (1 - s))."""
    return similarity * length / (length + PRIOR * max(0.0, 1 - similarity))


def _find_best(matches: list[Match]) -> float:
    return max(map(measure_worth, matches), default=0.0)


def _align(similarity: FloatArray, query_times: Times, reference_times: Times, aligner: Aligner) -> list[Match]:
    return [
        replace(match, contrast=measure_contrast(similarity, query_times, reference_times, match))
        for match in aligner(similarity, query_times, reference_times)
    ]


def _match_identical(similarity: FloatArray, query_times: Times, reference_times: Times) -> list[Match]:
    """The interval of one or two nearly identical frames, which are too few to align; empty if there is none."""
    if len(reference_times) < len(query_times):
        return [one.swap_sides() for one in _match_identical(similarity.T, reference_times, query_times)]
    score = float(similarity.max(axis=1).mean())
    if score < NEARLY_IDENTICAL:
        return []
    length_s = float(query_times[-1] - query_times[0]) + 1.0  # a frame stands for a second
    query_start, reference_start = float(query_times[0]), float(reference_times[similarity[0].argmax()])
    return [Match(query_start, query_start + length_s, reference_start, reference_start + length_s, score)]
