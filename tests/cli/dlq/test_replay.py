"""`copydetect dlq replay`: what is sent, what is refused, and how it ends."""

import time

import pytest

from services.cli.dlq import replay
from services.cli.dlq.sending import Pace
from services.contracts import topics
from services.contracts.envelope import MAX_DEAD_BYTES
from services.contracts.errors import DependencyDown, MessageTooLarge, UsageError
from services.contracts.ports import Message, Record
from tests.cli.dlq.conftest import Run
from tests.cli.dlq.fakes import DEAD, FakeBus, upload

TARGET = topics.VIDEO_SEGMENTS


def sent(bus: FakeBus, topic: str = TARGET) -> list[str]:
    """The keys of the messages in a topic, and from where they were replayed."""
    return [f"{one.message.key} of {one.message.headers['dlq_replay_of']}" for one in bus.topics[topic]]


def test_what_matches_is_published_once_to_where_it_came_from(bus: FakeBus, run: Run) -> None:
    bus.add_upload("a")
    bus.add_upload("b", "not a video", "decode")
    bus.add_upload("c", topic=topics.ENCODED_SEGMENTS)
    ended = run("replay", "--yes", "--stage", "fetch")
    assert (ended.exit_code, ended.stdout) == (0, "2 of 2 dead letters replayed\n")
    assert sent(bus) == ["default/a of 0/0"]
    assert sent(bus, topics.ENCODED_SEGMENTS) == ["default/c of 0/0"]
    [again] = bus.topics[TARGET]
    original = upload("a").raw
    assert original
    assert again.message.raw == original._replace(
        headers=(*original.headers, ("dlq_replays", b"1"), ("dlq_replay_of", b"0/0"))
    )
    assert bus.is_closed


def test_named_letters(bus: FakeBus, run: Run) -> None:
    for asset in "abcd":
        bus.add_upload(asset)
    ended = run("replay", "--yes", "0/3", "0/1", "0/1", "0/9")
    assert ended.exit_code == 1
    assert sent(bus) == ["default/b of 0/1", "default/d of 0/3"]
    assert ended.stdout == "2 of 2 dead letters replayed\n"
    assert f"not replayed: {DEAD} 0/9 is not there" in ended.stderr


def test_a_name_is_of_the_topic_of_uploads_unless_another_is_given(bus: FakeBus, run: Run) -> None:
    bus.add_upload("a")
    bus.add_upload("c", topic=topics.ENCODED_SEGMENTS)
    assert run("replay", "--yes", "0/0", "--topic", topics.ENCODED_SEGMENTS).exit_code == 0
    assert (sent(bus), sent(bus, topics.ENCODED_SEGMENTS)) == ([], ["default/c of 0/0"])


def test_a_dry_run_prints_and_publishes_nothing(bus: FakeBus, run: Run) -> None:
    bus.add_upload("a")
    bus.add_upload("b")
    ended = run("replay", "--dry-run", "--limit", "1")
    assert ended.exit_code == 0
    assert ended.stdout == run("list", "--asset", "a").stdout
    assert ended.stderr.startswith("looking for later records")
    assert ended.stderr.endswith("\n1 dead letter would be replayed\n1 dead letter left out by --limit\n")
    assert sent(bus) == []


def test_a_limit_takes_the_oldest(bus: FakeBus, run: Run) -> None:
    for asset in "abc":
        bus.add_upload(asset)
    ended = run("replay", "--yes", "--limit", "2")
    assert sent(bus) == ["default/a of 0/0", "default/b of 0/1"]
    assert "1 dead letter left out by --limit" in ended.stderr


def test_what_is_no_whole_letter_is_counted_and_said(bus: FakeBus, run: Run) -> None:
    bus.add_letter(Record(Message(TARGET, "k", b"x" * (MAX_DEAD_BYTES + 1)), 0, 0))
    bus.add_letter(Record(Message(TARGET, "", b"bytes"), 0, 5, fault="the records at offsets 1 to 5 cannot be read"))
    bus.add_letter(Record(Message(TARGET, "", b"bytes"), 0, 9, fault="the records at offsets 6 to 9 cannot be read"))
    bus.publish([Message(DEAD, "k", b"of somebody else")])
    bus.add_upload("a")
    ended = run("replay", "--yes")
    assert ended.exit_code == 1
    assert sent(bus) == ["default/a of 0/4"]
    lines = ended.stderr.splitlines()
    assert f"not replayed: {DEAD} 0/0 was cut: its value was too large for a dead letter" in lines
    assert f"not replayed: {DEAD} 0/1 holds a batch of records that cannot be read" in lines
    assert "4 dead letters cannot be replayed:" in lines
    assert "      2  holds a batch of records that cannot be read" in lines


def test_a_letter_that_fails_again_and_again_is_refused(bus: FakeBus, run: Run) -> None:
    bus.add_upload("a")
    for number in range(3):
        assert run("replay", "--yes").exit_code == 0
        assert sent(bus)[number:] == [f"default/a of 0/{number}"]  # only the newest letter of the record
        bus.add_new(TARGET, since=number)
    assert "(replays 3)" in run("list").stdout
    ended = run("replay", "--yes")
    assert ended.exit_code == 1
    assert len(bus.topics[TARGET]) == 3
    assert f"not replayed: {DEAD} 0/3 was replayed 3 times and failed each time" in ended.stderr
    assert "3 dead letters left out: replayed before" in ended.stderr
    assert run("replay", "--yes", "--max-replays", "4").exit_code == 0
    assert run("replay", "--yes", "--force").exit_code == 0
    assert sent(bus)[3:] == ["default/a of 0/3"] * 2


