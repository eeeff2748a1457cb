"""The descriptor index in Milvus.

Four collections a model version: segments and frames to be found, and the same two for probes, which can be read
but are never searched, and expire. How they are laid out: milvus_rows; how they are asked: milvus_client.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from services.backends.milvus import rows as layout
from services.backends.milvus.client import Milvus, is_server
from services.contracts.events import Role
from services.contracts.ports import Candidate, DescribedSegment, SegmentKey, SegmentRow
from tca_model.types import FloatArray

PROBE_TTL_S: Final = 7 * 24 * 3600  # a probe is read while its query runs; a week leaves time for a replay
# Lite searches what it has not flushed row by row in Python, 0.1 ms a row: flush before that is felt. Much smaller
# flushes would make many small segments, and each costs every search a call.
LITE_FLUSH_ROWS: Final = 1_000

_ROW_COLUMNS: Final = list(layout.SEGMENT_COLUMNS)
_FRAME_COLUMNS: Final = ["stamp", "timestamp_s", "vector"]


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
            raise ValueError(f"a model version becomes part of collection names, {model_version!r} cannot")
        self._version = model_version
        self._milvus = Milvus(uri, timeout_s=timeout_s, token=token)
        # Over the rows of one laptop a flat index is as fast as a graph, exact, and takes no time to build.
        kind = index_type or ("FLAT" if self._milvus.is_lite else "AUTOINDEX")
        self._found = _Shelf(self._milvus, model_version, segment_dimension or dimension, dimension)
        self._probes = _Shelf(self._milvus, model_version, segment_dimension or dimension, dimension, prefix="probe_")
        try:
            with self._milvus.door():
                self._found.make(kind)
                self._probes.make(kind, ttl_s=PROBE_TTL_S)
        except BaseException:
            self._milvus.close()
            raise

    @classmethod
    def model_versions(cls, uri: str, *, timeout_s: float = 30.0, token: str | None = None) -> set[str]:
        """The model versions that have an index there; makes nothing, so a path without a database has none."""
        if not is_server(uri) and not Path(uri).exists():
            return set()
        milvus = Milvus(uri, timeout_s=timeout_s, token=token)
        try:
            with milvus.door():
                names = milvus.collections()
        finally:
            milvus.close()
        return {name.removeprefix("segments_") for name in names if name.startswith("segments_")}

    @property
    def model_version(self) -> str:
        return self._version

    def store(self, batch: Sequence[DescribedSegment]) -> int | None:
        written_at = None
        with self._milvus.door():
            for shelf, other in ((self._found, self._probes), (self._probes, self._found)):
                # One row a key: some servers refuse an upsert that names a key twice.
                part = {one.row.key: one for one in batch if (one.row.role is Role.PROBE) == (shelf is self._probes)}
                if part:
                    other.remove(list(part))
                    written_at = shelf.store(list(part.values()))
        return written_at

    def assets(self, tenant: str, asset_ids: Collection[str] | None = None) -> list[SegmentRow]:
        with self._milvus.door():
            found = [*self._found.rows_of(tenant, asset_ids), *self._probes.rows_of(tenant, asset_ids)]
        return sorted(found, key=lambda row: (row.asset_id, row.segment_index))

    def read(self, keys: Collection[SegmentKey]) -> dict[SegmentKey, DescribedSegment]:
        with self._milvus.door():
            found = self._found.read(keys)
            return found | self._probes.read([key for key in keys if key not in found])

    def search_segments(
        self,
        tenant: str,
        vectors: FloatArray,
        *,
        exclude_asset: str,
        limit: int,
        after: int | None = None,
        exclude_also: Collection[str] = (),
        references_only: bool = False,
    ) -> list[list[Candidate]]:
        wanted = [layout.of_others(tenant, exclude_asset, exclude_also), "frame_count > 0"]
        if references_only:
            wanted.append(layout.REFERENCE_SEGMENTS)
        return self._search(self._found.segments, vectors, wanted, limit, after)

    def search_frames(
        self,
        tenant: str,
        vectors: FloatArray,
        *,
        exclude_asset: str,
        limit: int,
        after: int | None = None,
        exclude_also: Collection[str] = (),
        references_only: bool = False,
    ) -> list[list[Candidate]]:
        wanted = [layout.of_others(tenant, exclude_asset, exclude_also)]
        if references_only:
            wanted.append(layout.REFERENCE_FRAMES)
        return self._search(self._found.frame_rows, vectors, wanted, limit, after)

    def _search(
        self, collection: str, vectors: FloatArray, wanted: Sequence[str], limit: int, after: int | None
    ) -> list[list[Candidate]]:
        with self._milvus.door():
            found = self._milvus.search(collection, vectors, " and ".join(wanted), limit=limit, after=after)
        return [[layout.candidate(pk, similarity) for pk, similarity in nearest] for nearest in found]

    def delete(self, tenant: str, asset_id: str, *, from_index: int = 0) -> None:
        with self._milvus.door():
            for shelf in (self._found, self._probes):
                shelf.delete(tenant, asset_id, from_index)

    def flush(self) -> None:
        with self._milvus.door():
            for shelf in (self._found, self._probes):
                shelf.flush()

    def close(self) -> None:
        self._milvus.close()


class _Shelf:
    """One pair of collections, of segments and of their frames, and the order in which they are written."""

    def __init__(
        self, milvus: Milvus, model_version: str, segment_dimension: int, frame_dimension: int, *, prefix: str = ""
    ) -> None:
        self.segments = f"{prefix}segments_{model_version}"
        self.frame_rows = f"{prefix}frames_{model_version}"
        self._milvus = milvus
        self._segment_dimension = segment_dimension
        self._frame_dimension = frame_dimension
        self._unflushed = 0

    def make(self, index_type: str, *, ttl_s: int | None = None) -> None:
        for collection, columns, dimension in (
            (self.segments, layout.SEGMENT_COLUMNS, self._segment_dimension),
            (self.frame_rows, layout.FRAME_COLUMNS, self._frame_dimension),
        ):
            self._milvus.make(collection, columns, dimension=dimension, index_type=index_type, ttl_s=ttl_s)

    def rows(self, keys: Collection[SegmentKey]) -> dict[SegmentKey, SegmentRow]:
        return {row.key: row for row in map(layout.to_row, self._segment_fields(keys, _ROW_COLUMNS))}

    def _segment_fields(self, keys: Collection[SegmentKey], columns: list[str]) -> Iterator[layout.Fields]:
        pks = [layout.segment_pk(key) for key in keys]
        return self._milvus.get(self.segments, pks, columns, dimension=self._segment_dimension)

    def rows_of(self, tenant: str, asset_ids: Collection[str] | None) -> list[SegmentRow]:
        return [
            layout.to_row(found)
            for filter_ in layout.of_assets(tenant, asset_ids)
            for found in self._milvus.query(self.segments, filter_, _ROW_COLUMNS)
        ]

    def read(self, keys: Collection[SegmentKey]) -> dict[SegmentKey, DescribedSegment]:
        known = {}
        vectors = {}
        for fields in self._segment_fields(keys, [*_ROW_COLUMNS, "vector"]):
            row = layout.to_row(fields)
            known[row.key] = row
            vectors[row.key] = np.asarray(fields["vector"], np.float32)
        frames: dict[SegmentKey, list[layout.Fields]] = {key: [] for key in known}
        pks = [pk for row in known.values() for pk in layout.frame_pks(row)]
        for fields in self._milvus.get(self.frame_rows, pks, _FRAME_COLUMNS, dimension=self._frame_dimension):
            key = layout.key_of(fields["pk"])
            if layout.is_of(fields, known[key]):
                frames[key].append(fields)
        return {
            key: DescribedSegment(row, layout.to_descriptor(frames[key], self._frame_dimension), vectors[key])
            for key, row in known.items()
            if len(frames[key]) == row.frame_count
        }

    def store(self, batch: Sequence[DescribedSegment]) -> int | None:
        """Frames first, segment rows last; what an earlier version of a segment had more of goes in between.

        Until its new row is there a replaced segment has frames of another stamp than its row says, so nobody reads
        it; after a crash the old row still says how many old frames there are, and the next attempt removes them.
        """
        old = self.rows([one.row.key for one in batch])
        frames = [fields for one in batch for fields in layout.to_frame_fields(one)]
        self._milvus.upsert(self.frame_rows, frames, dimension=self._frame_dimension)
        surplus = [
            pk
            for one in batch
            if one.row.key in old
            for pk in layout.frame_pks(old[one.row.key], from_number=one.row.frame_count)
        ]
        self._milvus.delete(self.frame_rows, surplus)
        segments = [layout.to_fields(one) for one in batch]
        self._milvus.upsert(self.segments, segments, dimension=self._segment_dimension)
        self._unflushed += len(frames) + len(segments)
        if self._unflushed >= LITE_FLUSH_ROWS:
            self.flush()
        return self._milvus.written_at(self.segments)

    def remove(self, keys: Sequence[SegmentKey]) -> None:
        """Segment rows go first: frames without a row are never read."""
        old = self.rows(keys).values()
        self._milvus.delete(self.segments, [layout.segment_pk(row.key) for row in old])
        self._milvus.delete(self.frame_rows, [pk for row in old for pk in layout.frame_pks(row)])

    def delete(self, tenant: str, asset_id: str, from_index: int) -> None:
        """Frames are found by their asset, not by the rows of its segments: a crash may have left some without."""
        for collection in (self.segments, self.frame_rows):
            for filter_ in layout.of_assets(tenant, [asset_id]):
                pks = [found["pk"] for found in self._milvus.query(collection, filter_, ["pk"])]
                self._milvus.delete(collection, [pk for pk in pks if layout.segment_index(pk) >= from_index])

    def flush(self) -> None:
        """Only Lite needs it: a server flushes on its own, and limits how often it may be asked to."""
        if self._milvus.is_lite:
            for collection in (self.segments, self.frame_rows):
                self._milvus.flush(collection)
        self._unflushed = 0
