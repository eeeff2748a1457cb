"""A defect of this program that one record triggers costs that record, and not the stream."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
import structlog

from services.alerter.batch import Batch
from services.alerter.pipeline import Cause
from services.alerter.state import AssetState
from services.contracts import topics
from services.runtime.defects import MAX_ATTEMPTS, MAX_IN_A_ROW
from tests.alerter.stages import IDLE_S, Stages, copy, original, upload
from tests.descriptors import cut, work


class Defect(Exception):
    """Nothing that the project knows."""


@pytest.fixture(autouse=True)
def plain_log() -> None:
    """Log without drawing tracebacks, which takes seconds."""
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])


def break_for(stages: Stages, monkeypatch: pytest.MonkeyPatch, *keys: str, times: int = 10**9) -> list[str]:
    """Make work on these assets raise. Returns the keys on which it did."""
    process, raised = stages.pipeline._process_asset, list[str]()

    def process_or_raise(partition: int, causes: Sequence[Cause], batch: Batch) -> None:
        key = causes[0].event.key
        if key in keys and len(raised) < times:
            raised.append(key)
            raise Defect(f"{key} is too much")
        process(partition, causes, batch)

    monkeypatch.setattr(stages.pipeline, "_process_asset", process_or_raise)
    return raised


def dead_letters(stages: Stages) -> list[dict[str, str]]:
    return [dict(message.headers) for message in stages.dead_letters(topics.MATCH_EVIDENCE)]


def run(stages: Stages) -> None:
    for _ in range(100):
        stages.matcher.run_once(0)
        stages.alerter.run_once(0)
        if not stages.lag():
            return
    pytest.fail("records are left")


def test_the_record_to_blame_is_a_dead_letter_and_the_others_are_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    stages, bad = Stages(), cut("bad", work(7, 0, 8))
    stages.store(original(), copy(), bad)
    raised = break_for(stages, monkeypatch, "default/bad")
    stages.publish(*upload(original()), *upload(bad)[:1], *upload(copy()))
    run(stages)

    [dead] = dead_letters(stages)
    assert dead["dlq_stage"] == "defect"
    assert dead["dlq_reason"] == f"gave up after {MAX_ATTEMPTS} attempts: Defect('default/bad is too much')"
    assert len(raised) > MAX_ATTEMPTS
    assert stages.verdicts()["default/copy"].verdict == "copies"
    assert "default/original" in stages.verdicts()


def test_a_segment_that_is_given_up_was_compared_with_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stages, bad = Stages(), cut("bad", work(7, 0, 8))
    stages.store(bad)
    break_for(stages, monkeypatch, "default/bad", times=MAX_ATTEMPTS)
    stages.publish(*upload(bad)[:1])
    run(stages)
    stages.publish(*upload(bad)[1:])
    run(stages)
    assert len(dead_letters(stages)) == 1
    verdict = stages.verdicts()["default/bad"]
    assert (verdict.verdict, verdict.segments_described, verdict.segments_compared) == ("undecidable", 1, 0)
    assert verdict.reason == (
        f"1 of 1 segments were compared with nothing: gave up after {MAX_ATTEMPTS} attempts: "
        "Defect('default/bad is too much')"
    )


def test_a_defect_that_does_not_come_again_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = Stages()
    stages.store(original(), copy())
    break_for(stages, monkeypatch, "default/copy", times=MAX_ATTEMPTS)  # together, then alone
    stages.publish(*upload(original()), *upload(copy()))
    run(stages)
    assert dead_letters(stages) == []
    assert stages.verdicts()["default/copy"].verdict == "copies"


def test_a_defect_that_every_record_triggers_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = Stages()
    keys = [f"a{number}" for number in range(2 * MAX_IN_A_ROW)]
    assets = [cut(key, work(number, 0, 8)) for number, key in enumerate(keys)]
    stages.store(*assets)
    break_for(stages, monkeypatch, *(f"default/{key}" for key in keys))
    stages.publish(*(upload(segments)[0] for segments in assets))
    with pytest.raises(Defect):
        run(stages)
    assert len(dead_letters(stages)) == MAX_IN_A_ROW
    assert stages.lag() == MAX_IN_A_ROW


def test_an_idle_asset_that_cannot_be_decided_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    stages, bad, good = Stages(), cut("bad", work(7, 0, 8)), cut("good", work(8, 0, 8))
    stages.store(bad, good)
    stages.process(*upload(bad)[:1], *upload(good)[:1])
    announce, tries = stages.pipeline._announce, list[str]()

    def announce_or_raise(before: AssetState, state: AssetState, now: datetime) -> Any:
        if state.asset_id == "bad":
            tries.append(state.asset_id)
            raise Defect("too much")
        return announce(before, state, now)

    monkeypatch.setattr(stages.pipeline, "_announce", announce_or_raise)
    stages.wait(IDLE_S + 240)
    assert stages.verdicts().keys() == {"default/good"}
    assert len(tries) == 1, "not in every step"
    monkeypatch.undo()
    stages.wait(IDLE_S + 240)
    assert stages.verdicts().keys() == {"default/bad", "default/good"}
