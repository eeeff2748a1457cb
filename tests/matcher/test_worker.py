"""The matcher's loop: a step publishes all that follows from its records and then commits; threads share the work."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest

from services.contracts import topics
from services.contracts.envelope import to_event
from services.contracts.errors import TransientError
from services.contracts.events import AssetEvent
from services.contracts.ports import Message
from services.matcher.pipeline import Work
from services.matcher.worker import LONGEST_SILENCE_S, MatchWorker
from tests.alerter.stages import Stages, copy, original, upload
from tests.descriptors import cut, work
from tests.metric_values import metric_value

LONGEST_WAIT_S = 30.0  # of a test that fails


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def three_assets(stages: Stages) -> list[AssetEvent]:
    """Events of three assets that the index holds, one asset after the other."""
    assets = [cut(f"a{number}", work(number, 0, 40)) for number in range(3)]
    stages.store(*assets)
    return [event for segments in assets for event in upload(segments)]


def read_evidence(stages: Stages) -> list[tuple[str, str]]:
    """Type and asset of all that the matcher published."""
    events = [to_event(record.message) for record in stages.bus.records(topics.MATCH_EVIDENCE)]
    return [(type(event).__name__, event.asset_id) for event in events if isinstance(event, AssetEvent)]


@contextmanager
def threaded(stages: Stages, clock: Clock, threads: int = 2) -> Iterator[MatchWorker]:
    with ThreadPoolExecutor(threads) as executor:
        yield MatchWorker(stages.bus, stages.match_pipeline, group="threads", threads=executor, clock=clock)


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


def test_a_slow_asset_does_not_stop_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is matched in a thread, which goes on only once the loop has polled meanwhile."""
    stages, clock, polled = Stages(), Clock(), Event()
    stages.publish(*three_assets(stages))
    search = stages.match_pipeline._search_all

    def search_until_polled(events: Any) -> Any:
        if events and events[0].asset_id == "a0":
            clock.at += LONGEST_SILENCE_S
            assert polled.wait(LONGEST_WAIT_S)
        return search(events)

    monkeypatch.setattr(stages.match_pipeline, "_search_all", search_until_polled)
    with threaded(stages, clock) as worker:
        keep_alive = worker.keep_alive

        def keep_alive_and_note() -> None:
            keep_alive()
            polled.set()

        monkeypatch.setattr(worker, "keep_alive", keep_alive_and_note)
        assert worker.run_once(0)
    assert len(read_evidence(stages)) == 9


def test_the_messages_of_an_asset_stay_in_order_whichever_thread_is_first() -> None:
    """The first asset waits for the others; its end comes after its segments all the same."""
    stages, others_done = Stages(), Event()
    events = three_assets(stages)
    mixed = [event for number in range(3) for event in events[number::3]]  # a0 a1 a2, a0 a1 a2, ...
    stages.publish(*mixed)
    pipeline = stages.match_pipeline
    done: list[str] = []

    class LastFirst:
        sort, give_up = pipeline.sort, pipeline.give_up

        def __call__(self, work: Work) -> list[Message]:
            asset_id = work.events[0].asset_id
            if asset_id == "a0":
                assert others_done.wait(LONGEST_WAIT_S)
            messages = pipeline(work)
            done.append(asset_id)
            if len(done) == 2:
                others_done.set()
            return messages

    with ThreadPoolExecutor(2) as threads:
        worker = MatchWorker(stages.bus, LastFirst(), group="threads", threads=threads)  # type: ignore[arg-type]
        assert worker.run_once(0)
    assert done[-1] == "a0"
    for number in range(3):
        own = [kind for kind, asset_id in read_evidence(stages) if asset_id == f"a{number}"]
        assert own == ["SegmentSearched", "SegmentSearched", "AssetEnded"]


def test_threads_lead_to_the_same_messages_as_none() -> None:
    apart, together = Stages(), Stages()
    for stages in (apart, together):
        stages.store(original(), copy())
        stages.publish(*upload(original()), *upload(copy()))
    assert apart.matcher.run_once(0)
    with threaded(together, Clock()) as worker:
        assert worker.run_once(0)
    assert read_evidence(together) == read_evidence(apart)


def test_all_threads_are_done_before_an_error_ends_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the batch would be matched twice at the same time."""
    stages, failed, done = Stages(), Event(), list[str]()
    stages.publish(*three_assets(stages))
    search = stages.match_pipeline._search_all

    def fail_first(events: Any) -> Any:
        if events and events[0].asset_id == "a0":
            failed.set()
            raise TransientError("the index is down")
        assert failed.wait(LONGEST_WAIT_S)
        done.append("")
        return search(events)

    with threaded(stages, Clock()) as worker:
        monkeypatch.setattr(stages.match_pipeline, "_search_all", fail_first)
        with pytest.raises(TransientError):
            worker.run_once(0)
        assert len(done) == 2
        assert read_evidence(stages) == []
        monkeypatch.undo()
        assert worker.run_once(0)
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
