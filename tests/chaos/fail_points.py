"""Points at which a service kills itself, or stands still: before or after the n-th call of something that it does.

A point is written as its name, `before` or `after`, the number of the call, and `kill` or `hang`: `store:after:3:kill`.
"""

import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple, Self

from kafka import KafkaConsumer, KafkaProducer

from services.alerter.pipeline import AlertPipeline
from services.backends.kafka.connection import Timeouts
from services.backends.kafka.state import KafkaStateConsumer
from services.backends.milvus.client import Milvus
from services.backends.milvus.index import MilvusIndex
from services.backends.redis.cache import RedisCache

# Longer than a group waits for a poll (service.py), and then for a member whose name it knows to come back.
HANG_S: Final = Timeouts().restore_s + Timeouts().session_s + 10
# In the log.
REACHED: Final = "fail point reached"
OVER: Final = "fail point is over"

_INDEX: Final[dict[str, tuple[type, str]]] = {
    "store": (MilvusIndex, "store"),
    "upsert": (Milvus, "upsert"),  # frames, and then segments
    "delete": (MilvusIndex, "delete"),
    "erase": (MilvusIndex, "erase"),
    "cache": (RedisCache, "put_many"),
    "search": (MilvusIndex, "search_segments"),
}
_BUS: Final[dict[str, tuple[type, str]]] = {
    "send": (KafkaProducer, "send"),
    "flush": (KafkaProducer, "flush"),
    "commit": (KafkaConsumer, "commit"),
}
_TRANSACTIONS: Final[dict[str, tuple[type, str]]] = {
    "decide": (AlertPipeline, "__call__"),
    "begin": (KafkaProducer, "begin_transaction"),
    "offsets": (KafkaProducer, "send_offsets_to_transaction"),
    "commit-transaction": (KafkaProducer, "commit_transaction"),
    "restore": (KafkaStateConsumer, "restore"),
}
_CALLS: Final = _INDEX | _BUS | _TRANSACTIONS
# What each service calls at all. A batch of the alerter is a transaction, so its calls are fewer.
POINTS_OF: Final[dict[str, tuple[str, ...]]] = {
    "ingest": ("store", "upsert", "delete", "erase", "cache", "send", "flush", "commit"),
    "matcher": ("search", "send", "flush", "commit"),
    "alerter": ("send", "flush", *_TRANSACTIONS),
}


class FailPoint(NamedTuple):
    name: str
    when: Literal["before", "after"]
    call: int  # 1 for the first
    action: Literal["kill", "hang"]

    @classmethod
    def parse(cls, text: str) -> Self:
        """The point in a text. Raises ValueError if there is no such point."""
        name, when, call, action = text.split(":")
        if name not in _CALLS or when not in ("before", "after") or action not in ("kill", "hang"):
            raise ValueError(f"no such fail point: {text}")
        return cls(name, when, int(call), action)  # type: ignore[arg-type]  # checked above

    def __str__(self) -> str:
        return ":".join(map(str, self[:]))


def arm_fail_point(text: str) -> None:
    """Make this process fail at the point."""
    point = FailPoint.parse(text)
    owner, method = _CALLS[point.name]

    def fail() -> None:
        _write(f"{REACHED}: {point}")
        if point.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(HANG_S)
        _write(f"{OVER}: {point}")

    setattr(owner, method, fail_at(getattr(owner, method), point, fail))


def fail_at(call: Callable[..., Any], point: FailPoint, action: Callable[[], None]) -> Callable[..., Any]:
    """The call, with the action before or after one of its calls, counted over all threads and objects."""
    lock = threading.Lock()
    calls = 0

    @functools.wraps(call)
    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        with lock:
            calls += 1
            is_due = calls == point.call
        if is_due and point.when == "before":
            action()
        result = call(*args, **kwargs)
        if is_due and point.when == "after":
            action()
        return result

    return counted


def _write(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
