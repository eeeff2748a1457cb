"""A dead letter becomes the message that came, byte for byte, and says how often it was replayed."""

from dataclasses import replace

import pytest

from services.backends.kafka.records import to_headers
from services.backends.kafka.transaction import to_outgoing
from services.contracts.dead_letters import find_obstacle, read_dead_letter, to_replay
from services.contracts.envelope import MAX_DEAD_BYTES, to_dead_letter
from services.contracts.errors import InvalidMessage
from services.contracts.ports import Message, Raw, Record

TOPIC = "video-segments"
ODD = [
    Raw(b"t/a", b'{"asset_id": "a"}', (("ce_type", b"x"),)),
    Raw(None, b"\xff\x00", ()),
    Raw(b"\xfe", None, (("same", b"1"), ("other", b""), ("same", b"\xff"))),
    Raw(b"k", b"v", (("dlq_reason", b"of an earlier time"), ("dlq_topic", b"elsewhere"), ("dlq_offset", b"0"))),
    Raw(b"k", b"v", (("dlq_replays", b"no number"), ("dlq_replay_of", b"?"))),
]


def carry(message: Message, offset: int = 7, fault: str | None = None) -> Record:
    """The message as it comes from Kafka."""
    topic, key, value, headers, _ = to_outgoing(message)
    raw = Raw(key, value, tuple(headers))
    text = "" if key is None else key.decode(errors="replace")
    return Record(Message(topic, text, value or b"", to_headers(headers), raw=raw), 0, offset, fault)


def add_letter(record: Record, offset: int = 7) -> Record:
    return carry(to_dead_letter(record, InvalidMessage("why", stage="fetch")), offset)


@pytest.mark.parametrize("raw", ODD)
def test_what_came_is_replayed_byte_for_byte_however_often(raw: Raw) -> None:
    came = carry(Message(TOPIC, "", b"", raw=raw))
    for number, place in enumerate(("0/0", "0/1", "0/2"), 1):
        letter = read_dead_letter(add_letter(came, offset=number - 1))
        assert (letter.stage, letter.reason, letter.origin, letter.origin_place) == ("fetch", "why", TOPIC, "0/7")
        assert letter.replays == number - 1
        assert find_obstacle(letter) is None
        came = carry(to_replay(letter))
        assert came.message.raw == raw._replace(
            headers=(*raw.headers, ("dlq_replays", str(number).encode()), ("dlq_replay_of", place.encode()))
        )


def test_a_letter_of_a_bus_without_bytes_is_read_too() -> None:
    original = Message(TOPIC, "t/a", b"text", {"own": "kept"})
    letter = read_dead_letter(Record(to_dead_letter(Record(original, 3, 41), InvalidMessage("w", stage="parse")), 0, 0))
    assert letter.original == Raw(b"t/a", b"text", (("own", b"kept"),))


@pytest.mark.parametrize(
    ("key", "value", "asset"),
    [
        (b"their-key", b'{"tenant": "t", "asset_id": "a"}', "t/a"),
        (b"their-key", b'{"asset_id": "a"}', "default/a"),
        (b"their-key", b'{"tenant": 1, "asset_id": "a"}', "?/a"),
        (b"t/a", b"no JSON", "t/a"),
        (b"t/a", b"[" * 100_000, "t/a"),
        (b"t/a", b'{"asset_id": 5}', "t/a"),
        (b"their-key", b"", "their-key"),
        (None, b"\xff", ""),
    ],
)
def test_the_asset_is_in_the_value_or_else_in_the_key(key: bytes | None, value: bytes, asset: str) -> None:
    assert read_dead_letter(add_letter(carry(Message(TOPIC, "", b"", raw=Raw(key, value, ()))))).asset == asset


def test_what_is_no_whole_letter_has_an_obstacle() -> None:
    def obstacle(record: Record) -> str:
        return find_obstacle(read_dead_letter(record)) or ""

    assert "was cut" in obstacle(add_letter(carry(Message(TOPIC, "k", b"x" * (MAX_DEAD_BYTES + 1)))))
    assert "batch" in obstacle(add_letter(Record(Message(TOPIC, "", b"bytes"), 0, 4, fault="cannot be read")))
    assert "batch" in obstacle(Record(Message(TOPIC + ".dlq", "", b"bytes"), 0, 4, fault="cannot be read"))
    assert "no dead letter" in obstacle(carry(Message(TOPIC + ".dlq", "k", b"v")))
    letter = add_letter(carry(Message(TOPIC, "k", b"v")))
    assert obstacle(letter) == ""
    moved = replace(letter, message=replace(letter.message, topic="another.dlq"))
    assert "other dead letters" in obstacle(moved)


@pytest.mark.parametrize(("timestamp_ms", "year"), [(None, None), (-1, None), (2**62, None), (1_795_523_405_000, 2026)])
def test_a_letter_has_the_time_of_its_record(timestamp_ms: int | None, year: int | None) -> None:
    letter = read_dead_letter(replace(add_letter(carry(Message(TOPIC, "k", b"v"))), timestamp_ms=timestamp_ms))
    assert (letter.written_at.year if letter.written_at else None) == year
