"""A dead letter is the record as it came, with the reason and where it was."""

import pytest

from services.contracts.envelope import MAX_DEAD_BYTES, to_dead_letter, to_event, trace_of
from services.contracts.errors import LONGEST_REASON, InvalidMessage
from services.contracts.ports import Message, Raw, Record


def test_a_dead_letter_is_the_unchanged_record_with_reason_and_origin() -> None:
    original = Message("video-segments", "t/a", b"\x00 not JSON", {"traceparent": "00-1-2-01", "own": "kept"})
    letter = to_dead_letter(Record(original, partition=3, offset=41), InvalidMessage("why", stage="parse"))
    assert letter.topic == "video-segments.dlq"
    assert (letter.key, letter.value) == (original.key, original.value)
    assert letter.headers == {
        **original.headers,
        "dlq_reason": "why",
        "dlq_stage": "parse",
        "dlq_topic": "video-segments",
        "dlq_partition": "3",
        "dlq_offset": "41",
    }


def test_a_dead_letter_of_a_raw_record_is_its_bytes() -> None:
    raw = Raw(None, None, (("a", b"\xff"), ("a", None)))
    letter = to_dead_letter(
        Record(Message("video-segments", "", b"", raw=raw), 3, 41), InvalidMessage("why", stage="parse")
    )
    assert letter.raw == raw
    assert all(name.startswith("dlq_") for name in letter.headers)


def test_a_dead_letter_of_records_that_could_not_be_read_is_marked() -> None:
    batch = Record(Message("video-segments", "", b"bytes"), 3, 7, fault="the records cannot be read")
    dead = to_dead_letter(batch, InvalidMessage("cannot be read", stage="parse"))
    assert dead.headers["dlq_batch"] == "unreadable"


def test_a_dead_letter_that_is_too_large_is_cut_and_has_its_length() -> None:
    record = Record(Message("video-segments", "k", b"x" * (MAX_DEAD_BYTES + 1)), 3, 7)
    dead = to_dead_letter(record, InvalidMessage("too long", stage="parse"))
    assert dead.value == b"x" * (MAX_DEAD_BYTES - 1)
    assert dead.headers["dlq_cut_from_bytes"] == str(MAX_DEAD_BYTES + 2)


LONG = 20 * 2**20


@pytest.mark.parametrize(
    "raw",
    [
        Raw(b"k" * LONG, b"value", ()),
        Raw(None, b"value", (("long", b"h" * LONG),)),
        Raw(b"k", b"v" * MAX_DEAD_BYTES, (("long", b"h" * 1_200_000),)),
        Raw(b"k", None, (("n" * LONG, None), ("short", b"lost with it"))),
    ],
)
def test_a_dead_letter_is_never_larger_than_can_be_published(raw: Raw) -> None:
    text = {name: (value or b"").decode() for name, value in raw.headers}
    message = Message("video-segments", (raw.key or b"").decode(), raw.value or b"", text, raw=raw)
    with pytest.raises(InvalidMessage) as refused:
        to_event(message)
    dead = to_dead_letter(Record(message, 3, 7), refused.value)
    assert dead.raw is not None
    came, sent = (
        len(one.key or b"") + len(one.value or b"") + sum(len(name) + len(value or b"") for name, value in one.headers)
        for one in (raw, dead.raw)
    )
    own = sum(len(name) + len(value) for name, value in dead.headers.items())
    assert sent <= MAX_DEAD_BYTES
    assert own < 2**14
    assert dead.headers["dlq_cut_from_bytes"] == str(came)


def test_a_long_type_does_not_make_a_long_reason() -> None:
    with pytest.raises(InvalidMessage) as refused:
        to_event(Message("video-segments", "k", b"{}", {"ce_type": "\0" * LONG}))
    assert len(refused.value.reason) <= LONGEST_REASON
    assert len(InvalidMessage("x" * LONG, stage="fetch").reason) == LONGEST_REASON


def test_only_a_trace_is_continued() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert trace_of(Message("t", "k", b"", {"traceparent": trace})) == trace
    assert trace_of(Message("t", "k", b"", {"traceparent": "0" * LONG})) is None
    assert trace_of(Message("t", "k", b"")) is None
