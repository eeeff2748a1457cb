"""Rows of the Milvus collections, and the filters that find them: values only, no client.

    segments2_<model version>  key "tenant|segment_id|content"    one row per segment, with the segment descriptor
    frames2_<model version>    key "tenant|segment_id|content|n"  one row per frame descriptor

The keys contain tenant, segment, content and frame number, so a search needs no other field of what it finds, and the
frames of a segment are read by key, which both Milvus and Milvus Lite do without a scan. Different content of a segment
shares no row, so nobody ever reads a mix of the two. Rows of both collections have the columns by which they are
deleted: asset, segment index and generation. In the frame rows of references a mark stands before the stamp.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from services.contracts.events import Role
from services.contracts.segments import CONTENT_DIGITS, Candidate, DescribedSegment, SegmentKey, SegmentRow
from tca_model.types import VideoDescriptor

Fields: TypeAlias = dict[str, Any]

# Of these rows; part of the collections' names. Increase it with every change of keys or columns: an index of another
# layout is never read, and must be filled again.
LAYOUT: Final = 2
SEGMENTS_PREFIX: Final = f"segments{LAYOUT}_"
FRAMES_PREFIX: Final = f"frames{LAYOUT}_"
PROBE_PREFIX: Final = "probe_"

# Lengths in bytes of the text columns. A segment id is an asset id (128), a colon and a number.
ID_BYTES: Final = 150
PK_BYTES: Final = 2 * ID_BYTES + CONTENT_DIGITS + 20
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
    "generation": int,
    "is_whole_file": bool,
}
FRAME_COLUMNS: Final[Mapping[str, Text | type]] = {
    "tenant": Text(ID_BYTES),
    "asset_id": Text(ID_BYTES),
    "segment_index": int,
    "stamp": Text(STAMP_BYTES),
    "generation": int,
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
    return "|".join(map(check_id, key))


def frame_pks(row: SegmentRow) -> list[str]:
    """The keys of the segment's frame rows."""
    start = segment_pk(row.key)
    return [f"{start}|{number}" for number in range(row.frame_count)]


def segment_key(pk: str) -> SegmentKey:
    """The segment that a row of either collection belongs to, from the row's key."""
    tenant, segment_id, content, *_ = pk.split("|")
    return SegmentKey(tenant, segment_id, content)


def to_candidate(pk: str, similarity: float) -> Candidate:
    """The candidate for a row of either collection that a search found, from the row's key."""
    key = segment_key(pk)
    return Candidate(key, key.segment_id.rsplit(":", 1)[0], similarity)


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
    shared = {name: getattr(row, name) for name in ("tenant", "asset_id", "segment_index", "generation")}
    return [
        {"pk": pk, "timestamp_s": float(timestamp_s), "vector": vector, "stamp": stamp, **shared}
        for pk, timestamp_s, vector in zip(frame_pks(row), descriptor.timestamps_s, descriptor.frames, strict=True)
    ]


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


def older_filter(tenant: str, asset_id: str, *, before: int, from_index: int = 0, to_index: int | None = None) -> str:
    """The filter for rows of either collection that DescriptorIndex.delete removes."""
    [own] = asset_filters(tenant, [asset_id])
    older = f"{own} and generation < {before} and segment_index >= {from_index}"
    return older if to_index is None else f"{older} and segment_index < {to_index}"


def other_assets_filter(tenant: str, asset_id: str, also: Collection[str] = ()) -> str:
    """The filter for what a search by this asset may find: everything but the asset and those in `also`."""
    others = f'tenant == "{check_id(tenant)}" and asset_id != "{check_id(asset_id)}"'
    return f"{others} and {any_of('asset_id not', sorted(map(check_id, also)))}" if also else others


def any_of(field: str, ids: Iterable[str]) -> str:
    """The filter for rows whose field has one of these values; all of them checked with `check_id`."""
    return f"{field} in {json.dumps(list(ids))}"
