"""A defect of the matcher that one record triggers costs that record, and its asset is decided all the same."""

from typing import Any

import pytest
import structlog

from services.contracts import topics
from services.contracts.envelope import to_event
from services.contracts.events import SegmentStatus
from services.contracts.evidence import SegmentSearched
from services.matcher.pipeline import MatchPipeline, Work
from services.runtime.defects import MAX_ATTEMPTS, MAX_IN_A_ROW
from tests.alerter.by_hand import erased
from tests.alerter.stages import Stages, copy, original, upload
from tests.descriptors import cut, work


class Defect(Exception):
    """Nothing that the project knows."""


@pytest.fixture(autouse=True)
def plain_log() -> None:
    """Log without drawing tracebacks, which takes seconds."""
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])


def break_for(monkeypatch: pytest.MonkeyPatch, *asset_ids: str, times: int = 10**9) -> list[str]:
    """Make work on these assets raise. Returns the assets on which it did."""
    match, raised = MatchPipeline.__call__, list[str]()

    def match_or_raise(pipeline: MatchPipeline, work: Work) -> Any:
        asset_id = work.events[0].asset_id
        if asset_id in asset_ids and len(raised) < times:
            raised.append(asset_id)
            raise Defect(f"{asset_id} is too much")
        return match(pipeline, work)

    monkeypatch.setattr(MatchPipeline, "__call__", match_or_raise)
    return raised


def run(stages: Stages) -> None:
    for _ in range(100):
        stages.matcher.run_once(0)
        stages.alerter.run_once(0)
        if not stages.lag():
            return
    pytest.fail("records are left")


def test_the_record_to_blame_is_a_dead_letter_and_the_others_are_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    stages, bad = Stages(), cut("bad", work(7, 0, 8))
    stages.store(original(), copy(), bad)
    raised = break_for(monkeypatch, "bad")
    stages.publish(*upload(original()), *upload(bad)[:1], *upload(copy()))
    run(stages)
    [dead] = stages.dead_letters()
    assert dead.headers["dlq_stage"] == "defect"
    assert dead.headers["dlq_reason"] == f"gave up after {MAX_ATTEMPTS} attempts: Defect('bad is too much')"
    assert len(raised) > MAX_ATTEMPTS
    assert stages.verdicts()["default/copy"].verdict == "copies"
    assert "default/original" in stages.verdicts()


def test_a_segment_that_is_given_up_was_compared_with_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stages, bad = Stages(), cut("bad", work(7, 0, 40))
    stages.store(bad)
    first, *rest = upload(bad)
    break_for(monkeypatch, "bad", times=MAX_ATTEMPTS)
    stages.publish(first)
    run(stages)
    stages.publish(*rest)
    run(stages)
    assert len(stages.dead_letters()) == 1
    verdict = stages.verdicts()["default/bad"]
    assert (verdict.segments_failed, verdict.segments_described, verdict.segments_compared) == (0, 2, 1)
    assert verdict.verdict == "undecidable"
    assert verdict.reason == (
        f"1 of 2 segments were compared with nothing: gave up after {MAX_ATTEMPTS} attempts: Defect('bad is too much')"
    )


def test_a_copy_whose_search_a_defect_hits_is_never_unique_and_found_by_a_replay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stages = Stages()
    stages.store(original())
    stages.process(*upload(original()))
    stages.store(copy())
    *shown, last, end = upload(copy())
    with monkeypatch.context() as patched:
        break_for(patched, "copy", times=MAX_ATTEMPTS * len(shown))
        for event in shown:
            stages.publish(event)
            run(stages)
    stages.process(last, end)
    verdict = stages.verdicts()["default/copy"]
    assert (verdict.verdict, verdict.segments_described, verdict.segments_compared) == ("undecidable", 3, 1)
    stages.process(*shown)
    assert stages.verdicts()["default/copy"].verdict == "copies"


def test_a_segment_with_nothing_to_search_stays_what_it_is_when_it_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stages = Stages()
    described, *_ = upload(cut("bad", work(7, 0, 8)))
    black = {"status": SegmentStatus.UNDECIDABLE, "reason": "all black", "frame_count": 0}
    break_for(monkeypatch, "bad")
    stages.publish(described.model_copy(update=black))
    run(stages)
    [segment] = stages.state("default/bad").segments.values()
    assert (segment.status, segment.reason) == (SegmentStatus.UNDECIDABLE, "all black")


def test_ends_and_removals_that_are_given_up_reach_the_alerter(monkeypatch: pytest.MonkeyPatch) -> None:
    stages, bad = Stages(), cut("bad", work(7, 0, 8))
    stages.store(bad)
    break_for(monkeypatch, "bad")
    stages.publish(*upload(bad), erased(9, asset_id="bad"))
    run(stages)
    assert len(stages.dead_letters()) == 3
    assert [verdict.verdict for verdict in stages.all_verdicts()] == ["undecidable"]
    assert [ack.asset_id for ack in stages.acknowledgements()] == ["bad"]


def test_a_dead_letter_is_written_even_if_the_record_cannot_be_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    stages, bad = Stages(), cut("bad", work(7, 0, 8))
    break_for(monkeypatch, "bad")

    def fail(*_: Any) -> Any:
        raise Defect("again")

    monkeypatch.setattr(stages.match_pipeline, "give_up", fail)
    stages.publish(*upload(bad)[:1], *upload(copy()))
    run(stages)
    assert len(stages.dead_letters()) == 1
    assert stages.verdicts().keys() == {"default/copy"}


def test_a_defect_that_does_not_come_again_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = Stages()
    stages.store(original(), copy())
    break_for(monkeypatch, "copy", times=MAX_ATTEMPTS)  # together, then alone
    stages.publish(*upload(original()), *upload(copy()))
    run(stages)
    assert stages.dead_letters() == []
    assert stages.verdicts()["default/copy"].verdict == "copies"
    events = [to_event(record.message) for record in stages.bus.records(topics.MATCH_EVIDENCE)]
    assert sum(isinstance(event, SegmentSearched) for event in events) == len(original()) + len(copy())


def test_a_defect_that_every_record_triggers_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = Stages()
    names = [f"a{number}" for number in range(2 * MAX_IN_A_ROW)]
    assets = [cut(name, work(number, 0, 8)) for number, name in enumerate(names)]
    stages.store(*assets)
    break_for(monkeypatch, *names)
    stages.publish(*(upload(segments)[0] for segments in assets))
    with pytest.raises(Defect):
        run(stages)
    assert len(stages.dead_letters()) == MAX_IN_A_ROW
