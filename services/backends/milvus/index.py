"""The descriptor index in Milvus.

Four collections per model version: segments and frames that searches find, and the same two for probes, which can be
read but are never found, and expire. Their layout is in `rows`, the calls to the server in `client`.
"""

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from services.backends.milvus import rows as layout
from services.backends.milvus.client import Milvus
from services.backends.milvus.lite_file import is_server
from services.contracts.events import Role
from services.contracts.segments import Candidate, DescribedSegment, SearchRequest, SegmentKey, SegmentRow

PROBE_TTL_S: Final = 7 * 24 * 3600  # a probe is read while it is searched for; a week leaves time for a replay
# Lite searches unflushed rows one by one in Python, 0.1 ms per row: flush before that becomes noticeable. Much smaller
# flushes would create many small files, and each of them costs every search a call.
LITE_FLUSH_ROWS: Final = 1_000

_ROW_COLUMNS: Final = list(layout.SEGMENT_COLUMNS)
_FRAME_COLUMNS: Final = ["timestamp_s", "vector"]
# All collections of this layout, of any model version.
_COLLECTION: Final = re.compile(
    rf"({layout.PROBE_PREFIX})?({layout.SEGMENTS_PREFIX}|{layout.FRAMES_PREFIX})\w+", re.ASCII
)


class MilvusIndex:
    """A DescriptorIndex at `uri`: http(s)://host:port of a server, or the path of a Milvus Lite database.

    Raises UsageError when a Lite database cannot be opened, DependencyDown when a server does not answer.
    """

    def __init__(
        self,
        uri: str,
        *,
        model_version: str,
        dimension: int,
        segment_dimension: int | None = None,
        timeout_s: float = 30.0,
        index_type: str | None = None,
        token: str | None = None,
    ) -> None:
        if not re.fullmatch(r"\w{1,64}", model_version, re.ASCII):
            raise ValueError(
                f"{model_version!r} cannot be part of collection names: letters, digits and _ only, up to 64"
            )
        self._version = model_version
        self._milvus = Milvus(uri, timeout_s=timeout_s, token=token)
        # For the rows of one laptop a flat index is as fast as a graph, exact, and needs no time to build.
        index_type = index_type or ("FLAT" if self._milvus.is_lite else "AUTOINDEX")
        dimensions = (segment_dimension or dimension, dimension)
        self._searchable = _CollectionPair(self._milvus, model_version, *dimensions)
        self._probes = _CollectionPair(self._milvus, model_version, *dimensions, prefix=layout.PROBE_PREFIX)
        try:
            with self._milvus.translating_errors():
                self._searchable.create(index_type)
                self._probes.create(index_type, ttl_s=PROBE_TTL_S)
        except BaseException:
            self._milvus.close()
            raise

    @classmethod
    def list_model_versions(cls, uri: str, *, timeout_s: float = 30.0, token: str | None = None) -> set[str]:
        """The model versions with an index of this layout there. Creates nothing: without a database there are none."""
        if not is_server(uri) and not Path(uri).exists():
            return set()
        milvus = Milvus(uri, timeout_s=timeout_s, token=token)
        try:
            with milvus.translating_errors():
                names = milvus.list_collections()
        finally:
            milvus.close()
        prefix = layout.SEGMENTS_PREFIX
        return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}

    @property
    def model_version(self) -> str:
        return self._version

    def store(self, batch: Sequence[DescribedSegment]) -> int | None:
        written_at = None
        with self._milvus.translating_errors():
            for pair in (self._searchable, self._probes):
                # One row per key: some servers refuse an upsert that names a key twice.
                part = {one.row.key: one for one in batch if (one.row.role is Role.PROBE) == (pair is self._probes)}
                if part:
                    written_at = pair.store(list(part.values()))
        return written_at

    def read_rows(self, tenant: str, asset_ids: Collection[str] | None = None) -> list[SegmentRow]:
        with self._milvus.translating_errors():
            found = [
                *self._searchable.rows_of_assets(tenant, asset_ids),
                *self._probes.rows_of_assets(tenant, asset_ids),
            ]
        return sorted(found, key=lambda row: (row.asset_id, row.segment_index))

    def read(self, keys: Collection[SegmentKey]) -> dict[SegmentKey, DescribedSegment]:
        with self._milvus.translating_errors():
            found = self._searchable.read(keys)
            return found | self._probes.read([key for key in keys if key not in found])

    def search_segments(self, request: SearchRequest) -> list[list[Candidate]]:
        conditions = ["frame_count > 0"]
        if request.references_only:
            conditions.append(layout.REFERENCE_SEGMENTS)
        return self._search(self._searchable.segments, request, conditions)

    def search_frames(self, request: SearchRequest) -> list[list[Candidate]]:
        conditions = [layout.REFERENCE_FRAMES] if request.references_only else []
        return self._search(self._searchable.frames, request, conditions)

    def _search(self, collection: str, request: SearchRequest, conditions: Sequence[str]) -> list[list[Candidate]]:
        others = layout.other_assets_filter(request.tenant, request.exclude_asset, request.exclude_also)
        filter_ = " and ".join([others, *conditions])
        with self._milvus.translating_errors():
            found = self._milvus.search(collection, request.vectors, filter_, limit=request.limit, after=request.after)
        return [[layout.to_candidate(pk, similarity) for pk, similarity in nearest] for nearest in found]

    def delete(
        self, tenant: str, asset_id: str, *, before: int, from_index: int = 0, to_index: int | None = None
    ) -> None:
        older = layout.older_filter(tenant, asset_id, before=before, from_index=from_index, to_index=to_index)
        with self._milvus.translating_errors():
            for pair in (self._searchable, self._probes):
                pair.delete(older)

    def erase(self, tenant: str, asset_id: str, *, before: int) -> None:
        older = layout.older_filter(tenant, asset_id, before=before)
        with self._milvus.translating_errors():
            # Sorted in reverse: segment rows before their frames, as in `delete`.
            for collection in sorted(filter(_COLLECTION.fullmatch, self._milvus.list_collections()), reverse=True):
                if self._milvus.load(collection):  # perhaps nobody has opened that model version
                    self._milvus.delete(collection, older)

    def find_problem(self) -> None:
        """Ask the server for something small. Raises DependencyDown if it does not answer, nothing else is checked."""
        with self._milvus.translating_errors():
            self._milvus.list_collections()

    def flush(self) -> None:
        with self._milvus.translating_errors():
            for pair in (self._searchable, self._probes):
                pair.flush()

    def close(self) -> None:
        self._milvus.close()


