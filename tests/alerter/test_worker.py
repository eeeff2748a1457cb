"""The cost of a step, and its metrics, which are written after the commit."""

from typing import Any

import pytest
from prometheus_client import REGISTRY
from services.matcher.state_codec import decode, encode

from services.contracts.errors import TransientError
from services.contracts.ports import Rebalance
from services.matcher import pipeline, state_store
from tests.alerter.stages import Stages, copy, end_event, original, segment_events, upload

COUNTED = {
    "copydetect_records_total": {"topic": "encoded-segments"},
    "copydetect_alerts_total": {"status": "open"},
    "copydetect_verdicts_total": {"verdict": "copies"},
    "copydetect_dead_letters_total": {"stage": "parse"},
    "copydetect_alert_latency_seconds_count": {},
    "copydetect_candidates_count": {},
}


def read_counters() -> list[float]:
    return [REGISTRY.get_sample_value(name, labels) or 0 for name, labels in COUNTED.items()]


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"copydetect_{name}", labels) or 0


def since(before: list[float]) -> list[float]:
    return [now - then for now, then in zip(read_counters(), before, strict=True)]


def test_metrics_count_what_was_committed() -> None:
    stages = Stages()
    stages.store(original(), copy())
    stages.run()
    before, latency = read_counters(), sample("alert_latency_seconds_sum")
    stages = ("read", "search", "rerank", "commit")
    timed = [sample("stage_seconds_count", stage=stage) for stage in stages]
    stages.bus.fail_next("before")
    stages.publish(*segment_events(copy())[:1], *segment_events(copy(), model_version="v2")[1:2])
    assert not stages.alerter.run_once(0)
    assert since(before) == [0] * len(before)
    stages.run()
    assert since(before) == [2, 1, 0, 1, 1, 1]
    [alert] = stages.alerts()
    assert sample("alert_latency_seconds_sum") - latency == pytest.approx(alert.latency_s, abs=0.1)
    assert all(sample("stage_seconds_count", stage=stage) > then for stage, then in zip(stages, timed, strict=True))
    stages.process(*segment_events(copy()), end_event(copy()))
    assert since(before) == [6, 1, 1, 1, 1, 3], "later revisions have no latency"


def test_a_batch_decodes_and_encodes_an_asset_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def record_call(name: str, call: Any) -> Any:
        def recorded(value: Any) -> Any:
            calls.append(name)
            return call(value)

        return recorded

    monkeypatch.setattr(pipeline, "encode", record_call("encode", encode))
    monkeypatch.setattr(state_store, "decode", record_call("decode", decode))
    stages = Stages()
    stages.store(original(), copy())
    stages.process(*segment_events(copy())[:1])
    assert calls == ["encode"]
    stages.process(*segment_events(copy())[1:], end_event(copy()))
    assert calls == ["encode", "decode", "encode"]
    stages.process(*upload(copy()))
    assert calls == ["encode", "decode", "encode", "decode"], "repeated events are not written again"


def test_records_whose_comparison_failed_are_processed_in_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = Stages()
    stages.store(original(), copy())
    stages.run()
    stages.publish(*upload(copy()))

    def fail(_: Any) -> Any:
        raise TransientError("the index is down")

    monkeypatch.setattr(stages.index, "read", fail)
    with pytest.raises(TransientError):
        stages.alerter.run_once(0)
    monkeypatch.undo()
    stages.run()
    assert len(stages.alerts()) == len(stages.verdicts()) == 1


def test_keep_alive_consumes_nothing() -> None:
    stages = Stages()
    stages.store(copy())
    stages.run()
    stages.publish(*upload(copy()))
    stages.alerter.keep_alive()
    assert not stages.alerter.drain(0)
    assert stages.bus.lag() == 4
    stages.run()
    assert stages.bus.lag() == 0
    stages.alerter.close()


def test_the_states_of_a_revoked_partition_are_dropped() -> None:
    stages = Stages()
    stages.process(*segment_events(copy())[:1])
    stages.publish(*segment_events(copy())[1:])
    stages.consumer.rebalance()
    stages.consumer._rebalance = Rebalance(assigned=frozenset(), revoked=frozenset({0}))
    assert not stages.alerter.run_once(0)
    assert stages.states.partitions == set()
    assert stages.bus.states().keys() == {"default/copy"}, "the new owner restores it"
