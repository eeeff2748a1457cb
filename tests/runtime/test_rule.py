"""The score that alerts carry, and the threshold for all tenants or for some of them."""

import pytest

from services.runtime.rule import AlertRule, alert_score
from services.runtime.settings import Settings
from tca_model.matching.calibration import Calibration, Curve
from tests.alerter.stages import Stages, copy, original, upload

CURVE = Curve(slope=5, intercept=6)
PLAIN = Calibration(alert_threshold=0.4, basis="by hand")
CALIBRATED = Calibration(alert_threshold=0.9, basis="by hand", curve=CURVE)
NOTHING = 1.1  # a threshold that no pair reaches


def alert_under(rule: AlertRule, calibration: Calibration = PLAIN) -> float | None:
    """The score of the one alert about a copy and its original; None if there is no alert."""
    stages = Stages(rule=rule, calibration=calibration)
    stages.store(original(), copy())
    stages.process(*upload(copy()))
    alerts = list(stages.latest().values())
    assert len(alerts) <= 1
    return alerts[0].score if alerts else None


def test_the_alerts_of_a_calibrated_bundle_carry_probabilities() -> None:
    score = alert_under(AlertRule())
    assert score is not None
    assert alert_under(AlertRule(), CALIBRATED) == CURVE.probability(score)
    assert alert_under(AlertRule(NOTHING), CALIBRATED) is None


def test_scores_that_differ_by_rounding_lead_to_the_same_alert_score() -> None:
    assert alert_score(0.30001, CALIBRATED) == alert_score(0.3, CALIBRATED) == CURVE.probability(0.3)
    assert alert_score(0.3, CALIBRATED) < alert_score(0.3001, CALIBRATED)
    assert alert_score(0.30001, PLAIN) == 0.3


def test_a_tenant_can_have_its_own_threshold() -> None:
    assert alert_under(AlertRule(0.4, {"default": NOTHING})) is None
    assert alert_under(AlertRule(NOTHING, {"default": 0.4})) is not None
    assert alert_under(AlertRule(0.4, {"another": NOTHING})) is not None


def test_evidence_is_kept_if_it_reaches_a_share_of_the_score_that_alerts() -> None:
    rule = AlertRule(None, {"strict": 0.99}, evidence_share=0.5)
    assert rule.evidence_floor("default", CALIBRATED) == pytest.approx(CURVE.joined_score(0.9) / 2)
    assert rule.evidence_floor("strict", CALIBRATED) == pytest.approx(CURVE.joined_score(0.99) / 2)
    for calibration in (PLAIN, CALIBRATED):
        assert AlertRule(-1).evidence_floor("default", calibration) == -1


@pytest.mark.parametrize(("setting", "threshold"), [(None, 0.4), (0.7, 0.7), (0.0, 0.0), (-1.0, -1.0)])
def test_the_threshold_is_the_setting_or_else_that_of_the_evidence(setting: float | None, threshold: float) -> None:
    rule = AlertRule.from_settings(Settings(alert_threshold=setting, tenant_alert_thresholds={"strict": 0.99}))
    assert rule.get_threshold("default", PLAIN) == threshold
    assert rule.get_threshold("strict", PLAIN) == 0.99
    assert rule.is_reported("default", threshold, PLAIN)
    assert not rule.is_reported("default", threshold - 1e-6, PLAIN)
