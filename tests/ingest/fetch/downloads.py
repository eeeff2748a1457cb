"""A pool of downloads with a small budget, polled step by step."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.ingest.fetch.budget import ByteBudget
from services.ingest.fetch.media import FetchPolicy, Media
from services.ingest.fetch.places import FetchLimits
from services.ingest.fetch.pool import FetchPool
from services.runtime.probes import Health

LARGEST = 1000
HOSTS = tuple(f"127.0.0.{number}" for number in range(1, 41))  # all are this machine
POLICY = FetchPolicy(roots=None, max_bytes=LARGEST, hosts=HOSTS, private_hosts=True, deadline_s=20.0)
TIMEOUT_S = 10.0


class Fetcher:
    """A pool with a budget, and the files that it has handed out, which are closed at the end."""

    def __init__(self, limit_bytes: int, limits: FetchLimits) -> None:
        self.budget = ByteBudget(limit_bytes)
        self.health = Health(loop_timeout_s=TIMEOUT_S)
        self.health.clear("start")
        self.pool = FetchPool(POLICY, limits=limits, budget=self.budget, health=self.health)
        self.media: dict[str, Media] = {}
        self.order: list[str] = []

    def poll(self) -> None:
        for fetched in self.pool.poll():
            assert isinstance(fetched.result, Media), fetched
            self.media[fetched.job] = fetched.result
            self.order.append(fetched.job)

    def poll_until(self, condition: Callable[[], object]) -> None:
        give_up_s = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < give_up_s, f"only {self.order}, waiting {self.waiting}"
            self.poll()
            time.sleep(0.005)

    def submit(self, job: str, uri: str) -> None:
        self.pool.submit(job, uri, "default")

    @property
    def waiting(self) -> list[str]:
        return [job for job, task in self.pool._tasks.items() if task.waits_for_room]


@contextmanager
def open_fetcher(limit_bytes: int, threads: int = 4, limits: FetchLimits | None = None) -> Iterator[Fetcher]:
    fetcher = Fetcher(limit_bytes, limits or FetchLimits(threads, files=99, per_host=99, per_tenant=99))
    try:
        yield fetcher
    finally:
        fetcher.pool.close()
        for media in fetcher.media.values():
            media.close()
        assert fetcher.budget.reserved_bytes == 0
