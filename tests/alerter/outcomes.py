"""What is left in the end: live alerts and verdicts, without what depends on the way there."""

from typing import Any

import pytest

from tests.alerter.stages import Stages, exact_fields

UNSTATED = {"revision", "decided_at", "uploaded_at"}


def read_verdicts(stages: Stages) -> dict[str, dict[str, Any]]:
    return {key: verdict.model_dump(exclude=UNSTATED) for key, verdict in stages.verdicts().items()}


def assert_same_outcome(stages: Stages, expected: Stages) -> None:
    """The same alerts hold, about the same intervals, and the same verdicts."""
    assert [exact_fields(alert) for alert in stages.live()] == [exact_fields(alert) for alert in expected.live()]
    scores = [alert.score for alert in stages.live()]
    assert scores == pytest.approx([alert.score for alert in expected.live()], abs=5e-3)
    assert read_verdicts(stages) == read_verdicts(expected)
    assert_links_agree(stages)


def assert_links_agree(stages: Stages) -> None:
    """Each reference knows the live alerts that name it, and no others."""
    for alert in stages.live():
        reference = stages.state(f"{alert.tenant}/{alert.reference.asset_id}")
        assert reference.links[alert.query.asset_id] == alert.alert_id
    linked = sum(verdict.copied_by or 0 for verdict in stages.verdicts().values())
    assert linked <= len(stages.live())
