"""The cost of a step, and its metrics, which are written after the commit."""

from typing import Any

import pytest

from services.alerter import pipeline, state_store
from services.alerter.state_codec import decode, encode_changes
from services.contracts import topics
from services.contracts.envelope import to_message
from services.contracts.ports import Message
from tests.alerter.by_hand import searched
from tests.alerter.stages import Stages, copy, original, segment_events, upload
from tests.metric_values import metric_value

COUNTED: dict[str, dict[str, str]] = {
    "copydetect_records_total": {"topic": "match-evidence"},
    "copydetect_alerts_total": {"status": "open"},
    "copydetect_verdicts_total": {"verdict": "copies"},
    "copydetect_dead_letters_total": {"stage": "parse"},
    "copydetect_alert_latency_seconds_count": {},
}


def read_counters() -> list[float]:
    return [metric_value(name, **labels) for name, labels in COUNTED.items()]


def since(before: list[float]) -> list[float]:
    return [now - then for now, then in zip(read_counters(), before, strict=True)]


def test_metrics_count_what_was_committed() -> None:
    stages = Stages()
    stages.store(original(), copy())
    stages.run()
    before, latency_s = read_counters(), metric_value("copydetect_alert_latency_seconds_sum")
    timed = metric_value("copydetect_stage_seconds_count", stage="commit")
    first, *rest = stages.search(*upload(copy()))
    stages.bus.publish([first, Message(topics.MATCH_EVIDENCE, "k", b"{}", {"ce_type": "copydetect.PairLinked.v1"})])
    stages.bus.fail_next("before")
    assert not stages.alerter.run_once(0)
    assert since(before) == [0] * len(before)
    stages.run()
    # The segment, the wrong message, and the link to the reference.
    assert since(before) == [3, 1, 0, 1, 1]
    [alert] = stages.alerts()
    summed_s = metric_value("copydetect_alert_latency_seconds_sum") - latency_s
    assert summed_s == pytest.approx(alert.latency_s, abs=0.1)
    assert metric_value("copydetect_stage_seconds_count", stage="commit") > timed
    stages.deliver(rest)
    assert since(before)[1:] == [1, 1, 1, 1], "later revisions have no latency"


def test_a_message_that_is_no_evidence_is_a_dead_letter() -> None:
    stages = Stages()
    stages.evidence(segment_events(copy())[0])
    [dead] = stages.dead_letters(topics.MATCH_EVIDENCE)
    assert (dead.headers["dlq_stage"], dead.headers["dlq_offset"]) == ("parse", "0")
    assert dead.headers["dlq_reason"] == "SegmentEncoded does not belong on this topic"


def test_no_records_lead_to_no_messages() -> None:
    stages = Stages()
    assert not stages.alerter.run_once(0)
    assert stages.pipeline([]).is_empty


def test_a_batch_encodes_an_asset_once_and_decodes_it_once_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def encode_and_note(*states: Any) -> Any:
        calls.append("encode")
        return encode_changes(*states)

    def decode_and_note(records: Any) -> Any:
        calls.append("decode")
        return decode(records)

    monkeypatch.setattr(pipeline, "encode_changes", encode_and_note)
    monkeypatch.setattr(state_store, "decode", decode_and_note)
    stages = Stages()
    stages.store(copy())
    first, *rest = upload(copy())
    stages.process(first)
    assert calls == ["encode"]
    stages.process(*rest)
    assert calls == ["encode"] * 2, "it is kept decoded"
    stages.restart()
    stages.process(first, *rest)
    assert calls == ["encode", "encode", "decode"], "repeated events are not written again"


def test_records_that_cannot_be_committed_together_are_committed_in_smaller_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stages, sizes = Stages(), list[int]()
    commit_all = stages.consumer.commit_all
    stages.bus.publish(
        [to_message(topics.MATCH_EVIDENCE, searched(n, is_whole_file=False), source="test") for n in range(40)]
    )

    def commit_few(records: Any, messages: Any, states: Any) -> None:
        sizes.append(len(records))
        stages.bus.fails = "before" if len(records) > 3 else None
        commit_all(records, messages, states)

    monkeypatch.setattr(stages.consumer, "commit_all", commit_few)
    for _ in range(200):
        stages.alerter.run_once(0)
    assert stages.lag() == 0
    assert sizes[:5] == [40, 40, 40, 32, 16]


def test_keep_alive_consumes_nothing() -> None:
    stages = Stages()
    stages.store(copy())
    stages.run()
    stages.bus.publish(stages.search(*upload(copy())))
    stages.alerter.keep_alive()
    assert not stages.alerter.drain(0)
    assert stages.lag() == 4
    stages.run()
    assert stages.lag() == 0
    stages.alerter.close()


def test_the_states_of_a_revoked_partition_are_dropped() -> None:
    stages = Stages()
    first, *rest = segment_events(copy())
    stages.process(first)
    stages.bus.publish(stages.search(*rest))
    stages.consumer.revoke()
    assert not stages.alerter.run_once(0)
    assert stages.states.partitions == set()
    assert stages.bus.states().keys() == {"default/copy", "default/copy#0"}, "the new owner restores it"


def test_messages_of_several_partitions_reach_the_partition_of_their_key() -> None:
    stages = Stages(partitions=3)
    stages.store(original(), copy())
    stages.process(*upload(original()), *upload(copy()))
    assert stages.verdicts()["default/copy"].verdict == "copies"
    assert stages.verdicts()["default/original"].copied_by == 1
    owners = {key: partition for (_, partition), states in stages.bus.stored.items() for key in states}
    assert len({owners["default/copy"], owners["default/original"]}) == 2, "of these two names"
