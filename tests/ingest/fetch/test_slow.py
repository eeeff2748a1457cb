"""A host whose files run into the deadline gets a tenth of it, until one arrives or it is forgotten."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from services.contracts.errors import InvalidMessage
from services.ingest.fetch import slow
from services.ingest.fetch import task as fetch_task
from services.ingest.fetch.budget import ByteBudget, Reservation
from services.ingest.fetch.interrupt import Interrupt
from services.ingest.fetch.media import STAGE, DeadlinePassed, FetchPolicy, Media
from services.ingest.fetch.places import FetchLimits
from services.ingest.fetch.pool import FetchPool
from services.ingest.fetch.slow import DEADLINE_SHARE, FORGOTTEN_AFTER_S, MAX_HOSTS, MAX_IN_A_ROW, SlowHosts
from tests.ingest.fetch.downloads import POLICY
from tests.ingest.fetch.test_pool import drain
from tests.ingest.fetch.web import body, drip, serve_web

LIMITS = FetchLimits(threads=32, files=8, per_host=8, per_tenant=24)


class Clock:
    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(slow, "time", made)
    return made


class Servers:
    """Every download ends at once as is scripted, and its deadline is noted."""

    def __init__(self) -> None:
        self.deadlines_s: list[float] = []
        self.refuses = False

    def fetch(self, uri: str, policy: FetchPolicy, interrupt: Interrupt, reservation: Reservation) -> Media:  # noqa: ARG002 - as the real one
        self.deadlines_s.append(policy.deadline_s)
        if self.refuses:
            raise InvalidMessage("the server answered 404", stage=STAGE)
        raise DeadlinePassed("it did not finish in time", stage=STAGE)


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Servers:
    made = Servers()
    monkeypatch.setattr(fetch_task, "fetch", made.fetch)
    return made


@pytest.fixture
def pool() -> Iterator[FetchPool]:
    made = FetchPool(replace(POLICY, deadline_s=600.0), limits=LIMITS, budget=ByteBudget(10**9))
    yield made
    made.close()


def fail(hosts: SlowHosts, host: str, times: int) -> None:
    for _ in range(times):
        hosts.begin(host)
        hosts.note_late(host)


def test_a_host_is_slow_after_three_late_files_until_one_arrives() -> None:
    hosts = SlowHosts()
    fail(hosts, "a", MAX_IN_A_ROW - 1)
    assert hosts.begin("a") == 1
    hosts.note_late("a")
    assert hosts.begin("a") == DEADLINE_SHARE
    assert hosts.begin("b") == 1
    hosts.note_success("a")
    assert hosts.begin("a") == 1
    fail(hosts, "a", MAX_IN_A_ROW - 1)
    assert hosts.begin("a") == 1, "only those since the last file count"


def test_a_slow_host_is_forgotten_after_ten_minutes_without_a_download(clock: Clock) -> None:
    hosts = SlowHosts()
    fail(hosts, "a", MAX_IN_A_ROW)
    for _ in range(10):
        clock.now_s += FORGOTTEN_AFTER_S - 1
        assert hosts.begin("a") == DEADLINE_SHARE
    clock.now_s += FORGOTTEN_AFTER_S
    assert hosts.begin("a") == 1
    fail(hosts, "a", 1)
    assert hosts.begin("a") == 1, "the count begins again"


def test_a_download_that_lasts_ten_minutes_is_not_forgotten_while_it_runs(clock: Clock) -> None:
    hosts = SlowHosts()
    for _ in range(MAX_IN_A_ROW):
        assert hosts.begin("a") == 1
        clock.now_s += FORGOTTEN_AFTER_S
        hosts.note_late("a")
    assert hosts.begin("a") == DEADLINE_SHARE


def test_only_so_many_hosts_are_remembered_and_the_last_seen_are_kept() -> None:
    hosts = SlowHosts()
    fail(hosts, "kept", MAX_IN_A_ROW)
    fail(hosts, "old", MAX_IN_A_ROW)
    for number in range(MAX_HOSTS - 1):
        hosts.begin("kept")
        hosts.note_late(f"host {number}")
    assert len(hosts._hosts) == MAX_HOSTS
    assert hosts.begin("kept") == DEADLINE_SHARE
    assert hosts.begin("old") == 1


def test_a_thousand_late_files_of_a_host_take_two_hours_instead_of_a_day(pool: FetchPool, servers: Servers) -> None:
    for number in range(1000):
        pool.submit(f"{number}", "http://127.0.0.1/a", "t")
    drain(pool, 1000)
    full = servers.deadlines_s.count(600.0)
    assert MAX_IN_A_ROW <= full < MAX_IN_A_ROW + LIMITS.per_host, "the first, and those that ran beside them"
    assert servers.deadlines_s.count(60.0) == 1000 - full
    assert sum(servers.deadlines_s) / LIMITS.per_host < 2.5 * 3600


def test_a_refusal_does_not_end_the_slowness(pool: FetchPool, servers: Servers) -> None:
    for refuses in (False, False, True, False, True):
        servers.refuses = refuses
        pool.submit("a", "http://127.0.0.1/a", "t")
        drain(pool, 1)
    servers.refuses = False
    pool.submit("a", "http://127.0.0.1/a", "t")
    [fetched] = drain(pool, 1)
    assert servers.deadlines_s == [600.0] * 4 + [60.0] * 2
    assert isinstance(fetched.result, InvalidMessage)
    assert fetched.result.stage == "fetch"
    assert fetched.result.reason == (
        "it did not finish in time; 127.0.0.1 let 3 files in a row run into COPYDETECT_FETCH_DEADLINE_S, and gets 10% "
        "of it until one arrives"
    )


def test_a_local_file_has_no_host(pool: FetchPool, servers: Servers) -> None:
    for _ in range(2 * MAX_IN_A_ROW):
        pool.submit("a", "/a", "t")
        drain(pool, 1)
    assert servers.deadlines_s == [600.0] * 2 * MAX_IN_A_ROW


def test_a_server_that_drips_gets_less_time_and_all_of_it_when_a_file_has_arrived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slow, "DEADLINE_SHARE", 0.5)  # enough for a file on a busy machine
    policy = replace(POLICY, deadline_s=2.0)
    gate = threading.Event()
    with serve_web() as web, FetchPool(policy, limits=LIMITS, budget=ByteBudget(10**9)) as pool:
        slow_uri, fast_uri = web.serve("/slow", drip(gate)), web.serve("/fast", body(b"film"))
        for number in range(MAX_IN_A_ROW):
            pool.submit(f"{number}", slow_uri, "t")
        late = drain(pool, MAX_IN_A_ROW)
        pool.submit("slow", slow_uri, "t")
        late += drain(pool, 1)
        reasons = [one.result.reason for one in late if isinstance(one.result, InvalidMessage)]
        pool.submit("fast", fast_uri, "t")
        [fetched] = drain(pool, 1)
        assert isinstance(fetched.result, Media)
        fetched.result.close()
        assert pool._slow.begin("127.0.0.1") == 1
        gate.set()
    assert ["gave up after" in reason for reason in reasons] == [True] * 4
    assert ["in a row" in reason for reason in reasons] == [False] * 3 + [True]
