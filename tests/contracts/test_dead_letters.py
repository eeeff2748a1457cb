"""A dead letter is the record as it came, with the reason and where it was."""

from services.contracts.envelope import MAX_DEAD_BYTES, to_dead_letter
from services.contracts.errors import InvalidMessage
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
    assert dead.value == b"x" * MAX_DEAD_BYTES
    assert dead.headers["dlq_cut_from_bytes"] == str(MAX_DEAD_BYTES + 1)
