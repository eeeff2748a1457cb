"""`copydetect dlq list`: one line per letter, filters, a summary."""

import json

import pytest

from services.contracts import topics
from services.contracts.ports import Message, Record
from tests.cli.dlq.conftest import Run
from tests.cli.dlq.fakes import DEAD, DEAD_ENCODED, DEAD_EVIDENCE, GONE, FakeBus

LONG = "not a valid SegmentUploaded: uri: Field required"


@pytest.fixture
def full(bus: FakeBus) -> FakeBus:
    bus.add_upload("a")
    bus.add_upload("b", LONG, "parse", tenant="theirs")
    bus.add_upload("c", "cannot open /videos/c 2.mp4: No such file or directory")
    bus.add_upload("d", "not a video", "decode")
    bus.add_upload("e", "described by model 4e1d, this matcher compares 77aa", "parse", topics.ENCODED_SEGMENTS)
    return bus


@pytest.mark.usefixtures("full")
def test_a_letter_is_one_line_and_the_summary_is_apart(run: Run) -> None:
    shown = run("list")
    assert shown.exit_code == 0
    assert shown.stdout.splitlines() == [
        f"{DEAD}  0/0      2026-11-24 12:30:05Z  fetch   default/a  {GONE}",
        f"{DEAD}  0/1      2026-11-24 12:31:05Z  parse   theirs/b  {LONG}",
        f"{DEAD}  0/2      2026-11-24 12:32:05Z  fetch   default/c  "
        "cannot open /videos/c 2.mp4: No such file or directory",
        f"{DEAD}  0/3      2026-11-24 12:33:05Z  decode  default/d  not a video",
        f"{DEAD_ENCODED}  0/0      2026-11-24 12:30:05Z  parse   default/e  "
        "described by model 4e1d, this matcher compares 77aa",
    ]
    assert shown.stderr.splitlines() == [
        "5 dead letters:",
        "      1  decode  not a video",
        "      1  fetch   cannot open ... N.N: No such file or directory",
        "      1  fetch   cannot open ...: No such file or directory",
        "      1  parse   described by model N, this matcher compares N",
        f"      1  parse   {LONG}",
    ]


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--stage", "fetch"], "ac"),
        (["--reason", "NO SUCH file"], "ac"),
        (["--asset", "d"], "d"),
        (["--asset", "theirs/b"], "b"),
        (["--tenant", "default"], "acde"),
        (["--topic", "encoded-segments"], "e"),
        (["--topic", DEAD, "--stage", "parse"], "b"),
        (["--since", "2026-11-24T12:32"], "cd"),
        (["--since", "2026-11-24T12:32", "--reason", "video", "--stage", "decode"], "d"),
    ],
    ids=lambda words: " ".join(words),
)
def test_filters(run: Run, words: list[str], found: str) -> None:
    shown = run("list", "--json", *words)
    letters = [json.loads(line) for line in shown.stdout.splitlines()]
    assert "".join(letter["asset_id"] for letter in letters) == found
    assert shown.stderr.startswith(f"{len(found)} dead letter")


@pytest.mark.usefixtures("full")
def test_json_has_all_but_the_content(run: Run) -> None:
    first = json.loads(run("list", "--json").stdout.splitlines()[0])
    assert first == {
        "topic": DEAD,
        "partition": 0,
        "offset": 0,
        "written_at": "2026-11-24T12:30:05+00:00",
        "stage": "fetch",
        "reason": GONE,
        "tenant": "default",
        "asset_id": "a",
        "came_from": "video-segments 3/41",
        "replays": 0,
        "replay_of": None,
        "value_bytes": first["value_bytes"],
        "obstacle": None,
    }
    assert first["value_bytes"] > 50


def test_nothing_there_is_said_in_a_sentence(bus: FakeBus, run: Run) -> None:
    shown = run("list")
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert shown.stderr == f"no dead letters in {DEAD}, {DEAD_ENCODED}, {DEAD_EVIDENCE}\n"
    bus.add_upload()
    shown = run("list", "--tenant", "theirs", "--topic", DEAD)
    assert (shown.exit_code, shown.stderr) == (0, f"no dead letters match in {DEAD}\n")


def test_a_long_key_makes_no_long_line(bus: FakeBus, run: Run) -> None:
    bus.add(Message(DEAD, "k" * 2**20, b"{}"))
    assert len(run("list").stdout) < 1000


def test_odd_letters_have_a_line_too(bus: FakeBus, run: Run) -> None:
    bus.publish([Message(DEAD, "a key :b:", b"\xff")])
    bus.add(Message(DEAD, "", b"bytes"), fault="the records at offsets 1 to 1 cannot be read")
    bus.add_letter(
        Record(Message(topics.VIDEO_SEGMENTS, "k", b"{}"), 0, 0), "a\nb\x1b[2J https://me:word@h/?key", "parse"
    )
    assert [line.split("  ", 2)[2].split("Z  ")[1] for line in run("list").stdout.splitlines()] == [
        "-       a?key?:b:  no reason",
        "-       -  the records at offsets 1 to 1 cannot be read",
        "parse   k  a?b?[2J https://[redacted]@h/?[redacted]",
    ]


def test_reasons_of_a_kind_are_counted_together(bus: FakeBus, run: Run) -> None:
    for number in range(3):
        bus.add_upload("a", f"cannot open /videos/{number}.mp4: No such file or directory")
        bus.add_upload("a", f"{number},000.5 bytes exceed the limit of 500")
    bus.add_upload("a", "header ce_type is 'x y', expected one of: a.v1, b", "parse")
    assert run("list").stderr.splitlines() == [
        "7 dead letters:",
        "      3  fetch   N bytes exceed the limit of N",
        "      3  fetch   cannot open ...: No such file or directory",
        "      1  parse   header ce_type is '...', expected one of: a.N, b",
    ]
