"""Uploads that do not end are decided after the idle time; old states are removed after the retention."""

from services.contracts.events import AssetEnded
from services.matcher.idle import LONGEST_GAP, IdlePartitions
from services.matcher.worker import TIDIED_ASSETS
from tests.descriptors import cut, work
from tests.matcher.matcher import IDLE_S, RETENTION_S, Matcher, copy, end_event, original, segment_events, upload


def matcher_without_end() -> Matcher:
    """A matcher that has two of three segments of a copy."""
    matcher = Matcher()
    matcher.store(original(), copy())
    matcher.process(*segment_events(copy())[:2])
    return matcher


def test_an_upload_that_does_not_end_is_decided_after_the_idle_time() -> None:
    matcher = matcher_without_end()
    matcher.wait(IDLE_S - 120)
    assert matcher.verdicts() == {}
    matcher.wait(240)
    verdict = matcher.verdicts()["default/copy"]
    assert (verdict.verdict, verdict.reason) == ("copies", "no segment arrived for 3600 s")
    assert verdict.segments_described == 2
    assert [alert.status for alert in matcher.alerts()] == ["open", "final"]
    records, _, states = matcher.bus.commits[-1]
    assert records == ()
    assert states[0].keys() == {"default/copy"}


def test_the_reason_names_how_many_segments_are_missing() -> None:
    matcher = matcher_without_end()
    matcher.process(end_event(copy()))
    matcher.wait(IDLE_S + 240)
    assert matcher.verdicts()["default/copy"].reason == "no segment arrived for 3600 s, 2 of 3 had arrived"


def test_an_end_without_any_segment_is_a_failure() -> None:
    matcher = Matcher()
    matcher.process(end_event(copy()))
    matcher.wait(IDLE_S + 240)
    assert matcher.verdicts()["default/copy"].verdict == "failed"


def test_a_failed_end_with_missing_segments_keeps_its_reason() -> None:
    matcher = matcher_without_end()
    matcher.process(AssetEnded(asset_id="copy", segment_count=3, duration_s=None, status="failed", reason="cut off"))
    matcher.wait(IDLE_S + 240)
    verdict = matcher.verdicts()["default/copy"]
    assert (verdict.verdict, verdict.reason) == ("failed", "cut off; no segment arrived for 3600 s, 2 of 3 had arrived")


def test_segments_after_the_idle_time_extend_the_alert_without_a_second_verdict() -> None:
    matcher = Matcher()
    matcher.store(original(), copy())
    first, second, third = segment_events(copy())
    matcher.process(first)
    matcher.wait(IDLE_S + 240)
    matcher.process(second, third, end_event(copy()))
    assert [alert.status for alert in matcher.alerts()] == ["open", "final", "final"]
    assert matcher.verdicts()["default/copy"].segments_described == 1


def test_every_segment_restarts_the_idle_time_even_a_repeated_one() -> None:
    matcher = matcher_without_end()
    matcher.wait(IDLE_S - 120)
    matcher.process(segment_events(copy())[0])
    matcher.wait(IDLE_S - 120)
    assert matcher.verdicts() == {}, "ingest works on the upload again after a crash"
    matcher.wait(240)
    assert len(matcher.verdicts()) == 1


def test_an_outage_does_not_count_as_idle_time() -> None:
    """The process slept or waited for a backend; records sent in that time have not arrived yet."""
    matcher = matcher_without_end()
    matcher.clock.at += 10 * IDLE_S
    matcher.run()
    matcher.wait(IDLE_S - 120)
    assert matcher.verdicts() == {}


def test_a_replay_does_not_count_as_idle_time() -> None:
    matcher = matcher_without_end()
    matcher.consumer.hidden_lag = 1
    matcher.wait(10 * IDLE_S)
    matcher.consumer.hidden_lag = 0
    matcher.wait(IDLE_S - 120)
    assert matcher.verdicts() == {}
    matcher.wait(240)
    assert len(matcher.verdicts()) == 1


def test_a_rebalance_restarts_the_idle_time() -> None:
    matcher = matcher_without_end()
    for lost, wait_s in ((matcher.consumer.rebalance, IDLE_S - 120), (matcher.restart, IDLE_S - 480)):
        matcher.wait(wait_s)
        lost()
        matcher.wait(240)
        assert matcher.verdicts() == {}
    matcher.wait(IDLE_S)
    assert len(matcher.verdicts()) == 1


def test_an_idle_end_that_was_not_committed_is_repeated() -> None:
    matcher = matcher_without_end()
    matcher.wait(IDLE_S - 120)
    matcher.bus.fail_next("before")
    matcher.wait(180)
    assert matcher.bus.fails is None, "the commit was tried"
    assert matcher.verdicts() == {}
    matcher.wait(IDLE_S + 240)
    assert len(matcher.verdicts()) == 1


def test_an_idle_asset_is_ended_even_while_others_send_continuously() -> None:
    matcher = matcher_without_end()
    busy = segment_events(cut("busy", work(7, 0, 30)))
    for _ in range(int(IDLE_S / 60) + 5):
        matcher.clock.at += 60
        matcher.publish(*busy)
        matcher.worker.run_once(0)
    assert matcher.verdicts().keys() == {"default/copy"}


def test_a_step_ends_a_limited_number_of_assets() -> None:
    matcher = Matcher()
    uploads = [cut(f"upload-{n:03}", work(7, 0, 1)) for n in range(TIDIED_ASSETS + 3)]
    matcher.process(*(event for segments in uploads for event in segment_events(segments)))
    commits = len(matcher.bus.commits)
    matcher.wait(IDLE_S + 240)
    ended = [len(states[0]) for _, _, states in matcher.bus.commits[commits:]]
    assert ended == [TIDIED_ASSETS, 3]
    assert len(matcher.verdicts()) == len(uploads)


def test_the_state_of_a_decided_asset_is_removed_after_the_retention() -> None:
    matcher = Matcher()
    matcher.store(original(), copy())
    matcher.process(*upload(copy()))
    matcher.wait(RETENTION_S / 2, step_s=3600)
    matcher.process(segment_events(copy())[0])  # a late event restarts the retention
    matcher.wait(RETENTION_S - 7200, step_s=3600)
    assert matcher.bus.states().keys() == {"default/copy"}
    matcher.wait(3 * 3600, step_s=3600)
    assert matcher.bus.states() == {}
    assert matcher.states.get(0, "default/copy") is None
    records, messages, states = matcher.bus.commits[-1]
    assert (records, list(messages), states) == ((), [], {0: {"default/copy": None}})


def test_the_state_of_an_open_asset_is_never_removed() -> None:
    matcher = matcher_without_end()
    matcher.consumer.hidden_lag = 1
    matcher.wait(2 * RETENTION_S, step_s=3600)
    assert matcher.bus.states().keys() == {"default/copy"}


def test_a_partition_is_idle_if_it_had_no_lag_at_every_look() -> None:
    idle = IdlePartitions(100)
    for at in range(0, 101, 10):
        idle.update({0: 0, 1: int(50 <= at <= 70), 2: 0, **({3: 0} if at else {})}, at)
    idle.forget(2)
    assert idle.partitions(100) == {0}
    idle.update({0: 0}, 100 + 100 * LONGEST_GAP)
    assert idle.partitions(110) == {0}
    idle.update({0: 0}, 121)
    assert idle.partitions(121) == set(), "the gap between two looks was too long"
    idle.update({0: 0}, 60)
    assert idle.partitions(160) == {0}, "a clock that was set back starts again"
