"""Rows of the Milvus collections, and the filters that find them: values only, no client.

    segments_<model version>  key "tenant|segment_id"    one row per segment, with the segment descriptor
    frames_<model version>    key "tenant|segment_id|n"  one row per frame descriptor, with its segment's stamp

The keys contain tenant, segment and frame number, so a search needs no other field of what it finds, and the frames of
a segment are read by key, which both Milvus and Milvus Lite do without a scan. A frame row carries the stamp of its
segment, so that a reader in the middle of a replacement never mistakes a mix of old and new frames for a whole segment.
If the segment is a reference, a mark stands before the stamp.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from services.contracts.events import Role
from services.contracts.segments import Candidate, DescribedSegment, SegmentKey, SegmentRow
from tca_model.types import VideoDescriptor

Fields: TypeAlias = dict[str, Any]

# Lengths in bytes of the text columns. A segment id is an asset id (128), a colon and a number.
ID_BYTES: Final = 150
PK_BYTES: Final = 2 * ID_BYTES + 20
STAMP_BYTES: Final = 512
URI_BYTES: Final = 4 * 4096  # an event's uri has at most 4096 characters, UTF-8 up to four bytes each


class Text(NamedTuple):
    """A text column of at most `length_bytes`."""

    length_bytes: int


# Columns besides the key and the vector, named like the fields of SegmentRow.
SEGMENT_COLUMNS: Final[Mapping[str, Text | type]] = {
    "tenant": Text(ID_BYTES),
    "asset_id": Text(ID_BYTES),
    "segment_index": int,
    "role": Text(16),
    "start_s": float,
    "end_s": float,
    "frame_count": int,
    "stamp": Text(STAMP_BYTES),
    "uri": Text(URI_BYTES),
    "uploaded_at": float,
    "segment_count": int,
}
FRAME_COLUMNS: Final[Mapping[str, Text | type]] = {
    "tenant": Text(ID_BYTES),
    "asset_id": Text(ID_BYTES),
    "stamp": Text(STAMP_BYTES),
    "timestamp_s": float,
}

# Frame rows have no role column. In references this precedes the stamp, so that a search can find references alone.
REFERENCE_STAMP: Final = "reference "
REFERENCE_FRAMES: Final = f'stamp like "{REFERENCE_STAMP}%"'
REFERENCE_SEGMENTS: Final = f'role == "{Role.REFERENCE.value}"'

MAX_FILTER_IDS: Final = 500  # asset ids per filter, which every query parses

# Ids stand between quotes in filter expressions and between bars in keys.
_ID = re.compile(rf"[A-Za-z0-9_.-][A-Za-z0-9_.:-]{{0,{ID_BYTES - 1}}}")


def check_id(name: str) -> str:
    """The id, unchanged. Raises ValueError for one that could break out of a filter expression.

    Events refuse such ids long before this, so here it is a bug of the caller, not a dead letter.
    """
    if not _ID.fullmatch(name):
        raise ValueError(f"not an id: {name!r}")
    return name


def segment_pk(key: SegmentKey) -> str:
    """The key of the segment's row."""
    return f"{check_id(key.tenant)}|{check_id(key.segment_id)}"


def frame_pks(row: SegmentRow, *, from_number: int = 0) -> list[str]:
    """The keys of the segment's frame rows, starting at a frame number."""
    start = segment_pk(row.key)
    return [f"{start}|{number}" for number in range(from_number, row.frame_count)]


def segment_key(pk: str) -> SegmentKey:
    """The segment that a row of either collection belongs to, from the row's key."""
    tenant, segment_id, *_ = pk.split("|")
    return SegmentKey(tenant, segment_id)


def segment_index(pk: str) -> int:
    """The index, within its asset, of the segment that a row belongs to."""
    return int(segment_key(pk).segment_id.rsplit(":", 1)[1])


def to_candidate(pk: str, similarity: float) -> Candidate:
    """The candidate for a row of either collection that a search found, from the row's key."""
    segment_id = segment_key(pk).segment_id
    return Candidate(segment_id, segment_id.rsplit(":", 1)[0], similarity)


def to_fields(segment: DescribedSegment) -> Fields:
    """The row of the segment collection, a zero vector if the segment has no frames; without the frame descriptors."""
    row = segment.row
    columns = {name: getattr(row, name) for name in SEGMENT_COLUMNS} | {"role": row.role.value}
    vector = segment.vector if row.frame_count else np.zeros_like(segment.vector)
    return {"pk": segment_pk(row.key), "vector": vector, **columns}


def to_row(fields: Fields) -> SegmentRow:
    """The segment row from a row of the segment collection; inverse of `to_fields`, apart from the vector."""
    return SegmentRow(**{name: fields[name] for name in SEGMENT_COLUMNS} | {"role": Role(fields["role"])})


def to_frame_fields(segment: DescribedSegment) -> list[Fields]:
    """The rows of the frame collection, one per frame descriptor."""
    row, descriptor = segment.row, segment.descriptor
    stamp = REFERENCE_STAMP + row.stamp if row.role is Role.REFERENCE else row.stamp
    shared = {"tenant": row.tenant, "asset_id": row.asset_id, "stamp": stamp}
    return [
        {"pk": pk, "timestamp_s": float(timestamp_s), "vector": vector, **shared}
        for pk, timestamp_s, vector in zip(frame_pks(row), descriptor.timestamps_s, descriptor.frames, strict=True)
    ]


def belongs_to(frame: Fields, row: SegmentRow) -> bool:
    """Whether a frame row has the stamp of its segment's row, with or without the mark of references.

    Earlier releases wrote references without the mark.
    """
    return frame["stamp"] in (row.stamp, REFERENCE_STAMP + row.stamp)


def to_descriptor(frames: list[Fields], dimension: int) -> VideoDescriptor:
    """The descriptor of a segment from its frame rows, in any order."""
    ordered = sorted(frames, key=lambda fields: int(fields["pk"].rsplit("|", 1)[1]))
    vectors = np.asarray([fields["vector"] for fields in ordered], np.float32).reshape(-1, dimension)
    return VideoDescriptor(np.asarray([fields["timestamp_s"] for fields in ordered], np.float64), vectors)


def asset_filters(tenant: str, asset_ids: Collection[str] | None) -> Iterator[str]:
    """Filters, one per query, for all rows of these assets, or of the whole tenant (None)."""
    own = f'tenant == "{check_id(tenant)}"'
    if asset_ids is None:
        yield own
        return
    ids = sorted(map(check_id, asset_ids))
    for start in range(0, len(ids), MAX_FILTER_IDS):
        yield f"{own} and {any_of('asset_id', ids[start : start + MAX_FILTER_IDS])}"


def other_assets_filter(tenant: str, asset_id: str, also: Collection[str] = ()) -> str:
    """The filter for what a search by this asset may find: everything but the asset and those in `also`."""
    others = f'tenant == "{check_id(tenant)}" and asset_id != "{check_id(asset_id)}"'
    return f"{others} and {any_of('asset_id not', sorted(map(check_id, also)))}" if also else others


def any_of(field: str, ids: Iterable[str]) -> str:
    """The filter for rows whose field has one of these values; all of them checked with `check_id`."""
    return f"{field} in {json.dumps(list(ids))}"
