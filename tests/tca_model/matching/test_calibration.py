"""Scores become calibrated probabilities."""

import numpy as np
import pytest

from tca_model.matching.calibration import (
    Calibration,
    Curve,
    calibration_error,
    cross_fit,
    fit,
    reliability,
    threshold_for,
)


def draw_scores(count: int, seed: int = 0, slope: float = 5.0, intercept: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    """Random scores, and copies among them as often as the curve says."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(1, 3, size=count)
    probability = [Curve(slope=slope, intercept=intercept).probability(score) for score in scores]
    return scores, rng.uniform(size=count) < probability


def test_the_curve_behind_the_scores_is_found() -> None:
    curve = fit(*draw_scores(20_000))
    assert (curve.slope, curve.intercept) == pytest.approx((5, 6), rel=0.05)


def test_no_other_curve_is_more_likely() -> None:
    scores, is_copy = draw_scores(200)
    curve = fit(scores, is_copy)
    copies, others = int(is_copy.sum()), int((~is_copy).sum())
    target = np.where(is_copy, (copies + 1) / (copies + 2), 1 / (others + 2))

    def loss(slope: float, intercept: float) -> float:
        p = np.array([Curve(slope=slope, intercept=intercept).probability(score) for score in scores])
        return float(-(target * np.log(p) + (1 - target) * np.log(1 - p)).sum())

    best = loss(curve.slope, curve.intercept)
    for slope, intercept in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01), (0.01, 0.01)):
        assert loss(curve.slope + slope, curve.intercept + intercept) > best


def test_separable_scores_have_a_curve() -> None:
    curve = fit([0.01, 0.05, 0.1, 0.5, 0.8, 0.9], [False, False, False, True, True, True])
    assert curve.probability(0.05) < 0.3 < 0.7 < curve.probability(0.8) < 1


@pytest.mark.parametrize(
    ("scores", "is_copy", "wrong"),
    [
        ([0.1, 0.2], [True, True], "copies and others"),
        ([0.1, 0.2], [False, False], "copies and others"),
        ([0.1, 0.2, 0.8, 0.9], [True, True, False, False], "do not score higher"),
    ],
)
def test_scores_without_a_curve_are_an_error(scores: list[float], is_copy: list[bool], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        fit(scores, is_copy)


def test_score_and_probability_are_inverse() -> None:
    curve = Curve(slope=5, intercept=6)
    scores = np.linspace(0.01, 0.95, 50)
    probabilities = [curve.probability(score) for score in scores]
    assert probabilities == sorted(set(probabilities))
    assert [curve.joined_score(probability) for probability in probabilities] == pytest.approx(scores, abs=1e-4)
    assert curve.joined_score(-1) == curve.joined_score(0) < curve.joined_score(1)
    assert 0 < curve.probability(-0.2) == curve.probability(0) < curve.probability(1) <= 1


def test_without_a_curve_the_alert_score_is_the_joined_score() -> None:
    plain = Calibration(alert_threshold=0.2, basis="by hand")
    assert (plain.alert_score(0.3), plain.joined_score(0.3)) == (0.3, 0.3)
    curve = Curve(slope=5, intercept=6)
    curved = Calibration(alert_threshold=0.9, basis="by hand", curve=curve)
    assert curved.alert_score(0.3) == curve.probability(0.3) > 0.8
    assert curved.joined_score(curved.alert_score(0.3)) == pytest.approx(0.3)
    assert curved.joined_score(-1) == -1  # a negative threshold reports every pair


def test_the_calibration_error_by_hand() -> None:
    probabilities = np.array([0.05, 0.05, 0.62, 0.68, 0.66, 0.64, 1.0])
    is_copy = np.array([False, True, True, True, False, False, True])
    bins = reliability(probabilities, is_copy)
    assert [(one.pairs, one.copies) for one in bins] == [(2, 0.5), (4, 0.5), (1, 1.0)]
    assert [one.probability for one in bins] == pytest.approx([0.05, 0.65, 1.0])
    assert calibration_error(bins) == pytest.approx((2 * 0.45 + 4 * 0.15) / 7)


def test_a_pair_is_scored_by_a_curve_fitted_without_its_family() -> None:
    scores, is_copy = draw_scores(300)
    groups = [f"family-{n % 7}" for n in range(300)]
    probabilities = cross_fit(scores, is_copy, groups)
    is_copy[:] = np.where(np.array(groups) == "family-3", ~is_copy, is_copy)
    again = cross_fit(scores, is_copy, groups)
    own = np.array([group == "family-3" for group in groups])
    np.testing.assert_array_equal(probabilities[own], again[own])
    assert np.abs(probabilities[~own] - again[~own]).max() > 0.01


def test_scores_drawn_from_a_curve_are_well_calibrated() -> None:
    scores, is_copy = draw_scores(5000)
    probabilities = cross_fit(scores, is_copy, [n % 20 for n in range(5000)])
    assert calibration_error(reliability(probabilities, is_copy)) < 0.02


def test_the_threshold_for_a_precision_by_hand() -> None:
    probabilities = np.array([0.9, 0.8, 0.7, 0.7, 0.6, 0.5])
    is_copy = np.array([True, True, True, False, True, False])
    assert threshold_for(1.0, probabilities, is_copy) == 0.8
    assert threshold_for(0.8, probabilities, is_copy) == 0.6
    assert threshold_for(0.75, probabilities, is_copy) == 0.6
    assert threshold_for(0.6, probabilities, is_copy) == 0.5
    with pytest.raises(ValueError, match="at no threshold are"):
        threshold_for(0.9, probabilities, ~is_copy)
