"""The matcher's loop: a step publishes all that follows from its records and then commits."""

from typing import Any

import pytest

from services.contracts import topics
from services.contracts.errors import TransientError
from services.matcher.worker import LONGEST_SILENCE_S, MatchWorker
from tests.alerter.stages import Stages, copy, original, upload
from tests.matcher.matched import Clock, read_evidence, three_assets
from tests.metric_values import metric_value


def count_polls(worker: MatchWorker, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows with each poll of the worker."""
    poll, polls = worker._consumer.poll, list[int]()

    def poll_and_count(*arguments: Any) -> Any:
        polls.append(1)
        return poll(*arguments)

    monkeypatch.setattr(worker._consumer, "poll", poll_and_count)
    return polls


def test_a_slow_batch_polls_between_its_assets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the group removes the matcher, and the same batch is too slow for the next one."""
    stages, clock = Stages(), Clock()
    worker = MatchWorker(stages.bus, stages.match_pipeline, group="slow", clock=clock)
    polls = count_polls(worker, monkeypatch)
    stages.publish(*three_assets(stages))
    search = stages.match_pipeline._search_all

    def search_slowly(*arguments: Any) -> Any:
        clock.at += LONGEST_SILENCE_S
        return search(*arguments)

    monkeypatch.setattr(stages.match_pipeline, "_search_all", search_slowly)
    assert worker.run_once(0)
    assert len(polls) == 1 + 3
    assert len(read_evidence(stages)) == 9


def test_records_whose_comparison_failed_are_processed_in_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = Stages()
    stages.store(original(), copy())
    stages.publish(*upload(copy()))

    def fail(_: Any) -> Any:
        raise TransientError("the index is down")

    monkeypatch.setattr(stages.index, "read", fail)
    with pytest.raises(TransientError):
        stages.matcher.run_once(0)
    monkeypatch.undo()
    stages.run()
    assert len(stages.alerts()) == len(stages.verdicts()) == 1


def test_what_could_not_be_published_is_not_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = Stages()
    stages.store(original(), copy())
    stages.publish(*upload(copy()))

    def fail(_: Any) -> Any:
        raise TransientError("the bus is down")

    monkeypatch.setattr(stages.bus, "publish", fail)
    with pytest.raises(TransientError):
        stages.matcher.run_once(0)
    monkeypatch.undo()
    assert stages.lag() == 4
    stages.restart()
    stages.run()
    assert len(stages.alerts()) == len(stages.verdicts()) == 1


def test_records_that_were_revoked_during_a_step_are_published_and_not_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their new owner repeats them, which does no harm."""
    stages = Stages()
    stages.store(original(), copy())
    stages.run()
    stages.publish(*upload(copy()))
    publish = stages.bus.publish

    def revoke_and_publish(messages: Any) -> None:
        stages.matcher._consumer.revoke()  # type: ignore[attr-defined]
        publish(messages)

    monkeypatch.setattr(stages.bus, "publish", revoke_and_publish)
    assert stages.matcher.run_once(0)
    monkeypatch.undo()
    assert len(stages.bus.records(topics.MATCH_EVIDENCE)) == 4
    stages.restart()
    stages.run()
    assert len(stages.bus.records(topics.MATCH_EVIDENCE)) >= 8
    assert len(stages.alerts()) == len(stages.all_verdicts()) == 1


def test_keep_alive_consumes_nothing() -> None:
    stages = Stages()
    stages.store(copy())
    stages.publish(*upload(copy()))
    stages.matcher.keep_alive()
    assert metric_value("copydetect_consumption_paused") == 1
    assert not stages.matcher.drain(0)
    assert stages.lag() == 4
    stages.run()
    assert metric_value("copydetect_consumption_paused") == 0
    assert stages.lag() == 0
    stages.matcher.close()


def test_metrics_count_records_candidates_and_the_time_of_stages() -> None:
    stages = Stages()
    stages.store(original(), copy())
    names = [("copydetect_records_total", {"topic": "encoded-segments"}), ("copydetect_candidates_count", {})]
    names += [("copydetect_stage_seconds_count", {"stage": stage}) for stage in ("read", "search", "rerank")]
    before = [metric_value(name, **labels) for name, labels in names]
    stages.process(*upload(copy()))
    counted = [metric_value(name, **labels) - then for (name, labels), then in zip(names, before, strict=True)]
    assert counted[:2] == [4, 3], "three segments and an end"
    assert all(counted[2:])


def test_a_group_is_named_after_the_model() -> None:
    stages = Stages()
    stages.process(*upload(copy()))
    committed = {group for topic, group, _ in stages.bus.committed if topic == topics.ENCODED_SEGMENTS}
    assert committed == {"matcher-v1"}
