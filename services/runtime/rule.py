"""Which pairs are reported: the threshold that a pair's alert score must reach, and the evidence worth keeping."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from services.runtime.settings import Settings
from tca_model.matching.calibration import Calibration


@dataclass(frozen=True, slots=True)
class AlertRule:
    """Decides which pairs are reported to which tenant, for evidence of any calibration.

    `threshold` is an alert score: a probability of a copy if the bundle is calibrated, otherwise a joined score. None
    for the calibration's own. `tenants` maps tenants to thresholds of their own. Evidence of a single segment is kept
    if its joined score reaches `evidence_share` of the score that alerts, because evidence of several segments joins.
    """

    threshold: float | None = None
    tenants: Mapping[str, float] = field(default_factory=dict)
    evidence_share: float = 0.2

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(settings.alert_threshold, settings.tenant_alert_thresholds, settings.evidence_share)

    def get_threshold(self, tenant: str, calibration: Calibration) -> float:
        """The alert score that a pair of the tenant must reach."""
        default = calibration.alert_threshold if self.threshold is None else self.threshold
        return self.tenants.get(tenant, default)

    def is_reported(self, tenant: str, alert_score: float, calibration: Calibration) -> bool:
        """Whether a pair with this alert score is reported to the tenant."""
        return alert_score >= self.get_threshold(tenant, calibration)

    def evidence_floor(self, tenant: str, calibration: Calibration) -> float:
        """The joined score that evidence of a single segment must reach to be kept for the tenant."""
        score = calibration.joined_score(self.get_threshold(tenant, calibration))
        return min(score, score * self.evidence_share)  # a share of a negative threshold would be above it


def alert_score(joined_score: float, calibration: Calibration) -> float:
    """Probability of a copy, or the joined score itself without a calibration curve.

    Rounded to 4 digits first: cached descriptors are float16.
    """
    return calibration.alert_score(round(joined_score, 4))
