"""Converts events to messages and back: CloudEvents 1.0 in binary mode (attributes in headers, the event as value)."""

import uuid

from pydantic import ValidationError

from services.contracts.errors import InvalidMessage
from services.contracts.events import EVENT_TYPES, Event, now
from services.contracts.ports import Message, Record
from services.contracts.topics import DEAD_LETTER_SUFFIX

# Naming more wrong fields than fit does not help to fix a message, and the reason is sent in a header.
MAX_REASON_CHARACTERS = 1000
# Leaves room for headers below the topics' limit of 16 MiB.
MAX_DEAD_BYTES = 15 * 2**20

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
    if cause is not None and "traceparent" in cause.headers:
        headers["traceparent"] = cause.headers["traceparent"]
    return Message(topic=topic, key=event.key, value=event.model_dump_json().encode(), headers=headers)


def to_event(message: Message) -> Event:
    """The event in a message. Raises InvalidMessage, with an explanation, if its type, JSON or a field is wrong."""
    name = message.headers.get("ce_type")
    kind = EVENT_TYPES.get(name or "")
    if kind is None:
        known = ", ".join(EVENT_TYPES)
        raise InvalidMessage(f"header ce_type is {name!r}, expected one of: {known}", stage="parse")
    try:
        return kind.model_validate_json(message.value)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'value'}: {e['msg']}" for e in error.errors())
        reason = f"not a valid {kind.__name__}: {wrong}"[:MAX_REASON_CHARACTERS]
        raise InvalidMessage(reason, stage="parse") from error


def read_event(record: Record) -> Event:
    """The event in a record. Raises InvalidMessage as `to_event`, and if the bus could not read the record."""
    if record.fault is not None:
        raise InvalidMessage(record.fault[:MAX_REASON_CHARACTERS], stage="parse")
    return to_event(record.message)


def to_dead_letter(record: Record, error: InvalidMessage) -> Message:
    """The unchanged record for its topic's dead-letter topic, with reason and origin in the headers.

    A value that is too large to be published (it was compressed when it arrived) is cut, and a header has its length.
    Another header marks the bytes of a batch that the bus could not read. `dead_letters` reads all these headers.
    """
    original = record.message
    cut = {"dlq_cut_from_bytes": str(len(original.value))} if len(original.value) > MAX_DEAD_BYTES else {}
    batch = {"dlq_batch": "unreadable"} if record.fault is not None else {}
    raw = original.raw
    if raw is not None and raw.value is not None:
        raw = raw._replace(value=raw.value[:MAX_DEAD_BYTES])
    return Message(
        topic=original.topic + DEAD_LETTER_SUFFIX,
        key=original.key,
        value=original.value[:MAX_DEAD_BYTES],
        headers={
            **({} if raw else original.headers),
            **cut,
            **batch,
            "dlq_reason": error.reason,
            "dlq_stage": error.stage,
            "dlq_topic": original.topic,
            "dlq_partition": str(record.partition),
            "dlq_offset": str(record.offset),
        },
        raw=raw,
    )
