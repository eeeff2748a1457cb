"""The names of the event types on the wire (CloudEvents attribute `type`)."""

from services.contracts import events, evidence
from services.contracts.events import Event

EVENT_TYPES: dict[str, type[Event]] = {
    f"copydetect.{kind.__name__}.v1": kind
    for kind in (
        events.SegmentUploaded,
        events.UploadEnded,
        events.AssetRemoved,
        events.SegmentEncoded,
        events.AssetEnded,
        events.AssetErased,
        evidence.SegmentSearched,
        evidence.PairEvidence,
        evidence.PairLinked,
        evidence.SideReplaced,
        events.DuplicateAlert,
        events.AssetVerdict,
        events.AssetRemovedAck,
    )
}
