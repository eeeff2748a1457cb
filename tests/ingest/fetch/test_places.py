"""Downloads are limited in all, per host and per tenant; those beyond wait in order, and local files do not."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from services.ingest.fetch.places import FetchLimits, Places, find_host
from tests.ingest.fetch.downloads import TIMEOUT_S, open_fetcher
from tests.ingest.fetch.web import Response, Web, body, serve_web

MANY = FetchLimits(threads=99, files=99, per_host=99, per_tenant=99)


@pytest.fixture
def web() -> Iterator[Web]:
    with serve_web(address="") as server:
        yield server


class Crowd:
    """A response that waits for the gate, and counts how many requests to each host wait."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.waiting: list[str] = []
        self.most = 0
        self._lock = threading.Lock()

    def response(self) -> Response:
        def answer(request: BaseHTTPRequestHandler) -> None:
            host = request.headers["Host"]
            with self._lock:
                self.waiting.append(host)
                self.most = max(self.most, *map(self.waiting.count, self.waiting))
            self.gate.wait(TIMEOUT_S)
            with self._lock:  # before the client can know that it has everything
                self.waiting.remove(host)
            body(b"film")(request)

        return answer


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    made = Crowd()
    yield made
    made.gate.set()


@pytest.mark.parametrize(
    ("limits", "hosts", "tenants", "expected"),
    [
        (replace(MANY, per_host=3), 1, 1, 3),
        (replace(MANY, per_host=3), 2, 1, 6),
        (replace(MANY, per_tenant=4), 5, 1, 4),
        (replace(MANY, per_tenant=4), 5, 2, 8),
        (replace(MANY, threads=5), 5, 5, 5),
    ],
)
def test_no_more_are_downloaded_at_the_same_time_than_the_limits_allow(
    web: Web, crowd: Crowd, limits: FetchLimits, hosts: int, tenants: int, expected: int
) -> None:
    web.serve("/film", crowd.response())
    with open_fetcher(10**6, limits=limits) as fetcher:
        for number in range(20):
            uri = f"http://127.0.0.{1 + number % hosts}:{web.port}/film"
            fetcher.pool.submit(f"{number}", uri, f"tenant {number // hosts % tenants}")
        fetcher.poll_until(lambda: len(crowd.waiting) == expected)
        for _ in range(20):
            fetcher.poll()
        assert fetcher.pool.parked_count == 20 - expected
        assert fetcher.pool.has_room, "others may come"
        crowd.gate.set()
        fetcher.poll_until(lambda: len(fetcher.media) == 20)
    assert crowd.most <= limits.per_host
    assert len(web.requested) == 20


def test_the_oldest_starts_first_when_there_is_a_place(web: Web) -> None:
    names = [f"{number}" for number in range(12)]
    with open_fetcher(10**6, limits=replace(MANY, per_host=1)) as fetcher:
        for name in names:
            fetcher.submit(name, web.serve(f"/{name}", body(b"film")))
        fetcher.poll_until(lambda: len(fetcher.media) == len(names))
    assert web.requested == [f"/{name}" for name in names]


def test_a_cancelled_download_leaves_its_place_to_the_next(web: Web, crowd: Crowd) -> None:
    slow = web.serve("/slow", crowd.response())
    with open_fetcher(10**6, limits=replace(MANY, per_host=1)) as fetcher:
        for name in "abc":
            fetcher.submit(name, slow)
        fetcher.submit("next", web.serve("/next", body(b"film")))
        for name in "abc":
            fetcher.pool.cancel(name)
        fetcher.poll_until(lambda: "next" in fetcher.media)
        assert not fetcher.media.keys() & set("abc")
    assert "/next" in web.requested


def test_local_files_are_opened_while_all_downloads_are_taken(web: Web, crowd: Crowd, tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(b"film")
    slow = web.serve("/slow", crowd.response())
    with open_fetcher(10**6, limits=replace(MANY, threads=2)) as fetcher:
        for number in range(9):
            fetcher.submit(f"{number}", slow)
        for number in range(20):
            fetcher.submit(f"local {number}", str(tmp_path / "film"))
        fetcher.poll_until(lambda: len(fetcher.media) == 20)
        assert len(fetcher.pool.unfetched) == 9
        crowd.gate.set()


@pytest.mark.parametrize("local", [True, False])
def test_no_more_files_are_handed_out_than_can_be_decoded(web: Web, tmp_path: Path, local: bool) -> None:
    (tmp_path / "film").write_bytes(b"film")
    uri = str(tmp_path / "film") if local else web.serve("/film", body(b"film"))
    with open_fetcher(10**6, limits=replace(MANY, files=3, threads=5)) as fetcher:
        for number in range(20):
            fetcher.submit(f"{number}", uri)
        done: list[str] = []
        while len(done) < 20:
            fetcher.poll_until(lambda: len(fetcher.media) == min(3, 20 - len(done)))
            for _ in range(5):
                fetcher.poll()
            assert len(fetcher.media) <= 3
            assert fetcher.budget.reserved_bytes <= (3 + 5) * len(b"film")
            assert fetcher.pool.has_room == (len(fetcher.media) < 3)
            name, media = fetcher.media.popitem()
            done.append(name)
            media.close()
            media.close()  # counts once
        assert fetcher.pool.has_room


def test_a_parked_download_does_not_start_while_another_waits_for_bytes(web: Web) -> None:
    with open_fetcher(1000, limits=replace(MANY, per_tenant=2)) as fetcher:
        fetcher.submit("first", web.serve("/first", body(b"a" * 600)))
        fetcher.poll_until(lambda: fetcher.media)
        fetcher.submit("large", web.serve("/large", body(b"b" * 1000)))
        fetcher.poll_until(lambda: fetcher.waiting == ["large"])
        fetcher.submit("small", web.serve("/small", body(b"c" * 300)))
        for _ in range(20):
            fetcher.poll()
        assert (fetcher.pool.parked_count, web.requested) == (1, ["/first", "/large"])
        fetcher.media["first"].close()
        fetcher.poll_until(lambda: "large" in fetcher.media)
        fetcher.media["large"].close()
        fetcher.poll_until(lambda: "small" in fetcher.media)


def test_places_are_forgotten_when_they_are_left() -> None:
    places = Places(replace(MANY, threads=1))
    for number in range(100):
        assert places.take(f"host {number}", f"tenant {number}")
        assert not places.take("other", "other")
        places.leave(f"host {number}", f"tenant {number}")
    assert not places._hosts
    assert not places._tenants


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("https://Media.example.org/a.mp4?b=c", "media.example.org"),
        ("http://user@127.0.0.1:8000/a", "127.0.0.1"),
        ("http://[::1]:8000/a", "::1"),
        ("http:///a", ""),
        ("file:///a.mp4", None),
        ("/a.mp4", None),
        ("http:a", None),
        ("http://[broken/a", None),
    ],
)
def test_the_host_of_a_download(uri: str, host: str | None) -> None:
    assert find_host(uri) == host
