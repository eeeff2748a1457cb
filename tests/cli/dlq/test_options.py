"""What the options of `copydetect dlq` understand, and what they refuse."""

from datetime import UTC, datetime, timedelta

import pytest

from services.cli.dlq.options import dead_letter_topics, parse_place, parse_rate, parse_since
from services.contracts import topics
from services.contracts.dead_letters import Place
from services.contracts.events import now
from tests.cli.dlq.conftest import Run
from tests.cli.dlq.fakes import DEAD, DEAD_ENCODED, DEAD_EVIDENCE, FakeBus


@pytest.mark.parametrize(("text", "hours"), [("7d", 168), ("12h", 12), ("90m", 1.5), ("1.5h", 1.5), ("1w", 168)])
def test_since_takes_an_age(text: str, hours: float) -> None:
    assert abs(now() - parse_since(text) - timedelta(hours=hours)) < timedelta(seconds=10)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        ("2026-11-24T12:30", datetime(2026, 11, 24, 12, 30, tzinfo=UTC)),
        ("2026-11-24 12:30:05Z", datetime(2026, 11, 24, 12, 30, 5, tzinfo=UTC)),
        ("2026-11-24T12:30+02:00", datetime(2026, 11, 24, 10, 30, tzinfo=UTC)),
    ],
)
def test_since_takes_a_date_or_time(text: str, time: datetime) -> None:
    assert parse_since(text) == time


def test_a_rate_is_per_second() -> None:
    assert [parse_rate(text) for text in ("10/s", "10", "0.5/s")] == [10, 10, 0.5]


def test_a_place_is_partition_and_offset() -> None:
    assert parse_place("3/41") == Place(3, 41)
    assert str(Place(3, 41)) == "3/41"


def test_a_topic_may_be_named_with_its_suffix() -> None:
    assert dead_letter_topics(None) == [DEAD, DEAD_ENCODED, DEAD_EVIDENCE]
    assert dead_letter_topics("video-segments") == dead_letter_topics(DEAD) == [DEAD]


def test_letters_of_every_topic_between_the_services_are_listed_and_named_in_the_help(bus: FakeBus, run: Run) -> None:
    for topic in (topics.VIDEO_SEGMENTS, topics.ENCODED_SEGMENTS, topics.MATCH_EVIDENCE):
        bus.add_upload(topic, topic=topic)
    listed = [line.split()[0] for line in run("list").stdout.splitlines()]
    assert listed == [DEAD, DEAD_ENCODED, DEAD_EVIDENCE]
    for command in ("list", "show", "replay"):
        assert topics.MATCH_EVIDENCE in run(command, "--help", env={"COLUMNS": "200"}).stdout


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--since", "yesterday"],
        ["list", "--since", "99999999999d"],
        ["list", "--stage", "upload"],
        ["show"],
        ["show", "12"],
        ["show", "0/-1"],
        ["replay", "--yes", "--rate", "0/s"],
        ["replay", "--yes", "--rate", "fast"],
        ["replay", "--yes", "--limit", "0"],
        ["replay", "--yes", "0/x"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2_and_words(bus: FakeBus, run: Run, words: list[str]) -> None:
    bus.add_upload()
    ended = run(*words)
    assert ended.exit_code == 2
    assert "Error" in ended.stderr
    assert bus.topics.keys() == {DEAD}
