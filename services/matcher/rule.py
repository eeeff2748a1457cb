"""When a pair alerts: what an alert tells of its score, and from where on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tca_model.matching.calibration import Calibration


@dataclass(frozen=True, slots=True)
class AlertRule:
    """`threshold` is of what alerts tell: the probability of a copy where the bundle is calibrated, else the score.

    `tenants` have thresholds of their own. Evidence of single segments is kept from `evidence_share` of the score on
    that alerts, since pieces of a copy join.
    """

    calibration: Calibration
    threshold: float
    tenants: Mapping[str, float] = field(default_factory=dict)
    evidence_share: float = 0.5

    def told(self, score: float) -> float:
        """What an alert tells of a pair with this score, of which four digits count: caches round descriptors."""
        return self.calibration.told(round(score, 4))

    def alerts(self, tenant: str, told: float) -> bool:
        """Whether a pair of the tenant alerts, of which that would be told."""
        return told >= self.tenants.get(tenant, self.threshold)

    def floor(self, tenant: str) -> float:
        """The score from which the tenant's evidence of a segment is kept."""
        score = self.calibration.score(self.tenants.get(tenant, self.threshold))
        return min(score, score * self.evidence_share)  # below zero nothing is left out; a share would be above it
