"""What is left in the end: live alerts and verdicts, without what depends on the way there."""

from typing import Any

import pytest

from services.alerter.state_codec import get_asset_key
from services.contracts.events import AssetVerdict
from tests.alerter.stages import Stages, exact_fields

UNSTATED = {"revision", "decided_at", "uploaded_at"}


def read_verdicts(stages: Stages) -> dict[str, dict[str, Any]]:
    """The last verdict on each asset, but for those that were removed."""
    verdicts = {key: verdict.model_dump(exclude=UNSTATED) for key, verdict in stages.verdicts().items()}
    answers = {event.key: event for event in stages.answers()}
    return {key: verdict for key, verdict in verdicts.items() if isinstance(answers[key], AssetVerdict)}


def assert_same_outcome(stages: Stages, expected: Stages) -> None:
    """The same alerts hold, about the same intervals, and the same verdicts."""
    assert [exact_fields(alert) for alert in stages.live()] == [exact_fields(alert) for alert in expected.live()]
    scores = [alert.score for alert in stages.live()]
    assert scores == pytest.approx([alert.score for alert in expected.live()], abs=5e-3)
    assert read_verdicts(stages) == read_verdicts(expected)
    assert_links_agree(stages)


def assert_links_agree(stages: Stages) -> None:
    """Each reference knows the live alerts that name it, and no others."""
    states = [stages.state(key) for key in {get_asset_key(name) for name in stages.bus.states()}]
    links = {(query, state.asset_id): alert_id for state in states for query, alert_id in state.links.items()}
    assert links == {(one.query.asset_id, one.reference.asset_id): one.alert_id for one in stages.live()}
