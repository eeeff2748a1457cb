"""Tails fitted to samples whose tail is known."""

import numpy as np
import pytest

from tca_model.evaluation.extremes import FEWEST, Floats, Peaks, Tail, fit_tail


def draw_pareto(count: int, scale: float, shape: float) -> Floats:
    """A sample of a generalised Pareto distribution, by the inverse of its distribution function."""
    uniform = np.random.default_rng(4).uniform(size=count)
    return -scale * np.log(uniform) if shape == 0 else scale * (uniform**-shape - 1) / shape


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.3])
def test_the_tail_of_a_known_distribution_is_found(shape: float) -> None:
    excess = draw_pareto(20_000, 0.05, shape)
    tail = fit_tail(0.2 + excess, np.ones(len(excess)), 0.2, 1e6, with_shape=True)

    assert tail.shape == pytest.approx(shape, abs=0.03)
    assert tail.scale == pytest.approx(0.05, rel=0.04)
    assert tail.share == pytest.approx(0.02)
    # Far beyond the sample: what the distribution itself says.
    truth = Tail(0.2, 0.02, 0.05, shape)
    for probability in (1e-3, 1e-5):
        assert tail.score(probability) == pytest.approx(truth.score(probability), rel=0.1)


def test_an_exponential_tail_has_the_mean_excess_as_its_scale() -> None:
    tail = fit_tail(np.linspace(2, 21, 20), np.ones(20), 1.0, 200, with_shape=False)
    assert (tail.scale, tail.share, tail.shape) == (10.5, 0.1, 0.0)
    assert tail.probability(1.0) == pytest.approx(0.1)
    assert tail.probability(1 + 21.0) == pytest.approx(0.1 * np.exp(-2))


def test_weights_count_like_copies_of_a_score() -> None:
    scores, weights = np.linspace(2, 13, 12), np.repeat([1.0, 2.0, 3.0], 4)
    weighted = fit_tail(scores, weights, 1.0, 100, with_shape=True)
    repeated = np.repeat(scores, weights.astype(int))
    copied = fit_tail(repeated, np.ones(len(repeated)), 1.0, 100, with_shape=True)
    assert weighted.share == copied.share
    assert (weighted.scale, weighted.shape) == pytest.approx((copied.scale, copied.shape))


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.25])
def test_scores_and_probabilities_are_inverse(shape: float) -> None:
    tail = Tail(0.3, 0.01, 0.02, shape)
    assert tail.probability(tail.score(1e-4)) == pytest.approx(1e-4)
    assert tail.probability(0.3) == pytest.approx(0.01)


def test_a_short_tail_ends_and_a_tail_says_nothing_below_its_threshold() -> None:
    assert Tail(0.3, 0.01, 0.1, -0.5).probability(0.51) == 0
    with pytest.raises(ValueError, match=r"begins at 0\.3"):
        Tail(0.3, 0.01, 0.1).probability(0.29)
    for probability in (0.0, 0.02):
        with pytest.raises(ValueError, match="expected a probability"):
            Tail(0.3, 0.01, 0.1).score(probability)


def test_too_few_scores_have_no_tail() -> None:
    enough = 1 + np.arange(1.0, FEWEST + 1)
    fit_tail(enough, np.ones(FEWEST), 1.0, 100, with_shape=False)
    with pytest.raises(ValueError, match=r"needs 10 scores above 1\.0, got 9"):
        fit_tail(enough, (enough > 2).astype(float), 1.0, 100, with_shape=False)


def make_peaks(videos: int, threshold: float, hub: float = 0.0) -> Peaks:
    """All pairs of videos that are families of their own, with exponential scores; the first one has higher ones."""
    first, second = np.triu_indices(videos, 1)
    scores = np.random.default_rng(1).exponential(0.1, len(first)) + hub * (first == 0)
    above = scores > threshold
    return Peaks(threshold, scores[above], first[above], second[above], np.arange(videos))


def test_the_share_is_of_the_pairs_of_different_families() -> None:
    peaks = Peaks(0.5, np.linspace(0.6, 0.9, 20), np.zeros(20, int), np.full(20, 3), np.array([0, 0, 1, 1]))
    assert peaks.fit(with_shape=False).share == 20 / 4, "two families of two videos have four pairs"
    # The first video drawn twice, the second not at all; the fourth once.
    tail = peaks.fit(with_shape=False, counts=np.array([2, 0, 1, 1]))
    assert tail.share == 2 * 20 / 4


def test_a_hub_widens_the_interval_of_a_bootstrap_over_videos() -> None:
    def spread(peaks: Peaks) -> float:
        shares = [tail.share for tail in peaks.resample(60, 0, with_shape=False)]
        return float(np.std(shares) / np.mean(shares))

    assert spread(make_peaks(60, 0.3, hub=1.0)) > 2 * spread(make_peaks(60, 0.3))


def test_a_bootstrap_holds_the_truth_and_is_the_same_each_time() -> None:
    peaks = make_peaks(80, 0.2)
    rates = [tail.probability(1.0) for tail in peaks.resample(200, 0, with_shape=False)]
    low, high = np.quantile(rates, [0.025, 0.975])
    assert low < np.exp(-10) < high
    assert rates == [tail.probability(1.0) for tail in peaks.resample(200, 0, with_shape=False)]


def test_peaks_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match="2 scores of 1 and 2 videos"):
        Peaks(0.1, np.array([0.2, 0.3]), np.array([0]), np.array([1, 2]), np.arange(3))
    with pytest.raises(ValueError, match=r"peaks lie above 0\.25"):
        Peaks(0.25, np.array([0.2]), np.array([0]), np.array([1]), np.arange(2))
