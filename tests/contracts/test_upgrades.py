"""Messages of an earlier release are read.

`recorded/two_stages.jsonl`: messages that the last release with two services published, uploads included.
"""

import json
from pathlib import Path
from typing import Any

from services.contracts.envelope import to_event
from services.contracts.events import (
    AssetVerdict,
    DuplicateAlert,
    SegmentEncoded,
)
from services.contracts.ports import Message
from tests.alerter.stages import Stages
from tests.metric_values import metric_value

RECORDED = [json.loads(line) for line in (Path(__file__).parent / "recorded/two_stages.jsonl").read_text().splitlines()]


def to_recorded_message(recorded: dict[str, Any]) -> Message:
    return Message(recorded["topic"], recorded["key"], recorded["value"].encode(), recorded["headers"])


def test_every_message_of_the_last_release_is_read() -> None:
    events = [to_event(to_recorded_message(one)) for one in RECORDED]
    assert len({type(event) for event in events}) == 6
    assert {one.generation for one in events if isinstance(one, SegmentEncoded)} == {0}
    assert {one.revision for one in events if isinstance(one, AssetVerdict)} == {1}


def test_an_alert_that_the_last_release_withdrew_is_not_live() -> None:
    alerts = [event for event in map(to_event, map(to_recorded_message, RECORDED)) if isinstance(event, DuplicateAlert)]
    assert [(one.status, one.is_live) for one in alerts if one.revision > 1][-1] == ("final", False)
    assert any(one.is_live for one in alerts)


def test_segments_of_the_last_release_are_left_to_its_matchers() -> None:
    """The index has a new layout, which does not hold them; their own matchers decide on them."""
    stages = Stages()
    encoded = [to_recorded_message(one) for one in RECORDED if one["topic"] == "encoded-segments"]
    stages.bus.publish(encoded)
    before = metric_value("copydetect_left_events_total", reason="of an earlier release")
    stages.run()
    assert not stages.dead_letters()
    assert not stages.all_verdicts()
    assert metric_value("copydetect_left_events_total", reason="of an earlier release") == before + len(encoded)
