"""Threads share the work of a step: assets side by side, the messages of each in order; the loop goes on polling."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest

from services.contracts.errors import TransientError
from services.contracts.ports import Message
from services.matcher.pipeline import Work
from services.matcher.worker import LONGEST_SILENCE_S, MatchWorker
from tests.alerter.stages import Stages, copy, original, upload
from tests.matcher.matched import Clock, read_evidence, three_assets

LONGEST_WAIT_S = 30.0  # of a test that fails


@contextmanager
def threaded(stages: Stages, clock: Clock, threads: int = 2) -> Iterator[MatchWorker]:
    with ThreadPoolExecutor(threads) as executor:
        yield MatchWorker(stages.bus, stages.match_pipeline, group="threads", threads=executor, clock=clock)


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
