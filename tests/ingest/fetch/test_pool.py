"""Fetches run in the background, return in order, and can be cancelled."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.contracts.errors import InvalidMessage
from services.ingest.decode.pool import DecodePool
from services.ingest.fetch import task as fetch_task
from services.ingest.fetch.budget import ByteBudget, Reservation
from services.ingest.fetch.interrupt import Interrupt
from services.ingest.fetch.local import fetch
from services.ingest.fetch.media import FetchPolicy, Media
from services.ingest.fetch.places import FetchLimits
from services.ingest.fetch.pool import FetchFinished, FetchPool
from tca_model.video.decode import DecodeLimits
from tests.ingest.fetch.web import body, raw, serve_web

POLICY = FetchPolicy(roots=None, max_bytes=10**6, hosts=("127.0.0.1",), private_hosts=True)
TIMEOUT_S = 10.0


class MakePool:
    """Opens pools for one test, and closes them after it."""

    def __init__(self) -> None:
        self._pools: list[FetchPool] = []

    def __call__(
        self, *, policy: FetchPolicy = POLICY, threads: int = 2, wake: Callable[[], None] = lambda: None
    ) -> FetchPool:
        limits = FetchLimits(threads=threads, files=99, per_host=99, per_tenant=99)
        pool = FetchPool(policy, limits=limits, wake=wake, budget=ByteBudget(10**9))
        self._pools.append(pool)
        return pool

    def close(self) -> None:
        for pool in self._pools:
            pool.close()


@pytest.fixture
def make_pool() -> Iterator[MakePool]:
    make = MakePool()
    yield make
    make.close()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Every fetch waits until this event is set."""
    opened = threading.Event()

    def fetch_after_gate(uri: str, policy: FetchPolicy, interrupt: Interrupt, reservation: Reservation) -> Media:
        assert opened.wait(TIMEOUT_S)
        return fetch(uri, policy, interrupt, reservation)

    monkeypatch.setattr(fetch_task, "fetch", fetch_after_gate)
    yield opened
    opened.set()


def drain(pool: FetchPool, jobs: int) -> list[FetchFinished]:
    fetched: list[FetchFinished] = []
    give_up_s = time.monotonic() + TIMEOUT_S
    while len(fetched) < jobs:
        assert time.monotonic() < give_up_s, f"only {fetched}"
        fetched += pool.poll()
        time.sleep(0.005)
    return fetched


def all_ended(pool: FetchPool) -> bool:
    return all(task.future is not None and task.future.done() for task in pool._tasks.values())


def film(folder: Path, name: str = "a") -> str:
    (folder / name).write_text("film")
    return str(folder / name)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_submit_and_poll_do_not_wait_for_a_fetch(make_pool: MakePool, gate: threading.Event, tmp_path: Path) -> None:
    pool = make_pool()
    started_s = time.monotonic()
    pool.submit("a", film(tmp_path), "t")
    assert pool.poll() == []
    assert time.monotonic() - started_s < 1
    gate.set()
    [fetched] = drain(pool, 1)
    assert fetched.job == "a"
    assert isinstance(fetched.result, Media)
    with fetched.result.file as file:
        assert file.read() == b"film"
    assert pool.poll() == []


def test_results_that_are_ready_together_are_in_order_of_submission(
    make_pool: MakePool, gate: threading.Event, tmp_path: Path
) -> None:
    pool = make_pool(threads=4)
    names = [f"{number}" for number in range(9)]
    for name in names:
        pool.submit(name, str(tmp_path / "none"), "t")
    gate.set()
    deadline_s = time.monotonic() + TIMEOUT_S
    while not all_ended(pool):
        assert time.monotonic() < deadline_s
    assert [fetched.job for fetched in pool.poll()] == names


def test_a_refusal_is_a_result_and_any_other_exception_is_raised_by_poll(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pool = make_pool()
    pool.submit("none", str(tmp_path / "none"), "t")
    [fetched] = drain(pool, 1)
    assert isinstance(fetched.result, InvalidMessage)
    assert "No such file" in fetched.result.reason

    def fail(*_: object) -> Media:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(fetch_task, "fetch", fail)
    pool.submit("a", film(tmp_path), "t")
    with pytest.raises(OSError, match="Input/output"):
        drain(pool, 1)


def test_the_end_of_a_fetch_wakes_the_thread_that_waits_for_decoders(make_pool: MakePool, tmp_path: Path) -> None:
    with DecodePool(workers=1, size=(32, 24), every_s=1.0, limits=DecodeLimits(), deadline_s=9.0) as decoders:
        pool = make_pool(wake=decoders.wake)
        for _ in range(3):
            started_s = time.monotonic()
            pool.submit("a", str(tmp_path / "none"), "t")
            assert decoders.poll(TIMEOUT_S) == []
            assert time.monotonic() - started_s < 2
            assert [fetched.job for fetched in pool.poll()] == ["a"]
        assert decoders.poll(0.05) == [], "the wake-up was consumed"
        pool.close()


@pytest.mark.parametrize("finished", [False, True])
def test_a_cancelled_fetch_has_no_result_and_leaves_no_file_open(
    make_pool: MakePool, gate: threading.Event, tmp_path: Path, finished: bool
) -> None:
    pool = make_pool(threads=1)
    before = open_descriptors()
    for job in ("running", "queued"):
        pool.submit(job, film(tmp_path), "t")
    if finished:
        gate.set()
        deadline_s = time.monotonic() + TIMEOUT_S
        while not all_ended(pool):
            assert time.monotonic() < deadline_s
    for job in ("running", "queued", "unknown"):
        pool.cancel(job)
    pool.submit("running", film(tmp_path, "b"), "t")  # the same record, delivered again
    gate.set()
    [fetched] = drain(pool, 1)
    assert fetched.job == "running"
    assert isinstance(fetched.result, Media)
    assert fetched.result.file.name == str(tmp_path / "b")
    fetched.result.file.close()
    pool.close()
    assert open_descriptors() == before


def test_a_job_cannot_be_submitted_twice(make_pool: MakePool, tmp_path: Path) -> None:
    pool = make_pool()
    pool.submit("a", film(tmp_path), "t")
    with pytest.raises(ValueError, match="already"):
        pool.submit("a", film(tmp_path), "t")


@pytest.mark.parametrize("end", [FetchPool.close, lambda pool: pool.cancel("a")])
def test_a_slow_server_does_not_delay_cancel_or_close(make_pool: MakePool, end: Callable[[FetchPool], None]) -> None:
    with serve_web() as web:
        pool = make_pool(threads=1)
        pool.submit("a", web.serve("/slow", raw(b"HTTP/1.1 200 OK\r\n\r\n", *[b"a"] * 100, pause_s=0.1)), "t")
        deadline_s = time.monotonic() + TIMEOUT_S
        while not web.requested:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        started_s = time.monotonic()
        end(pool)
        pool.close()
        assert time.monotonic() - started_s < 2


def test_a_server_that_fails_is_retried_until_the_deadline_and_delays_no_other_fetch(make_pool: MakePool) -> None:
    with serve_web() as web:
        pool = make_pool(policy=replace(POLICY, deadline_s=0.6))
        pool.submit("down", web.serve("/down", body(b"", 503)), "t")
        pool.submit("up", web.serve("/up", body(b"film")), "t")
        first, second = drain(pool, 2)
    assert (first.job, second.job) == ("up", "down")
    assert isinstance(first.result, Media)
    first.result.file.close()
    assert isinstance(second.result, InvalidMessage)
    assert "gave up" in second.result.reason