def test_a_named_letter_whose_replay_failed_needs_force(bus: FakeBus, run: Run) -> None:
    bus.add_upload("a")
    run("replay", "--yes")
    bus.add_new(TARGET, since=0)
    ended = run("replay", "--yes", "0/0")
    assert ended.exit_code == 1
    assert f"not replayed: {DEAD} 0/0 was replayed and failed again as 0/1" in ended.stderr
    assert run("replay", "--yes", "--force", "0/0").exit_code == 0
    assert len(sent(bus)) == 2


def test_letters_that_come_meanwhile_are_not_replayed(bus: FakeBus, run: Run) -> None:
    bus.add_upload("a")
    bus.add_upload("b")

    def fail_again(message: Message) -> None:
        if message.topic == TARGET:
            bus.add_letter(Record(message, 0, 0))

    bus.on_publish = fail_again
    assert run("replay", "--yes").exit_code == 0
    assert sent(bus) == ["default/a of 0/0", "default/b of 0/1"]
    assert len(bus.topics[DEAD]) == 4


@pytest.mark.usefixtures("bus")
def test_nothing_to_replay(run: Run) -> None:
    ended = run("replay", "--yes")
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "", "no dead letter to replay\n")


def test_without_a_terminal_nobody_is_asked(bus: FakeBus, run: Run) -> None:
    bus.add_upload("a")
    ended = run("replay")
    assert isinstance(ended.exception, UsageError)
    assert "--yes" in str(ended.exception)
    assert TARGET not in bus.topics


@pytest.mark.parametrize(("answer", "count"), [("y\n", 1), ("YES\n", 1), ("\n", 0), ("n\n", 0), ("", 0)])
def test_a_terminal_is_asked(bus: FakeBus, run: Run, monkeypatch: pytest.MonkeyPatch, answer: str, count: int) -> None:
    monkeypatch.setattr(replay, "is_interactive", lambda: True)
    bus.add_upload("a")
    ended = run("replay", input=answer)
    assert "Replay 1 dead letter to video-segments? [y/N]" in ended.stderr
    assert len(bus.topics[TARGET]) == count
    assert ended.exit_code == 1 - count


@pytest.mark.usefixtures("bus")
def test_names_and_filters_exclude_each_other(run: Run) -> None:
    ended = run("replay", "--yes", "0/0", "--tenant", "t")
    assert isinstance(ended.exception, UsageError)
    assert "not both" in str(ended.exception)


def test_a_letter_that_is_too_large_for_its_topic_does_not_stop_the_others(bus: FakeBus, run: Run) -> None:
    for asset in "abc":
        bus.add_upload(asset)

    def refuse(message: Message) -> None:
        if message.key == "default/b":
            raise MessageTooLarge("set max.message.bytes")

    bus.on_publish = refuse
    ended = run("replay", "--yes")
    assert ended.exit_code == 1
    assert ended.stdout == "2 of 3 dead letters replayed\n"
    assert f"not replayed: {DEAD} 0/1 is too large for video-segments (set max.message.bytes)" in ended.stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(), f"interrupted: 1 of 3 dead letters replayed; {DEAD} 0/1 may have been, too"),
        (DependencyDown("down"), f"stopped: 1 of 3 dead letters replayed; {DEAD} 0/1 may have been, too"),
        (UsageError("no topic"), "stopped: 1 of 3 dead letters replayed"),
    ],
)
def test_whatever_stops_it_the_number_is_said(bus: FakeBus, run: Run, error: BaseException, said: str) -> None:
    for asset in "abc":
        bus.add_upload(asset)

    def stop(message: Message) -> None:
        if message.key == "default/b":
            raise error

    bus.on_publish = stop
    ended = run("replay", "--yes")
    assert said in ended.stderr.splitlines()
    assert bus.is_closed
    if isinstance(error, KeyboardInterrupt):
        assert ended.exit_code == 130
    else:
        assert ended.exception is error


def test_a_letter_that_retention_removes_meanwhile(bus: FakeBus, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    bus.add_upload("a")
    bus.add_upload("b")
    monkeypatch.setattr(replay, "report_plan", lambda *_, **__: bus.topics[DEAD].pop(0))
    ended = run("replay", "--yes")
    assert ended.exit_code == 1
    assert sent(bus) == ["default/b of 0/1"]
    assert f"not replayed: {DEAD} 0/0 is no longer there" in ended.stderr


def test_a_rate_spreads_the_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda s: clock.__setitem__(0, clock[0] + s))
    pace, times = Pace(4), []
    for _ in range(3):
        pace.wait()
        times.append(clock[0])
    clock[0] += 10  # a pause is no reason to hurry
    for _ in range(2):
        pace.wait()
        times.append(clock[0])
    assert times == [100, 100.25, 100.5, 110.5, 110.75]
    Pace(None).wait()
    assert clock[0] == 110.75
