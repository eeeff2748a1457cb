"""What goes wrong during a run, and when: made from a seed, so that a run can be repeated.

Every service, Kafka, Redis and Milvus has a row of faults of its own, so that up to six happen at the same time. Of a
service one process at a time is disturbed, and of the brokers one. Each row goes through all of its kinds before one
comes again.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from services.backends.kafka.connection import Timeouts
from tests.chaos.backends import MILVUS, REDIS
from tests.chaos.fail_points import HANG_S, POINTS_OF
from tests.chaos.fleet import SERVICES
from tests.servers.kafka_cluster import NODES

T = TypeVar("T")


class FaultKind(StrEnum):
    KILL = "kill"
    TERMINATE = "terminate"
    PAUSE = "pause"
    FAIL_POINT = "fail-point"
    KILL_COORDINATOR = "kill-coordinator"
    FLUSH = "flush"
    CUT = "cut"
    DELAY = "delay"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class Fault:
    """`target`: a process (ingest-1) or server (kafka-2, redis). `detail`: a fail point, or a group."""

    kind: FaultKind
    target: str
    begin_s: float
    length_s: float
    detail: str = ""

    @property
    def end_s(self) -> float:
        return self.begin_s + self.length_s

    @property
    def name(self) -> str:
        """What reports count."""
        return f"{self.kind} {self.target.partition('-')[0]}"


@dataclass(frozen=True, slots=True)
class Row:
    """The faults of one service or server: kinds with their shortest and longest length, and the rest in between."""

    targets: tuple[str, ...]
    kinds: tuple[tuple[FaultKind, float, float], ...]
    rest_s: tuple[float, float]


_SESSION_S: Final = Timeouts().session_s
# Within a session, and longer than one.
_PAUSES: Final = ((FaultKind.PAUSE, 2.0, 5.0), (FaultKind.PAUSE, _SESSION_S + 3, _SESSION_S + 8))
_SERVICE: Final = (
    (FaultKind.KILL, 0.0, 0.0),
    (FaultKind.TERMINATE, 0.0, 0.0),
    *_PAUSES,
    (FaultKind.FAIL_POINT, HANG_S / 4, HANG_S / 3),
    (FaultKind.FAIL_POINT, HANG_S + 5, HANG_S + 5),  # long enough for one that hangs
)
_ROWS: Final = (
    *(Row((f"{service}-1", f"{service}-2"), _SERVICE, (3, 8)) for service in SERVICES),
    Row(
        tuple(f"kafka-{number + 1}" for number in range(NODES)),
        (
            (FaultKind.KILL, 3, 10),
            (FaultKind.PAUSE, 3, 10),
            (FaultKind.KILL_COORDINATOR, 3, 10),
            (FaultKind.CUT, 1, 3),
            (FaultKind.DELAY, 4, 8),
            (FaultKind.HALF_OPEN, 4, 12),
        ),
        (8, 14),
    ),
    Row(
        (REDIS,),
        (
            (FaultKind.KILL, 2, 8),
            (FaultKind.PAUSE, 2, 8),
            (FaultKind.FLUSH, 0, 0),
            (FaultKind.CUT, 1, 4),
            (FaultKind.DELAY, 3, 6),
            (FaultKind.HALF_OPEN, 2, 8),
        ),
        (2, 6),
    ),
    Row(
        (MILVUS,),
        (
            (FaultKind.KILL, 1, 4),
            (FaultKind.PAUSE, 3, 8),  # it ends if it is frozen for as long as its sessions
            (FaultKind.CUT, 1, 4),
            (FaultKind.DELAY, 4, 8),
            (FaultKind.HALF_OPEN, 3, 8),
        ),
        (12, 20),
    ),
)
_GROUPS: Final = ("ingest", "matcher", "alerter")


def make_faults(seed: int, length_s: float) -> list[Fault]:
    """The faults that begin within `length_s`, by their beginning; all have ended then."""
    rng = random.Random(f"faults {seed}")
    points = {service: _endless(rng, list_fail_points(service)) for service in SERVICES}
    faults = [fault for row in _ROWS for fault in _fill(row, rng, length_s, points)]
    return sorted(faults, key=lambda fault: fault.begin_s)


def list_fail_points(service: str) -> list[str]:
    """Every fail point of a service, without the number of the call."""
    return [
        f"{name}:{when}:{{}}:{action}"
        for name in POINTS_OF[service]
        for when in ("before", "after")
        for action in ("kill", "hang")
    ]


def _fill(row: Row, rng: random.Random, length_s: float, points: dict[str, Iterator[str]]) -> Iterator[Fault]:
    at_s = rng.uniform(*row.rest_s)
    for kind, shortest_s, longest_s in _endless(rng, row.kinds):
        fault_s = rng.uniform(shortest_s, longest_s)
        if at_s + fault_s > length_s:
            return
        target, detail = rng.choice(row.targets), ""
        if kind is FaultKind.KILL_COORDINATOR:
            detail = rng.choice(_GROUPS)
        elif kind is FaultKind.FAIL_POINT:
            detail = next(points[target.partition("-")[0]]).format(rng.randint(1, 6))
        yield Fault(kind, target, at_s, fault_s, detail)
        at_s += fault_s + rng.uniform(*row.rest_s)


def _endless(rng: random.Random, items: Sequence[T]) -> Iterator[T]:
    """All items in random order, again and again."""
    while True:
        yield from rng.sample(items, len(items))
