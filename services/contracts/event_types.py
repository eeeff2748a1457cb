"""The names of the event types on the wire (CloudEvents attribute `type`)."""

from services.contracts import events, evidence
from services.contracts.events import Event

OF_UPLOADERS: tuple[type[Event], ...] = (events.SegmentUploaded, events.UploadEnded, events.AssetRemoved)

_BETWEEN_SERVICES: tuple[type[Event], ...] = (
    events.SegmentEncoded,
    events.AssetEnded,
    events.AssetErased,
    evidence.SegmentSearched,
    evidence.PairEvidence,
    evidence.PairLinked,
    evidence.SideReplaced,
)
_RESULTS: tuple[type[Event], ...] = (events.DuplicateAlert, events.AssetVerdict, events.AssetRemovedAck)

EVENT_TYPES: dict[str, type[Event]] = {
    f"copydetect.{kind.__name__}.v1": kind for kind in (*OF_UPLOADERS, *_BETWEEN_SERVICES, *_RESULTS)
}
