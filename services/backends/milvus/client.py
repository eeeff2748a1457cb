"""A connection to Milvus: a server in a cluster or a Milvus Lite file on a laptop, with the same calls.

Written for servers 2.3 to 2.6 and for Lite: one vector field per collection, no filter templates, no grouping search,
unit vectors with inner product, always upsert and never insert, a deadline on every call. The only user of pymilvus.
"""

import logging
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final

import grpc  # type: ignore[import-untyped]  # ships no stubs
from pymilvus import DataType, MilvusClient, MilvusException
from pymilvus.client import ts_utils

from services.backends.milvus.lite_file import LiteFile, is_server
from services.backends.milvus.rows import PK_BYTES, Fields, Text, any_of
from services.contracts.errors import DependencyDown, StorageFailed, TransientError
from services.runtime import metrics
from tca_model.types import FloatArray

MAX_RESULT_ROWS: Final = 16_384  # the server's limit per query; longer answers are read page by page
# These two keep a call short and far below the server's limit of 64 MB.
MAX_CALL_ROWS: Final = 2_000
MAX_CALL_BYTES: Final = 16_000_000

_DOWN_RPC: Final = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
# Codes of the server (pkg/util/merr/errors.go). Not ready, unavailable, out of memory, too many requests, out of disk,
# rate limit, denied, clock behind, out of resources, cancelled, timed out.
_DOWN_CODES: Final = {1, 2, 3, 4, 7, 8, 9, 11, 12, 10_000, 10_001}
# While the server loads a collection, after a start or after losing a query node: a collection, partition, replica,
# channel, segment or node that is not there yet.
_NOT_LOADED_CODES: Final = {101, 103, 106, 201, 202, 400, 401, 500, 501, 503, 600, 601, 602, *range(901, 907)}
# Milvus's catch-all code; only the message distinguishes a starting or lagging node from a bug.
_UNEXPECTED: Final = 65_535
_STARTING_OR_LAGGING: Final = re.compile(r"lag too large|not ready|recovering|no available", re.IGNORECASE)
_LITE_DAMAGED: Final = {1, 6}  # Lite has no separate codes for disk errors

# pymilvus adds handlers to its loggers on import; its records belong in the program's log.
for _name in ("pymilvus", "pymilvus.milvus_client", "pymilvus.bulk_writer"):
    logging.getLogger(_name).handlers.clear()
    logging.getLogger(_name).propagate = True
