"""The score that alerts carry, and the threshold for all tenants or for some of them."""

import pytest
from services.matcher.rule import AlertRule, alert_threshold

from services.runtime.settings import Settings
from tca_model.matching.calibration import Calibration, Curve
from tests.alerter.stages import Stages, copy, end_event, original, segment_events

CURVE = Curve(slope=5, intercept=6)
PLAIN = Calibration(alert_threshold=0.4, basis="by hand")
CALIBRATED = Calibration(alert_threshold=0.9, basis="by hand", curve=CURVE)


def alert_under(rule: AlertRule) -> float | None:
    """The score of the one alert about a copy and its original; None if there is no alert."""
    stages = Stages(rule=rule)
    segments = copy()
    stages.store(original(), segments)
    stages.process(*segment_events(segments), end_event(segments))
    alerts = list(stages.latest().values())
    assert len(alerts) <= 1
    return alerts[0].score if alerts else None


NOTHING = 1.1  # a threshold that no pair reaches


def test_the_alerts_of_a_calibrated_bundle_carry_probabilities() -> None:
    score = alert_under(AlertRule(PLAIN, 0.4))
    assert score is not None
    assert alert_under(AlertRule(CALIBRATED, 0.9)) == CURVE.probability(score)
    assert alert_under(AlertRule(CALIBRATED, NOTHING)) is None


def test_scores_that_differ_by_rounding_lead_to_the_same_alert_score() -> None:
    rule = AlertRule(CALIBRATED, 0.9)
    assert rule.alert_score(0.30001) == rule.alert_score(0.3) == CURVE.probability(0.3) < rule.alert_score(0.3001)


def test_a_tenant_can_have_its_own_threshold() -> None:
    assert alert_under(AlertRule(PLAIN, 0.4, {"default": NOTHING})) is None
    assert alert_under(AlertRule(PLAIN, NOTHING, {"default": 0.4})) is not None
    assert alert_under(AlertRule(PLAIN, 0.4, {"another": NOTHING})) is not None


def test_evidence_is_kept_if_it_reaches_a_share_of_the_score_that_alerts() -> None:
    rule = AlertRule(CALIBRATED, 0.9, {"strict": 0.99}, evidence_share=0.5)
    assert rule.evidence_floor("default") == pytest.approx(CURVE.joined_score(0.9) / 2)
    assert rule.evidence_floor("strict") == pytest.approx(CURVE.joined_score(0.99) / 2)
    assert AlertRule(PLAIN, -1).evidence_floor("default") == AlertRule(CALIBRATED, -1).evidence_floor("default") == -1


@pytest.mark.parametrize(("setting", "threshold"), [(None, 0.4), (0.7, 0.7), (0.0, 0.0), (-1.0, -1.0)])
def test_the_threshold_is_the_setting_or_else_the_bundles_own(setting: float | None, threshold: float) -> None:
    assert alert_threshold(Settings(alert_threshold=setting), PLAIN) == threshold
