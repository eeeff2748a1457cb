"""Converts events to messages and back: CloudEvents 1.0 in binary mode (attributes in headers, the event as value)."""

import re
import uuid
from collections.abc import Collection

from pydantic import ValidationError

from services.contracts.errors import InvalidMessage
from services.contracts.event_types import EVENT_TYPES
from services.contracts.events import Event, now
from services.contracts.ports import Message, Raw, Record
from services.contracts.topics import DEAD_LETTER_SUFFIX

# Naming more wrong fields than fit does not help to fix a message.
MAX_REASON_CHARACTERS = 1000
# Of key, value and headers as they came; leaves room for the letter's own headers below the topics' limit of 16 MiB.
MAX_DEAD_BYTES = 15 * 2**20
LONGEST_KEY = 257  # of our own events: tenant/asset_id
_MAX_SIDE_BYTES = 2**20  # of a key, and of all headers, in a letter that has to be cut
_TRACE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C Trace Context, version 00

_TYPE_OF = {kind: name for name, kind in EVENT_TYPES.items()}


def to_message(topic: str, event: Event, *, source: str, cause: Message | None = None) -> Message:
    """The message that announces `event`; it continues the trace of its cause."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(uuid.uuid4()),
        "ce_type": _TYPE_OF[type(event)],
        "ce_source": source,
        "ce_time": now().isoformat(),
        "content-type": "application/json",
    }
    if cause is not None and (trace := trace_of(cause)):
        headers["traceparent"] = trace
    return Message(topic=topic, key=event.key, value=event.model_dump_json().encode(), headers=headers)


def trace_of(message: Message) -> str | None:
    """The trace that a message belongs to (its header traceparent); None if it names none, or something else."""
    trace = message.headers.get("traceparent", "")
    return trace if _TRACE.fullmatch(trace) else None


def to_event(message: Message, expected: Collection[type[Event]] = _TYPE_OF) -> Event:
    """The event in a message. Raises InvalidMessage, with an explanation, if its type, JSON or a field is wrong.

    `expected`: the types that the message's topic takes.
    """
    name = message.headers.get("ce_type")
    kind = EVENT_TYPES.get(name or "")
    if kind is None or kind not in expected:
        known = ", ".join(_TYPE_OF[one] for one in expected)
        raise InvalidMessage(f"header ce_type is {name and name[:100]!r}, expected one of: {known}", stage="parse")
    try:
        return kind.model_validate_json(message.value)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'value'}: {e['msg']}" for e in error.errors())
        reason = f"not a valid {kind.__name__}: {wrong}"[:MAX_REASON_CHARACTERS]
        raise InvalidMessage(reason, stage="parse") from error


def read_event(record: Record, expected: Collection[type[Event]] = _TYPE_OF) -> Event:
    """The event in a record. Raises InvalidMessage as `to_event`, and if the bus could not read the record."""
    if record.fault is not None:
        raise InvalidMessage(record.fault, stage="parse")
    return to_event(record.message, expected)


def to_dead_letter(record: Record, error: InvalidMessage) -> Message:
    """The unchanged record for its topic's dead-letter topic, with reason and origin in the headers.

    A record that is too large to be published (it was compressed when it arrived) is cut: the value, and if they are
    long the key and the last headers. A header has the number of bytes that came.
    """
    original = record.message
    came = original.raw or Raw(
        original.key.encode(), original.value, tuple((name, text.encode()) for name, text in original.headers.items())
    )
    kept = came if _count_bytes(came) <= MAX_DEAD_BYTES else _cut(came)
    cut = {"dlq_cut_from_bytes": str(_count_bytes(came))} if kept is not came else {}
    return Message(
        topic=original.topic + DEAD_LETTER_SUFFIX,
        key=original.key[:_MAX_SIDE_BYTES],
        value=kept.value or b"",
        headers={
            **({} if original.raw else original.headers),
            **cut,
            **({"dlq_batch": "unreadable"} if record.fault is not None else {}),
            "dlq_reason": error.reason,
            "dlq_stage": error.stage,
            "dlq_topic": original.topic,
            "dlq_partition": str(record.partition),
            "dlq_offset": str(record.offset),
        },
        raw=kept if original.raw else None,
    )


def _cut(raw: Raw) -> Raw:
    headers, room = [], _MAX_SIDE_BYTES
    for name, value in raw.headers:
        room -= _count_bytes(Raw(None, None, ((name, value),)))
        if room < 0:
            break
        headers.append((name, value))
    key = None if raw.key is None else raw.key[:_MAX_SIDE_BYTES]
    rest = MAX_DEAD_BYTES - _count_bytes(Raw(key, None, tuple(headers)))
    return Raw(key, None if raw.value is None else raw.value[:rest], tuple(headers))


def _count_bytes(raw: Raw) -> int:
    headers = sum(len(name.encode()) + len(value or b"") for name, value in raw.headers)
    return len(raw.key or b"") + len(raw.value or b"") + headers
