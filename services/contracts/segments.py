"""A described segment, its name in index and cache, and searches for it."""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

from services.contracts.events import Role
from tca_model.types import FloatArray, VideoDescriptor

CONTENT_DIGITS = 16  # 64 bits tell the contents of one segment apart


class SegmentKey(NamedTuple):
    """The name of a segment with this content: what replaces it has another key. A tenant never sees other tenants'."""

    tenant: str
    segment_id: str
    content: str


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """One row of the segment collection.

    `stamp` changes with the content: a redelivered segment with an equal stamp is not described again.
    `generation` is that of the last record that announced this content (services.contracts.generations).
    `uploaded_at` is that of the asset's first segment, which decides on the sides of its pairs.
    `segment_count` is 0 except in the asset's last segment, where it is the number of its segments.
    A segment without informative frames also has a row (`frame_count` 0), so that it is not decoded again.
    """

    tenant: str
    asset_id: str
    segment_index: int
    role: Role
    start_s: float
    end_s: float
    frame_count: int
    stamp: str
    uri: str
    uploaded_at: float  # seconds since the epoch
    segment_count: int = 0
    generation: int = 0
    is_whole_file: bool = True

    @property
    def segment_id(self) -> str:
        return f"{self.asset_id}:{self.segment_index}"

    @property
    def content(self) -> str:
        """The content part of its key: a digest of the stamp and the role."""
        return make_content(self.stamp, self.role)

    @property
    def key(self) -> SegmentKey:
        return SegmentKey(self.tenant, self.segment_id, self.content)


def make_content(stamp: str, role: Role) -> str:
    """The content part of a segment's key."""
    return hashlib.sha256(f"{role.value} {stamp}".encode()).hexdigest()[:CONTENT_DIGITS]


@dataclass(frozen=True, slots=True, eq=False)
class DescribedSegment:
    """A segment with everything that the index stores; `vector` (D,) is the segment descriptor."""

    row: SegmentRow
    descriptor: VideoDescriptor
    vector: FloatArray

    def __post_init__(self) -> None:
        if len(self.descriptor) != self.row.frame_count:
            raise ValueError(f"{self.row.segment_id}: {len(self.descriptor)} frames, row says {self.row.frame_count}")


class Candidate(NamedTuple):
    """A stored segment that a search found, with the inner product of the two vectors."""

    key: SegmentKey
    asset_id: str
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchRequest:
    """One search of an index: what to look for, and among which stored segments.

    tenant           whose segments are searched
    vectors          (N, D) float32, unit length; segment or frame descriptors, depending on the search
    exclude_asset    the searching asset, whose own segments are left out
    limit            at most this many candidates per vector, 1 or more
    after            a timestamp that `store` returned: see at least every write up to it;
                     None: see every write that was acknowledged
    exclude_also     further assets to leave out, at most a few hundred
    references_only  search only among segments of references

    Raises ValueError for a limit below 1 and for vectors that are not a matrix.
    """

    tenant: str
    vectors: FloatArray
    exclude_asset: str
    limit: int
    after: int | None = None
    exclude_also: frozenset[str] = frozenset()
    references_only: bool = False

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ValueError(f"a search needs a limit of 1 or more, not {self.limit}")
        if self.vectors.ndim != 2:
            raise ValueError(f"vectors must be (N, D), not {self.vectors.shape}")