# These log, with a traceback, every error that they also raise.
for _name in ("pymilvus.decorators", "pymilvus.client.connection_manager", "milvus_lite.adapter.grpc.servicer"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class Milvus:
    """A connection to `uri`: http(s)://host:port of a server, or the path of a Milvus Lite database.

    Raises UsageError if a Lite database cannot be opened, StorageFailed if it is damaged, DependencyDown if a server
    does not answer. Call all other methods but `close` inside `with translating_errors():`.
    """

    def __init__(self, uri: str, *, timeout_s: float, token: str | None = None) -> None:
        self._uri = uri
        self._deadline = {"timeout": timeout_s}
        self._collections: list[str] = []  # that `create` made sure of
        self._file = None if is_server(uri) else LiteFile(Path(uri))
        # While Lite flushes, a search from another thread misses the rows that are being written to disk.
        self._one_call: AbstractContextManager[Any] = threading.Lock() if self._file else nullcontext()
        try:
            with self.translating_errors():
                # Dedicated: a connection from the shared pool would outlive close().
                self._client = MilvusClient(
                    self._file.uri if self._file else uri, token=token or "", dedicated=True, **self._deadline
                )
        except BaseException:
            if self._file:
                self._file.close()
            raise

    @property
    def is_lite(self) -> bool:
        return self._file is not None

    @contextmanager
    def translating_errors(self) -> Iterator[None]:
        """Raise the client's errors as this project's. Lets one thread at a time into Lite."""
        with self._one_call:
            try:
                yield
            except (MilvusException, grpc.RpcError) as error:
                translated = self._translate(error)
                if translated is None:
                    raise
                metrics.dependency_up.labels("milvus").set(0)
                raise translated from error
            metrics.dependency_up.labels("milvus").set(1)

    def _translate(self, error: Any) -> Exception | None:
        """This project's error for the client's error; None for an invalid request, which is a bug of this program."""
        code = error.code() if isinstance(error, grpc.RpcError) else error.code
        if self._file and type(error) is MilvusException and code in _LITE_DAMAGED:
            return StorageFailed(f"the database {self._uri} failed; is it damaged, or the disk full? {error}")
        if code in _DOWN_RPC or code in _DOWN_CODES or "Retry timeout" in str(error):
            return DependencyDown(f"Milvus at {self._uri} does not answer: {error}")
        if code == _UNEXPECTED and _STARTING_OR_LAGGING.search(str(error)):
            return TransientError(f"Milvus at {self._uri}: {error}")
        if code in _NOT_LOADED_CODES:
            self._load_again()
            return TransientError(f"Milvus at {self._uri} is loading its collections: {error}")
        if getattr(error, "retriable", False):
            return TransientError(f"Milvus at {self._uri}: {error}")
        return None

    def _load_again(self) -> None:
        """Request that this connection's collections are loaded, without waiting.

        An operator, or a server that found no query node for too long, may have released them.
        """
        with suppress(MilvusException, grpc.RpcError):  # the caller tries again in any case
            for collection in self._collections:
                self._client.load_collection(collection, _async=True, **self._deadline)

    def list_collections(self) -> list[str]:
        return list(self._client.list_collections(**self._deadline))

    def create(
        self,
        collection: str,
        columns: Mapping[str, Text | type],
        *,
        dimension: int,
        index_type: str,
        ttl_s: int | None = None,
    ) -> None:
        """Create the collection if it is missing, with `columns` besides "pk" and "vector" (`dimension`,), and load it.

        Every step is checked on its own: a crash can happen between them.
        """
        client = self._client
        if not client.has_collection(collection, **self._deadline):
            schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
            schema.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=PK_BYTES)
            has_partitions = self._has_partitions()
            for name, kind in columns.items():
                schema.add_field(name, **_column(kind), is_partition_key=has_partitions and name == "tenant")
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
            properties = {"collection.ttl.seconds": ttl_s} if ttl_s else {}
            client.create_collection(
                collection, schema=schema, properties=properties, consistency_level="Strong", **self._deadline
            )
        if not client.list_indexes(collection, **self._deadline):
            index = client.prepare_index_params()
            index.add_index("vector", index_type=index_type, metric_type="IP")
            client.create_index(collection, index, sync=False, **self._deadline)
        self.load(collection)
        self._collections.append(collection)

    def _has_partitions(self) -> bool:
        """Whether rows can be partitioned by tenant. This only makes filtered calls cheaper.

        Lite always has sixteen partitions, and records every deletion in each of them. Servers before 2.3.10 put
        upserted rows where no filter by tenant looks for them (milvus-io/milvus #30607).
        """
        if self._file:
            return False
        version = re.match(r"v?(\d+)\.(\d+)", self._client.get_server_version(**self._deadline))
        return version is not None and (int(version[1]), int(version[2])) >= (2, 4)

    def upsert(self, collection: str, fields: Sequence[Fields], *, dimension: int) -> None:
        """Insert or replace rows by "pk", in several calls if need be. `dimension`: of the collection's vectors."""
        for part in _chunks(fields, _call_rows(dimension)):
            self._client.upsert(collection, list(part), **self._deadline)

    def load(self, collection: str) -> bool:
        """Load a collection, which deleting from it needs. Returns False if its creation is not finished."""
        if not self._client.list_indexes(collection, **self._deadline):
            return False
        self._client.load_collection(collection, **self._deadline)
        return True

    def delete(self, collection: str, filter_: str) -> None:
        """Delete the rows that pass the filter when the server gets the call; there may be none."""
        # Not found first and then deleted by key: a client that is stopped in between would delete what is newer.
        self._client.delete(collection, filter=filter_, consistency_level="Strong", **self._deadline)

    def get(self, collection: str, pks: Sequence[str], columns: list[str], *, dimension: int) -> Iterator[Fields]:
        """The rows with these keys, in any order; missing ones are left out. It calls the server while it is read."""
        for part in _chunks(pks, _call_rows(dimension)):
            yield from self._client.query(
                collection,
                filter=any_of("pk", part),
                output_fields=["pk", *columns],
                consistency_level="Strong",
                **self._deadline,
            )

    def query(self, collection: str, filter_: str, columns: list[str]) -> list[Fields]:
        """All rows that pass the filter. `columns` without vectors, because there may be many rows."""
        query = {"filter": filter_, "output_fields": columns, "consistency_level": "Strong", **self._deadline}
        if self._file:  # Lite has no limit
            return list(self._client.query(collection, **query))
        found = list(self._client.query(collection, limit=MAX_RESULT_ROWS, **query))
        if len(found) == MAX_RESULT_ROWS:
            found.clear()
            pages = self._client.query_iterator(collection, batch_size=MAX_RESULT_ROWS, **query)
            while page := pages.next():
                found += page
            pages.close()
        return found

    def search(
        self, collection: str, vectors: FloatArray, filter_: str, *, limit: int, after: int | None
    ) -> list[list[tuple[str, float]]]:
        """For each vector (N, D) the nearest keys with inner products, best first; `after` as in SearchRequest."""
        _, dimension = vectors.shape
        consistency: dict[str, Any] = {"consistency_level": "Strong"}
        if after is not None:
            consistency = {"consistency_level": "Customized", "guarantee_timestamp": after}
        return [
            [(str(found.id), float(found.distance)) for found in nearest]
            for part in _chunks(vectors, _call_rows(dimension))
            for nearest in self._client.search(
                collection,
                list(part),
                filter=filter_,
                limit=limit,
                anns_field="vector",
                **consistency,
                **self._deadline,
            )
        ]

    def flush(self, collection: str) -> None:
        self._client.flush(collection, **self._deadline)

    def last_write_timestamp(self, collection: str) -> int | None:
        """The server's timestamp of this client's last write to the collection; None for Lite, which has none.

        `upsert` does not return it, so it is read from the cache that pymilvus keeps for session consistency.
        """
        config = self._client._config
        return ts_utils.get_collection_ts(collection, config.address, config.db_name) or None

    def close(self) -> None:
        self._client.close()
        if self._file:
            self._file.close()


def _call_rows(dimension: int) -> int:
    return min(MAX_CALL_ROWS, MAX_CALL_BYTES // (4 * dimension))


def _chunks(items: Any, size: int) -> Iterator[Any]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _column(kind: Text | type) -> dict[str, Any]:
    if isinstance(kind, Text):
        return {"datatype": DataType.VARCHAR, "max_length": kind.length_bytes}
    return {"datatype": {int: DataType.INT64, bool: DataType.BOOL, float: DataType.DOUBLE}[kind]}
