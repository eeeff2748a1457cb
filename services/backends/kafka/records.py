"""Records of the client as records of the port."""

from collections.abc import Iterable
from typing import Any

from services.contracts.ports import Message, Raw, Record


def to_record(record: Any) -> Record:
    """The client's record as the port's. In texts, bytes that are not UTF-8 are replaced: they block no partition."""
    message = Message(
        topic=record.topic,
        key=text(record.key),
        value=record.value or b"",
        headers=to_headers(record.headers),
        raw=Raw(record.key, record.value, tuple(record.headers or ())),
    )
    return Record(message, record.partition, record.offset, timestamp_ms=record.timestamp)


def to_headers(headers: Iterable[tuple[Any, bytes | None]] | None) -> dict[str, str]:
    return {name if isinstance(name, str) else text(name): text(value) for name, value in headers or ()}


def text(value: bytes | None) -> str:
    return bytes(value or b"").decode(errors="replace")
