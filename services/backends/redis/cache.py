"""The descriptor cache in Redis, which may be slow, down or wrong and costs no more than what it would have saved.

A fault of the server is a miss, never an error. Calls give up soon, and after a few of them the server is left alone
for a while (`Circuit`). What was to be discarded meanwhile is owed: nothing is read or written before it is deleted,
so that replaced content never comes back through this process.
"""

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

import redis
import structlog

from services.backends.redis.circuit import Circuit
from services.backends.redis.codec import decoded, encoded
from services.contracts.errors import UsageError
from services.contracts.ports import DescribedSegment, SegmentKey
from services.runtime import metrics

TIMEOUT_S = 0.2  # reading a hundred segments takes 15 ms
CHUNK_BYTES = 2 * 2**20  # the server serves nobody else meanwhile
TYPICAL_BYTES = 64 * 2**10  # 32 frames of 1024 dimensions
TTL_JITTER = 0.1  # what was written together must not expire together
DELETED_AT_ONCE = 1000
# So many segments, 37 days of video, replaced within one outage are no replacement but a mistake. Beyond them the
# oldest are let go, and what they left expires with its time to live, which reading does not prolong. Another name
# for all keys would be no way out: the other processes would go on with this one.
MAX_OWED = 100_000

log = structlog.get_logger(__name__)


class _Unavailable(Exception):
    """No answer, and the word that counts it: the call failed, or was not made at all."""

    def __init__(self, result: str) -> None:
        super().__init__(result)
        self.result = result


class RedisCache:
    """A DescriptorCache for one model version, which is part of every key. For one thread."""

    def __init__(
        self,
        url: str,
        *,
        model_version: str,
        ttl_s: float,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        """Connects when it is first used. Raises UsageError when the URL is none."""
        try:
            self._client = redis.Redis.from_url(
                url,
                username=username,
                password=password,
                socket_timeout=TIMEOUT_S,
                socket_connect_timeout=TIMEOUT_S,
                retry=None,  # by default ten times, for 40 s
                protocol=2,  # nothing here needs the third one, whose handshake asks for more rights
            )
        except ValueError as error:
            raise UsageError(f"COPYDETECT_REDIS_URL: {error}") from error
        self._prefix = f"fd:{model_version}:"
        self._ttl_s = ttl_s
        self._circuit = Circuit()
        self._owed: dict[str, None] = {}  # keys to delete before anything else, oldest first
        self._typical_bytes = float(TYPICAL_BYTES)
        self._is_up: bool | None = None

    def get_many(self, keys: Collection[SegmentKey]) -> dict[SegmentKey, DescribedSegment]:
        found: dict[SegmentKey, DescribedSegment] = {}
        left = dict.fromkeys(keys)
        try:
            while left:
                chunk = list(islice(left, max(1, int(CHUNK_BYTES / self._typical_bytes))))
                values = self._call(self._client.mget, [self._name(key) for key in chunk])
                for key, value in zip(chunk, values, strict=True):
                    del left[key]
                    if (segment := _read(key, value)) is not None:
                        found[key] = segment
                self._weigh([len(value) for value in values if value is not None])
        except _Unavailable as reason:
            metrics.cache_requests.labels(reason.result).inc(len(left))
        return found

    def put_many(self, segments: Iterable[DescribedSegment]) -> None:
        if self._circuit.rests:
            return
        with suppress(_Unavailable):  # what is not written is read through again
            for chunk in self._chunks(segments):
                self._call(self._set, chunk)

    def discard(self, keys: Collection[SegmentKey]) -> None:
        for key in keys:
            self._owed[self._name(key)] = None
        for name in list(islice(self._owed, max(0, len(self._owed) - MAX_OWED))):
            del self._owed[name]
            log.error("replaced content stays in the cache until it expires", key=name)
        with suppress(_Unavailable):
            self._call(lambda: None)

    def problems(self) -> list[str]:
        """What is wrong with the server, a sentence each."""
        try:
            memory = self._client.info("memory")
        except redis.RedisError as error:
            return [f"does not answer: {error}"]
        if memory["maxmemory"] and memory["maxmemory_policy"] == "noeviction":
            return ["takes nothing more when its memory is full: set maxmemory-policy to allkeys-lfu"]
        return []

    def close(self) -> None:
        self._client.close()

    def _name(self, key: SegmentKey) -> str:
        return f"{self._prefix}{key.tenant}:{key.segment_id}"

    def _call(self, call: Callable[..., Any], *args: Any) -> Any:
        """What the call returns, after everything that is owed is deleted. Raises _Unavailable alone."""
        if not self._circuit.admits():
            raise _Unavailable("skipped")
        try:
            self._pay()
            result = call(*args)
        except redis.RedisError as error:
            self._circuit.failed()
            self._tell(is_up=False, reason=str(error))
            raise _Unavailable("error") from error
        self._circuit.succeeded()
        self._tell(is_up=True)
        return result

    def _pay(self) -> None:
        while self._owed:
            names = list(islice(self._owed, DELETED_AT_ONCE))
            self._client.delete(*names)
            for name in names:
                del self._owed[name]

    def _chunks(self, segments: Iterable[DescribedSegment]) -> Iterator[dict[str, bytes]]:
        chunk: dict[str, bytes] = {}
        for segment in segments:
            value = encoded(segment)
            if chunk and sum(map(len, chunk.values())) + len(value) > CHUNK_BYTES:
                yield chunk
                chunk = {}
            chunk[self._name(segment.row.key)] = value
        if chunk:
            yield chunk

    def _set(self, values: Mapping[str, bytes]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for name, value in values.items():
            ttl_s = self._ttl_s * random.uniform(1 - TTL_JITTER, 1 + TTL_JITTER)
            pipeline.set(name, value, px=max(1, int(1000 * ttl_s)))
        pipeline.execute()

    def _weigh(self, sizes_bytes: Collection[int]) -> None:
        """Learn how large a value is, for the next chunk."""
        if sizes_bytes:
            self._typical_bytes = (self._typical_bytes + max(sizes_bytes)) / 2

    def _tell(self, *, is_up: bool, reason: str | None = None) -> None:
        metrics.dependency_up.labels("redis").set(is_up)
        if is_up and self._is_up is False:
            log.info("the cache is back")
        elif not is_up and self._is_up is not False:
            log.warning("the cache does not answer; going on without it", reason=reason)
        self._is_up = is_up


def _read(key: SegmentKey, value: bytes | None) -> DescribedSegment | None:
    """The segment in a value; None, counted, for no value and for one that is not what belongs there."""
    if value is None:
        metrics.cache_requests.labels("miss").inc()
        return None
    try:
        segment = decoded(value)
        if segment.row.key != key:
            raise ValueError(f"it is of {segment.row.key}")
    except ValueError as error:
        metrics.cache_requests.labels("error").inc()
        log.warning("a cached value cannot be read", key=key, reason=str(error))
        return None
    metrics.cache_requests.labels("hit").inc()
    return segment
