"""Rows of the Milvus collections, and the filters that find them: values only, no client.

    segments_<model version>  key "tenant|segment_id"    one row a segment, with the segment descriptor
    frames_<model version>    key "tenant|segment_id|n"  one row a frame descriptor, with its segment's stamp

The keys say tenant, segment and frame number, so a search needs no further field of what it finds, and reading a
segment's frames asks for keys, which both Milvus and Milvus Lite answer without a scan. A frame row carries the stamp
of its segment, so that a reader in the middle of a replacement never takes a mix of old and new frames for a whole,
and before that a mark where the segment is a reference.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from services.contracts.events import Role
from services.contracts.ports import Candidate, DescribedSegment, SegmentKey, SegmentRow
from tca_model.types import VideoDescriptor

Fields: TypeAlias = dict[str, Any]

# Lengths in bytes of the text columns. A segment id is an asset id (128), a colon and a number.
ID_BYTES: Final = 150
PK_BYTES: Final = 2 * ID_BYTES + 20
STAMP_BYTES: Final = 512
URI_BYTES: Final = 4 * 4096  # an event's uri has at most 4096 characters, UTF-8 up to four bytes each


class Text(NamedTuple):
    """A column of text, at most that long."""

    length_bytes: int


# Columns beside the key and the vector: their names are those of SegmentRow.
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

# Frame rows have no role: those of references carry this before their stamp, for a search among references alone.
REFERENCE_STAMP: Final = "reference "
REFERENCE_FRAMES: Final = f'stamp like "{REFERENCE_STAMP}%"'
REFERENCE_SEGMENTS: Final = f'role == "{Role.REFERENCE.value}"'

MAX_FILTER_IDS: Final = 500  # asset ids in one filter: it is parsed anew by every query

# What an id may be made of: it stands in filter expressions between quotes, and in keys between bars.
_ID = re.compile(rf"[A-Za-z0-9_.-][A-Za-z0-9_.:-]{{0,{ID_BYTES - 1}}}")


def checked(name: str) -> str:
    """The id as it is. Raises ValueError for one that could break out of a filter expression.

    Events refuse such ids long before; here it is a defect of the caller, not a message for the dead letters.
    """
    if not _ID.fullmatch(name):
        raise ValueError(f"not an id: {name!r}")
    return name


def segment_pk(key: SegmentKey) -> str:
    return f"{checked(key.tenant)}|{checked(key.segment_id)}"


def frame_pks(row: SegmentRow, *, from_number: int = 0) -> list[str]:
    start = segment_pk(row.key)
    return [f"{start}|{number}" for number in range(from_number, row.frame_count)]


def key_of(pk: str) -> SegmentKey:
    """The segment that a row of either collection belongs to."""
    tenant, segment_id, *_ = pk.split("|")
    return SegmentKey(tenant, segment_id)


def segment_index(pk: str) -> int:
    return int(key_of(pk).segment_id.rsplit(":", 1)[1])


def candidate(pk: str, similarity: float) -> Candidate:
    segment_id = key_of(pk).segment_id
    return Candidate(segment_id, segment_id.rsplit(":", 1)[0], similarity)


def to_fields(segment: DescribedSegment) -> Fields:
    row = segment.row
    columns = {name: getattr(row, name) for name in SEGMENT_COLUMNS} | {"role": row.role.value}
    vector = segment.vector if row.frame_count else np.zeros_like(segment.vector)
    return {"pk": segment_pk(row.key), "vector": vector, **columns}


def to_row(fields: Fields) -> SegmentRow:
    return SegmentRow(**{name: fields[name] for name in SEGMENT_COLUMNS} | {"role": Role(fields["role"])})


def to_frame_fields(segment: DescribedSegment) -> list[Fields]:
    row, descriptor = segment.row, segment.descriptor
    stamp = REFERENCE_STAMP + row.stamp if row.role is Role.REFERENCE else row.stamp
    shared = {"tenant": row.tenant, "asset_id": row.asset_id, "stamp": stamp}
    return [
        {"pk": pk, "timestamp_s": float(timestamp_s), "vector": vector, **shared}
        for pk, timestamp_s, vector in zip(frame_pks(row), descriptor.timestamps_s, descriptor.frames, strict=True)
    ]


def is_of(frame: Fields, row: SegmentRow) -> bool:
    """Whether a frame row is of that content of its segment; what was written without the mark counts as well."""
    return frame["stamp"] in (row.stamp, REFERENCE_STAMP + row.stamp)


def to_descriptor(frames: list[Fields], dimension: int) -> VideoDescriptor:
    """The descriptor of a segment from its frame rows, which come in any order."""
    ordered = sorted(frames, key=lambda fields: int(fields["pk"].rsplit("|", 1)[1]))
    vectors = np.asarray([fields["vector"] for fields in ordered], np.float32).reshape(-1, dimension)
    return VideoDescriptor(np.asarray([fields["timestamp_s"] for fields in ordered], np.float64), vectors)


def of_assets(tenant: str, asset_ids: Collection[str] | None) -> Iterator[str]:
    """The filters, one a query, for every row of these assets, or of the whole tenant."""
    own = f'tenant == "{checked(tenant)}"'
    if asset_ids is None:
        yield own
        return
    ids = sorted(map(checked, asset_ids))
    for start in range(0, len(ids), MAX_FILTER_IDS):
        yield f"{own} and {any_of('asset_id', ids[start : start + MAX_FILTER_IDS])}"


def of_others(tenant: str, asset_id: str, also: Collection[str] = ()) -> str:
    """The filter for what a search of this asset may find, without some others."""
    others = f'tenant == "{checked(tenant)}" and asset_id != "{checked(asset_id)}"'
    return f"{others} and {any_of('asset_id not', sorted(map(checked, also)))}" if also else others


def any_of(field: str, checked_ids: Iterable[str]) -> str:
    return f"{field} in {json.dumps(list(checked_ids))}"
