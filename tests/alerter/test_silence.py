"""Uploads that do not end are decided after the idle time."""

from services.alerter.idle import LONGEST_GAP, IdlePartitions
from services.alerter.state_codec import get_asset_key
from services.alerter.worker import TIDIED_ASSETS
from tests.alerter.stages import IDLE_S, Stages, copy, end_event, original, segment_events
from tests.descriptors import cut, work


def stages_without_end() -> Stages:
    """Stages that have two of three segments of a copy."""
    stages = Stages()
    stages.store(original(), copy())
    stages.process(*segment_events(copy())[:2])
    return stages


def test_an_upload_that_does_not_end_is_decided_after_the_idle_time() -> None:
    stages = stages_without_end()
    stages.wait(IDLE_S - 120)
    assert stages.verdicts() == {}
    stages.wait(240)
    verdict = stages.verdicts()["default/copy"]
    assert (verdict.verdict, verdict.reason) == ("copies", "no segment arrived for 3600 s")
    assert verdict.segments_described == 2
    assert [alert.status for alert in stages.alerts()] == ["open", "final"]
    [states] = [states for records, _, states in stages.bus.commits if not records]
    assert {get_asset_key(name) for name in states[0]} == {"default/copy"}


def test_a_backlog_before_the_alerter_does_not_count_as_idle_time() -> None:
    """Ingest or the matcher is an hour behind: the missing segment may have been published long ago."""
    stages = stages_without_end()
    came_at = stages.clock.at
    stages.processed_until = came_at + IDLE_S - 1
    stages.wait(3 * IDLE_S)
    assert stages.verdicts() == {}
    stages.processed_until = came_at + IDLE_S + 1
    stages.wait(60)
    assert stages.verdicts()["default/copy"].verdict == "copies"


def test_the_reason_names_how_many_segments_are_missing() -> None:
    stages = stages_without_end()
    stages.process(end_event(copy()))
    stages.wait(IDLE_S + 240)
    assert stages.verdicts()["default/copy"].reason == "no segment arrived for 3600 s, 2 of 3 had arrived"


def test_an_end_without_any_segment_is_a_failure() -> None:
    stages = Stages()
    stages.process(end_event(copy()))
    stages.wait(IDLE_S + 240)
    assert stages.verdicts()["default/copy"].verdict == "failed"


def test_a_failed_end_with_missing_segments_keeps_its_reason() -> None:
    stages = stages_without_end()
    stages.process(end_event(copy(), status="failed", duration_s=None, reason="cut off"))
    stages.wait(IDLE_S + 240)
    verdict = stages.verdicts()["default/copy"]
    assert (verdict.verdict, verdict.reason) == ("failed", "cut off; no segment arrived for 3600 s, 2 of 3 had arrived")


def test_segments_after_the_idle_time_extend_the_alert_and_revise_the_verdict() -> None:
    stages = Stages()
    stages.store(original(), copy())
    first, second, third = segment_events(copy())
    stages.process(first)
    stages.wait(IDLE_S + 240)
    stages.process(second, third, end_event(copy()))
    assert [alert.status for alert in stages.alerts()] == ["open", "final", "final"]
    assert [one.segments_described for one in stages.all_verdicts()] == [1, 3]
    assert [one.reason for one in stages.all_verdicts()] == ["no segment arrived for 3600 s", None]


def test_every_segment_restarts_the_idle_time_even_a_repeated_one() -> None:
    stages = stages_without_end()
    stages.wait(IDLE_S - 120)
    stages.process(segment_events(copy())[0])
    stages.wait(IDLE_S - 120)
    assert stages.verdicts() == {}, "ingest works on the upload again after a crash"
    stages.wait(240)
    assert len(stages.verdicts()) == 1


def test_an_outage_does_not_count_as_idle_time() -> None:
    """The process slept or waited for a backend; records sent in that time have not arrived yet."""
    stages = stages_without_end()
    stages.clock.at += 10 * IDLE_S
    stages.run()
    stages.wait(IDLE_S - 120)
    assert stages.verdicts() == {}


def test_a_replay_does_not_count_as_idle_time() -> None:
    stages = stages_without_end()
    stages.consumer.hidden_lag = 1
    stages.wait(10 * IDLE_S)
    stages.consumer.hidden_lag = 0
    stages.wait(IDLE_S - 120)
    assert stages.verdicts() == {}
    stages.wait(240)
    assert len(stages.verdicts()) == 1


def test_a_rebalance_restarts_the_idle_time() -> None:
    stages = stages_without_end()
    for lost, wait_s in ((stages.consumer.rebalance, IDLE_S - 120), (stages.restart, IDLE_S - 480)):
        stages.wait(wait_s)
        lost()
        stages.wait(240)
        assert stages.verdicts() == {}
    stages.wait(IDLE_S)
    assert len(stages.verdicts()) == 1


def test_an_idle_end_that_was_not_committed_is_repeated() -> None:
    stages = stages_without_end()
    stages.wait(IDLE_S - 120)
    stages.bus.fail_next("before")
    stages.wait(180)
    assert stages.bus.fails is None, "the commit was tried"
    assert stages.verdicts() == {}
    stages.wait(IDLE_S + 240)
    assert len(stages.verdicts()) == 1


def test_an_idle_asset_is_ended_even_while_others_send_continuously() -> None:
    stages = stages_without_end()
    busy = segment_events(cut("busy", work(7, 0, 30)))
    for _ in range(int(IDLE_S / 60) + 5):
        stages.clock.at += 60
        stages.publish(*busy)
        stages.alerter.run_once(0)
    assert stages.verdicts().keys() == {"default/copy"}


def test_a_step_ends_a_limited_number_of_assets() -> None:
    stages = Stages()
    uploads = [cut(f"upload-{n:03}", work(7, 0, 1)) for n in range(TIDIED_ASSETS + 3)]
    stages.process(*(event for segments in uploads for event in segment_events(segments)))
    commits = len(stages.bus.commits)
    stages.wait(IDLE_S + 240)
    ended = [len(states[0]) for _, _, states in stages.bus.commits[commits:]]
    assert ended == [TIDIED_ASSETS, 3]
    assert len(stages.verdicts()) == len(uploads)


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
