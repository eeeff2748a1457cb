"""Which pairs are reported: the score that an alert carries, and the threshold that it must reach."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.runtime.settings import Settings
from tca_model.matching.calibration import Calibration


@dataclass(frozen=True, slots=True)
class AlertRule:
    """Decides which pairs are reported to which tenant.

    `threshold` is an alert score: a probability of a copy if the bundle is calibrated, otherwise a joined score.

    `tenants` maps tenants to thresholds of their own. Evidence of a single segment is kept if its joined score reaches
    `evidence_share` of the score that alerts, because the evidence of several segments joins.
    """

    calibration: Calibration
    threshold: float
    tenants: Mapping[str, float] = field(default_factory=dict)
    evidence_share: float = 0.5

    def alert_score(self, joined_score: float) -> float:
        """Probability of a copy, or the joined score itself if the bundle is not calibrated.

        Rounded to 4 digits first: cached descriptors are float16.
        """
        return self.calibration.alert_score(round(joined_score, 4))

    def is_reported(self, tenant: str, alert_score: float) -> bool:
        """Whether a pair with this alert score is reported to the tenant."""
        return alert_score >= self.tenants.get(tenant, self.threshold)

    def evidence_floor(self, tenant: str) -> float:
        """The joined score that evidence of a single segment must reach to be kept for the tenant."""
        score = self.calibration.joined_score(self.tenants.get(tenant, self.threshold))
        return min(score, score * self.evidence_share)  # a share of a negative threshold would be above it


def alert_threshold(settings: Settings, calibration: Calibration) -> float:
    """The alert score that a pair must reach: the setting, or the bundle's own threshold if it is not set."""
    return calibration.alert_threshold if settings.alert_threshold is None else settings.alert_threshold
