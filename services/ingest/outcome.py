"""What a step of work on a record leads to: messages to publish, counted in the metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.contracts import topics
from services.contracts.envelope import to_dead_letter, to_message
from services.contracts.errors import InvalidMessage
from services.contracts.events import Event, SegmentEncoded
from services.contracts.ports import Message, Record
from services.runtime import metrics

SOURCE = "copydetect/ingest"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Messages to publish for a record; `done` if nothing is left to do for it then."""

    record: Record
    messages: tuple[Message, ...]
    done: bool


def announce(record: Record, events: Sequence[Event], *, done: bool) -> Outcome:
    """Count the segments among these events, and wrap all as messages that the record caused."""
    for event in events:
        if isinstance(event, SegmentEncoded):
            metrics.segments.labels(event.status).inc()
    messages = (to_message(topics.ENCODED_SEGMENTS, event, source=SOURCE, cause=record.message) for event in events)
    return Outcome(record, tuple(messages), done)


def refuse(record: Record, error: InvalidMessage, events: Sequence[Event] = (), *, done: bool = True) -> Outcome:
    """Count a dead letter of the record; it comes before what else there is to announce."""
    metrics.dead_letters.labels(error.stage).inc()
    announced = announce(record, events, done=done)
    return Outcome(record, (to_dead_letter(record, error), *announced.messages), done)


def find_refusal(outcome: Outcome) -> Mapping[str, str]:
    """The headers of the dead letter in an outcome; empty without one."""
    return next((message.headers for message in outcome.messages if "dlq_reason" in message.headers), {})
