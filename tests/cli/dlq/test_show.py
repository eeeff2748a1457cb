"""`copydetect dlq show`: all of a letter, without credentials and without what a terminal would obey."""

from pathlib import Path

import pytest

from services.cli.dlq.show import HEX_BYTES, TEXT_CHARACTERS
from services.contracts import topics
from services.contracts.envelope import MAX_DEAD_BYTES
from services.contracts.errors import UsageError
from services.contracts.ports import Message, Raw, Record
from tests.cli.dlq.conftest import Run
from tests.cli.dlq.fakes import DEAD, GONE, FakeBus

SECRET = "https://me:word@example.org/a.mp4?X-Amz-Signature=key"


def add_letter(
    bus: FakeBus, value: bytes | None, key: bytes | None = b"k", headers: tuple[tuple[str, bytes], ...] = ()
) -> None:
    raw = Raw(key, value, headers)
    bus.add_letter(Record(Message(topics.VIDEO_SEGMENTS, "", value or b"", raw=raw), 3, 41))


def test_an_upload_is_shown_with_reason_origin_and_content(bus: FakeBus, run: Run) -> None:
    bus.add_upload("a")
    bus.add_upload("b")
    shown = run("show", "0/1")
    assert shown.exit_code == 0
    *facts, value = shown.stdout.splitlines()
    assert facts[:11] == [
        f"letter     {DEAD} 0/1, written 2026-11-24 12:31:05Z",
        "stage      fetch",
        f"reason     {GONE}",
        "came from  video-segments 3/41",
        "asset      default/b",
        "replays    0",
        "key        default/b",
        "header     ce_type = copydetect.SegmentUploaded.v1",
        f"header     dlq_reason = {GONE}",
        "header     dlq_stage = fetch",
        "header     dlq_topic = video-segments",
    ]
    assert facts[-1] == f"value      {len(value)} bytes of text"
    assert '"asset_id":"b"' in value


def test_credentials_are_shown_only_if_wanted(bus: FakeBus, run: Run) -> None:
    add_letter(bus, f'{{"uri": "{SECRET}"}}'.encode(), SECRET.encode(), (("from", SECRET.encode()),))
    add_letter(bus, b"\xff " + SECRET.encode())
    for place in ("0/0", "0/1"):
        shown = run("show", place).stdout
        assert not any(secret in shown for secret in ("word", "Signature", b"word".hex(), b"Signature".hex()))
    hidden, raw = run("show", "0/0").stdout, run("show", "0/0", "--raw").stdout
    assert raw.count(SECRET) == 3
    assert hidden.count("https://[redacted]@example.org/a.mp4?[redacted]") == 4  # the key stands for the asset, too


def test_bytes_are_shown_in_hexadecimal(bus: FakeBus, run: Run) -> None:
    add_letter(bus, bytes(range(199, 256)), b"\xfe\x01", (("same", b"\xff"), ("same", b""), ("lines", b"a\nb")))
    shown = run("show", "0/0").stdout.splitlines()
    assert "key        hex fe01" in shown
    assert [line for line in shown if line.startswith("header     ")][:3] == [
        "header     same = hex ff",
        "header     same = (empty)",
        "header     lines = hex 610a62",
    ]
    assert shown[-3:] == [
        "value      57 bytes, not text",
        "c7c8c9ca cbcccdce cfd0d1d2 d3d4d5d6 d7d8d9da dbdcddde dfe0e1e2 e3e4e5e6",
        "e7e8e9ea ebecedee eff0f1f2 f3f4f5f6 f7f8f9fa fbfcfdfe ff",
    ]


@pytest.mark.parametrize(("value", "said"), [(None, "value      none"), (b"", "value      empty")])
def test_what_is_missing_is_said(bus: FakeBus, run: Run, value: bytes | None, said: str) -> None:
    add_letter(bus, value)
    assert run("show", "0/0").stdout.splitlines()[-1] == said


def test_a_long_value_is_cut_and_the_length_is_said(bus: FakeBus, run: Run) -> None:
    add_letter(bus, b"x" * 5000)
    add_letter(bus, b"\xff" * 5000)
    text, other = run("show", "0/0").stdout, run("show", "0/1").stdout
    assert (
        text.splitlines()[-2] == "value      5,000 bytes of text; the first 4,000 characters, --output FILE writes all"
    )
    assert text.splitlines()[-1] == "x" * TEXT_CHARACTERS
    assert "5,000 bytes, not text; the first 1,024 bytes, --output FILE writes all" in other
    assert "".join(other.splitlines()[-HEX_BYTES // 32 :]).replace(" ", "") == "ff" * HEX_BYTES


def test_control_characters_do_not_reach_the_terminal(bus: FakeBus, run: Run) -> None:
    add_letter(bus, b"a\x1b[2Jb", b"k\x1b", (("n\x1b", b"v\x07"),))
    assert not {"\x1b", "\x07"} & set(run("show", "0/0", "--raw").stdout)


def test_a_letter_that_cannot_be_replayed_says_so(bus: FakeBus, run: Run) -> None:
    add_letter(bus, b"x" * (MAX_DEAD_BYTES + 1))
    assert "it cannot be replayed: it was cut" in run("show", "0/0").stdout


def test_output_writes_the_bytes(bus: FakeBus, run: Run, tmp_path: Path) -> None:
    value = b"\xff\x00" + SECRET.encode() + b"x" * 5000
    add_letter(bus, value)
    shown = run("show", "0/0", "--output", str(tmp_path / "value"))
    assert (tmp_path / "value").read_bytes() == value
    assert shown.stdout.startswith("letter")
    assert run("show", "0/0", "--output", "-").stdout_bytes == value
    refused = run("show", "0/0", "--output", str(tmp_path))
    assert isinstance(refused.exception, UsageError)
    assert "cannot write --output" in str(refused.exception)


@pytest.mark.parametrize("place", ["0/1", "1/0"])
def test_a_letter_that_is_not_there(bus: FakeBus, run: Run, place: str) -> None:
    bus.add_upload()
    ended = run("show", place)
    assert isinstance(ended.exception, UsageError)
    assert f"no dead letter {place} in {DEAD}" in str(ended.exception)
