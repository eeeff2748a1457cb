"""A service is ready if it can do its work now: it has a partition, or none is left, and its backends answer."""

import pytest

from services.contracts.errors import DependencyDown
from services.runtime.group_lag import GroupLag, GroupTopic, PartitionLag
from services.runtime.probes import Health
from services.runtime.readiness import AssignmentQuestion, Question, Readiness

OWN = GroupTopic("video-segments", "ingest")


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def lag(*owned: bool, topic: str = "video-segments", group: str = "ingest") -> GroupLag:
    return GroupLag(
        topic, group, 0, tuple(PartitionLag(number, 0, 0, None, is_owned=one) for number, one in enumerate(owned))
    )


class Process:
    """A process with its partitions."""

    def __init__(self) -> None:
        self.owned: set[int] = set()
        self.clock = Clock()
        self.question = AssignmentQuestion(OWN, lambda: self.owned, fresh_s=60, clock=self.clock)


def test_a_process_with_a_partition_is_ready_whatever_others_have() -> None:
    process = Process()
    process.owned = {0}
    assert process.question() is None
    process.question.observe(lag(True, False))
    assert process.question() is None


def test_a_process_without_one_is_ready_only_if_none_is_left() -> None:
    process = Process()
    assert "is not known" in (process.question() or "")
    process.question.observe(lag(True, False, False))
    assert process.question() == "no partition of video-segments is assigned, and nobody has 1, 2"
    process.question.observe(lag(True, True, True))
    assert process.question() is None


def test_others_topics_and_old_readings_do_not_count() -> None:
    process = Process()
    process.question.observe(lag(True, topic="encoded-segments"))
    process.question.observe(lag(True, group="other"))
    assert process.question() is not None
    process.question.observe(lag(True))
    process.clock.now_s += 60
    assert process.question() is None
    process.clock.now_s += 1
    assert process.question() is not None


def test_answers_make_a_service_unready_or_degraded_until_they_change() -> None:
    health = Health(loop_timeout_s=60)
    health.clear("start")
    answers: dict[str, str | None] = {"kafka": None, "milvus": None, "redis": None}
    readiness = Readiness(
        health,
        [
            Question("kafka", lambda: answers["kafka"]),
            Question("milvus", lambda: answers["milvus"]),
            Question("redis", lambda: answers["redis"], is_needed=False),
        ],
    )
    readiness.update()
    assert (health.why_not_ready(), health.degradations) == ({}, {})
    answers["milvus"], answers["redis"] = "no answer", "no answer either"
    readiness.update()
    assert health.why_not_ready() == {"milvus": "no answer"}
    assert health.degradations == {"redis": "no answer either"}
    answers["milvus"] = answers["redis"] = None
    readiness.update()
    assert (health.why_not_ready(), health.degradations) == ({}, {})


def test_an_error_is_an_answer_and_a_defect_is_not() -> None:
    health = Health(loop_timeout_s=60)
    health.clear("start")

    def fail() -> None:
        raise DependencyDown("timed out")

    Readiness(health, [Question("milvus", fail)]).update()
    assert health.why_not_ready() == {"milvus": "timed out"}

    def break_down() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Readiness(health, [Question("milvus", break_down)]).update()
