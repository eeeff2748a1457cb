"""A bus in memory that keeps what Kafka keeps of a message, and letters for it."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from services.backends.kafka.records import text, to_headers
from services.backends.kafka.transaction import to_outgoing
from services.contracts import topics
from services.contracts.envelope import to_dead_letter
from services.contracts.errors import InvalidMessage, Stage
from services.contracts.events import SegmentUploaded
from services.contracts.ports import Message, Raw, Record

AT = datetime(2026, 11, 24, 12, 30, 5, tzinfo=UTC)
DEAD = topics.VIDEO_SEGMENTS + topics.DEAD_LETTER_SUFFIX
DEAD_ENCODED = topics.ENCODED_SEGMENTS + topics.DEAD_LETTER_SUFFIX
DEAD_EVIDENCE = topics.MATCH_EVIDENCE + topics.DEAD_LETTER_SUFFIX
GONE = "cannot open /videos/a.mp4: No such file or directory"


class FakeBus:
    """Topics of one partition each. A record is a minute younger than the one before it in its topic.

    `on_publish` is called before a message is published.
    """

    def __init__(self) -> None:
        self.topics: defaultdict[str, list[Record]] = defaultdict(list)
        self.on_publish: Callable[[Message], object] = lambda _: None
        self.is_closed = False

    def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.on_publish(message)
            topic, key, value, headers, _ = to_outgoing(message)
            raw = Raw(key, value, tuple(headers))
            self.add(Message(topic, text(key), value or b"", to_headers(headers), raw=raw))

    def add(self, message: Message, fault: str | None = None) -> None:
        records = self.topics[message.topic]
        time = AT + timedelta(minutes=len(records))
        records.append(Record(message, 0, len(records), fault, int(time.timestamp() * 1000)))

    def read(self, topics: Sequence[str], *, starts: Mapping[int, int] | None = None) -> Iterator[Record]:
        ends = {topic: self.topics[topic][-1].offset + 1 for topic in topics if self.topics[topic]}
        if starts is None or 0 in starts:
            for topic, end in ends.items():
                for record in self.topics[topic]:
                    if (starts or {}).get(0, 0) <= record.offset < end:
                        yield record

    def close(self) -> None:
        self.is_closed = True

    def add_letter(self, record: Record, reason: str = GONE, stage: Stage = "fetch") -> None:
        """Publish the dead letter of a record."""
        self.publish([to_dead_letter(record, InvalidMessage(reason, stage=stage))])

    def add_upload(
        self, asset_id: str = "a", reason: str = GONE, stage: Stage = "fetch", topic: str | None = None, **fields: Any
    ) -> None:
        """Publish the dead letter of an upload that never was in its topic."""
        self.add_letter(Record(upload(asset_id, topic, **fields), 3, 41), reason, stage)

    def add_new(self, topic: str, since: int) -> None:
        """Publish dead letters for the records of the topic from this offset on, as a service that cannot use them."""
        for record in self.topics[topic][since:]:
            self.add_letter(record)


def upload(asset_id: str = "a", topic: str | None = None, **fields: Any) -> Message:
    event = SegmentUploaded(asset_id=asset_id, **{"uri": "/videos/a.mp4", "uploaded_at": AT, **fields})
    headers = (("ce_type", b"copydetect.SegmentUploaded.v1"),)
    value = event.model_dump_json().encode()
    raw = Raw(event.key.encode(), value, headers)
    return Message(topic or topics.VIDEO_SEGMENTS, event.key, value, to_headers(headers), raw=raw)
