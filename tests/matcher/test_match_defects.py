"""A defect of this program that one record triggers costs that record, and not the stream."""

from datetime import datetime
from typing import Any

import pytest

from services.contracts import topics
from services.matcher.state import AssetState
from services.runtime.defects import MAX_ATTEMPTS, MAX_IN_A_ROW
from tests.descriptors import cut, work
from tests.matcher.matcher import IDLE_S, Matcher, copy, original, upload


class Defect(Exception):
    """Nothing that the project knows."""


def break_for(matcher: Matcher, monkeypatch: pytest.MonkeyPatch, *keys: str, times: int = 10**9) -> list[str]:
    """Make work on these assets raise. Returns the keys on which it did."""
    process, raised = matcher.pipeline._process_asset, list[str]()

    def process_or_raise(partition: int, key: str, *rest: Any) -> None:
        if key in keys and len(raised) < times:
            raised.append(key)
            raise Defect(f"{key} is too much")
        process(partition, key, *rest)

    monkeypatch.setattr(matcher.pipeline, "_process_asset", process_or_raise)
    return raised


def dead_letters(matcher: Matcher) -> list[dict[str, str]]:
    return [dict(record.message.headers) for record in matcher.bus.records(topics.ENCODED_SEGMENTS + ".dlq")]


def run(matcher: Matcher) -> None:
    for _ in range(100):
        matcher.worker.run_once(0)
        if not matcher.bus.lag():
            return
    pytest.fail("records are left")


def test_the_record_to_blame_is_a_dead_letter_and_the_others_are_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    matcher, bad = Matcher(), cut("bad", work(7, 0, 8))
    matcher.store(original(), copy(), bad)
    raised = break_for(matcher, monkeypatch, "default/bad")
    matcher.publish(*upload(original()), *upload(bad)[:1], *upload(copy()))
    run(matcher)

    [dead] = dead_letters(matcher)
    assert dead["dlq_stage"] == "defect"
    assert dead["dlq_reason"] == f"gave up after {MAX_ATTEMPTS} attempts: Defect('default/bad is too much')"
    assert len(raised) > MAX_ATTEMPTS
    assert matcher.verdicts()["default/copy"].verdict == "copies"
    assert "default/original" in matcher.verdicts()


def test_a_segment_that_is_given_up_counts_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    matcher, bad = Matcher(), cut("bad", work(7, 0, 8))
    matcher.store(bad)
    break_for(matcher, monkeypatch, "default/bad", times=MAX_ATTEMPTS)
    matcher.publish(*upload(bad)[:1])
    run(matcher)
    matcher.publish(*upload(bad)[1:])
    run(matcher)
    assert len(dead_letters(matcher)) == 1
    assert matcher.verdicts()["default/bad"].segments_failed == 1


def test_a_defect_that_does_not_come_again_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    matcher = Matcher()
    matcher.store(original(), copy())
    break_for(matcher, monkeypatch, "default/copy", times=MAX_ATTEMPTS)  # together, then alone
    matcher.publish(*upload(original()), *upload(copy()))
    run(matcher)
    assert dead_letters(matcher) == []
    assert matcher.verdicts()["default/copy"].verdict == "copies"


def test_a_defect_that_every_record_triggers_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    matcher = Matcher()
    keys = [f"a{number}" for number in range(2 * MAX_IN_A_ROW)]
    assets = [cut(key, work(number, 0, 8)) for number, key in enumerate(keys)]
    matcher.store(*assets)
    break_for(matcher, monkeypatch, *(f"default/{key}" for key in keys))
    matcher.publish(*(upload(segments)[0] for segments in assets))
    with pytest.raises(Defect):
        run(matcher)
    assert len(dead_letters(matcher)) == MAX_IN_A_ROW
    assert matcher.bus.lag() == MAX_IN_A_ROW


def test_an_idle_asset_that_cannot_be_decided_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    matcher, bad, good = Matcher(), cut("bad", work(7, 0, 8)), cut("good", work(8, 0, 8))
    matcher.store(bad, good)
    matcher.process(*upload(bad)[:1], *upload(good)[:1])
    announce, tries = matcher.pipeline._announce, list[str]()

    def announce_or_raise(state: AssetState, now: datetime) -> Any:
        if state.asset_id == "bad":
            tries.append(state.asset_id)
            raise Defect("too much")
        return announce(state, now)

    monkeypatch.setattr(matcher.pipeline, "_announce", announce_or_raise)
    matcher.wait(IDLE_S + 240)
    assert matcher.verdicts().keys() == {"default/good"}
    assert len(tries) == 1, "not in every step"
    monkeypatch.undo()
    matcher.wait(IDLE_S + 240)
    assert matcher.verdicts().keys() == {"default/bad", "default/good"}