class _CollectionPair:
    """One collection of segments and one of their frames, and the order in which the two are written."""

    def __init__(
        self, milvus: Milvus, model_version: str, segment_dimension: int, frame_dimension: int, *, prefix: str = ""
    ) -> None:
        self.segments = f"{prefix}{layout.SEGMENTS_PREFIX}{model_version}"
        self.frames = f"{prefix}{layout.FRAMES_PREFIX}{model_version}"
        self._milvus = milvus
        self._segment_dimension = segment_dimension
        self._frame_dimension = frame_dimension
        self._unflushed = 0

    def create(self, index_type: str, *, ttl_s: int | None = None) -> None:
        """Create both collections if they are missing; their rows expire after `ttl_s` seconds."""
        for collection, columns, dimension in (
            (self.segments, layout.SEGMENT_COLUMNS, self._segment_dimension),
            (self.frames, layout.FRAME_COLUMNS, self._frame_dimension),
        ):
            self._milvus.create(collection, columns, dimension=dimension, index_type=index_type, ttl_s=ttl_s)

    def rows_of_assets(self, tenant: str, asset_ids: Collection[str] | None) -> list[SegmentRow]:
        """All segment rows of these assets, or of the whole tenant (None)."""
        return [
            layout.to_row(found)
            for filter_ in layout.asset_filters(tenant, asset_ids)
            for found in self._milvus.query(self.segments, filter_, _ROW_COLUMNS)
        ]

    def read(self, keys: Collection[SegmentKey]) -> dict[SegmentKey, DescribedSegment]:
        known = {}
        vectors = {}
        pks = [layout.segment_pk(key) for key in keys]
        for fields in self._milvus.get(
            self.segments, pks, [*_ROW_COLUMNS, "vector"], dimension=self._segment_dimension
        ):
            row = layout.to_row(fields)
            known[row.key] = row
            vectors[row.key] = np.asarray(fields["vector"], np.float32)
        frames: dict[SegmentKey, list[layout.Fields]] = {key: [] for key in known}
        frame_pks = [pk for row in known.values() for pk in layout.frame_pks(row)]
        for fields in self._milvus.get(self.frames, frame_pks, _FRAME_COLUMNS, dimension=self._frame_dimension):
            frames[layout.segment_key(fields["pk"])].append(fields)
        return {
            key: DescribedSegment(row, layout.to_descriptor(frames[key], self._frame_dimension), vectors[key])
            for key, row in known.items()
            if len(frames[key]) == row.frame_count
        }

    def store(self, batch: Sequence[DescribedSegment]) -> int | None:
        """Upsert frames first and segment rows last, so that a segment with a row is complete."""
        frames = [fields for one in batch for fields in layout.to_frame_fields(one)]
        self._milvus.upsert(self.frames, frames, dimension=self._frame_dimension)
        segments = [layout.to_fields(one) for one in batch]
        self._milvus.upsert(self.segments, segments, dimension=self._segment_dimension)
        self._unflushed += len(frames) + len(segments)
        if self._unflushed >= LITE_FLUSH_ROWS:
            self.flush()
        return self._milvus.last_write_timestamp(self.segments)

    def delete(self, filter_: str) -> None:
        """Delete the rows that pass the filter, of segments first: frames without a row are never read.

        Frames are not found through segment rows: a crash may have left frames without a row.
        """
        for collection in (self.segments, self.frames):
            self._milvus.delete(collection, filter_)

    def flush(self) -> None:
        """Flush Lite. A server flushes on its own, and limits how often it can be asked to."""
        if self._milvus.is_lite:
            for collection in (self.segments, self.frames):
                self._milvus.flush(collection)
        self._unflushed = 0
