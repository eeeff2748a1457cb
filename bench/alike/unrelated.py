"""Pairs of unrelated footage: all against all of the real clips, and how often a stranger would alert in a large index.

All pairs of clips and panned stills of different families are looked through for near ones, by the similarity of their
nearest frames, which is quick and knows no rule of evidence. The near ones are scored as the matcher would. The others
are taken to score no more than the fit's threshold, and a random sample of them is scored to see whether that is so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.alike.stored import compare_stored
from tca_model.evaluation.benchmark import Advance
from tca_model.evaluation.extremes import Peaks, Tail
from tca_model.types import FloatArray, VideoDescriptor

NEAREST_ROWS = 3  # frames: the shortest copy
NEAR_SHARE, PEAK_SHARE = 0.03, 0.002  # of the pairs: those that are scored, and those the tail is fitted to
SAMPLE = 1000  # pairs that are not near
REFERENCES = (10**4, 10**6, 10**8)
ROUNDS, HIGHEST = 300, 20
CONFIDENCE = (0.025, 0.975)


@dataclass(frozen=True, slots=True)
class Rate:
    """Expected false alerts of an upload that is compared with so many references, with its interval of 95 %."""

    references: int
    expected: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Tails:
    """The fit over `videos` with so many `pairs`, `scored` of them; `missed`: of the sample, pairs above the threshold.

    `rates` are those of the exponential tail; `rates_with_shape` of the generalised Pareto tail.
    """

    videos: int
    pairs: int
    scored: int
    sampled: int
    missed: int
    exponential: Tail
    pareto: Tail
    shape_interval: tuple[float, float]
    highest: tuple[tuple[str, str, float], ...]  # the pairs with the highest joined scores
    rates: tuple[Rate, ...]
    rates_with_shape: tuple[Rate, ...]


def find_nearness(videos: Sequence[VideoDescriptor]) -> FloatArray:
    """How near each video is to each other one (V, V): the mean of the NEAREST_ROWS largest of its frames' maxima."""
    rows = np.concatenate([video.frames for video in videos])
    starts = np.cumsum([0, *(len(video) for video in videos[:-1])])
    near = np.empty((len(videos), len(videos)), np.float32)
    for number, video in enumerate(videos):
        largest = np.maximum.reduceat(video.frames @ rows.T, starts, axis=1)  # (frames, V)
        kept = min(NEAREST_ROWS, len(largest))
        near[number] = np.partition(largest, len(largest) - kept, axis=0)[len(largest) - kept :].mean(axis=0)
    return near


def fit_rates(
    videos: Mapping[str, VideoDescriptor],
    families: Mapping[str, str],
    alert_score: float,
    known: Mapping[tuple[str, str], float],
    advance: Advance,
) -> Tails:
    """The tails of all pairs of `videos` of two families, and the rates of joined scores above `alert_score`.

    Videos without frames are left out. `known`: joined scores of pairs that were scored before. Raises ValueError if
    there are too few pairs for a fit.
    """
    names = [name for name in sorted(videos) if len(videos[name])]
    numbers = {family: number for number, family in enumerate(sorted({families[name] for name in names}))}
    family = np.array([numbers[families[name]] for name in names], dtype=np.intp)
    first, second = np.triu_indices(len(names), 1)
    first, second = first[(differ := family[first] != family[second])], second[differ]
    near = find_nearness([videos[name] for name in names])
    order = np.argsort(-np.maximum(near[first, second], near[second, first]), kind="stable")
    count = max(round(NEAR_SHARE * len(order)), min(len(order), 50))
    sample = np.random.default_rng(0).permutation(order[count:])[:SAMPLE]
    chosen = np.concatenate([order[:count], sample])
    scores = np.empty(len(chosen))
    for done, pair in enumerate(chosen):
        one, other = names[first[pair]], names[second[pair]]
        found = known.get((one, other))
        scores[done] = compare_stored(videos[other], videos[one]).joined_score if found is None else found
        advance(done + 1, len(chosen))
    threshold = float(np.sort(scores)[-max(round(PEAK_SHARE * len(order)), 30) - 1])
    peaks_at = np.flatnonzero(scores[:count] > threshold)
    peaks = Peaks(threshold, scores[peaks_at], first[chosen[peaks_at]], second[chosen[peaks_at]], family)
    exponential, pareto = peaks.fit(with_shape=False), peaks.fit(with_shape=True)
    with_shape = peaks.resample(ROUNDS, 0, with_shape=True)
    low, high = np.quantile([tail.shape for tail in with_shape], CONFIDENCE)
    return Tails(
        videos=len(names),
        pairs=len(order),
        scored=len(chosen),
        sampled=len(sample),
        missed=int((scores[count:] > threshold).sum()),
        exponential=exponential,
        pareto=pareto,
        shape_interval=(float(low), float(high)),
        highest=tuple(
            (names[first[chosen[at]]], names[second[chosen[at]]], float(scores[at]))
            for at in np.argsort(-scores)[:HIGHEST]
        ),
        rates=rate(exponential, peaks.resample(ROUNDS, 0, with_shape=False), alert_score),
        rates_with_shape=rate(pareto, with_shape, alert_score),
    )


def rate(tail: Tail, samples: Sequence[Tail], alert_score: float) -> tuple[Rate, ...]:
    """Expected false alerts at REFERENCES. A threshold below the tail counts as the tail's begin."""
    found = [each.probability(max(alert_score, each.threshold)) for each in (tail, *samples)]
    low, high = np.quantile(found[1:], CONFIDENCE)
    return tuple(Rate(count, float(count * found[0]), float(count * low), float(count * high)) for count in REFERENCES)
