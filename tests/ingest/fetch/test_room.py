"""Downloads reserve their bytes before they write any; those for which there is no room wait and are fetched again."""

import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.ingest.fetch.downloads import LARGEST, TIMEOUT_S, open_fetcher
from tests.ingest.fetch.web import Response, Web, body, raw, serve_web

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def web() -> Iterator[Web]:
    with serve_web() as server:
        yield server


def in_two_parts(gate: threading.Event, size: int, *, headers: bytes = b"", first: int = 10) -> Response:
    """A response whose second part comes when the gate is open."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(OK + headers + b"\r\n" + b"a" * first)
        request.wfile.flush()
        gate.wait(TIMEOUT_S)
        request.wfile.write(b"b" * (size - first))

    return answer


def test_the_stated_length_is_reserved_before_the_body_and_until_the_file_is_closed(web: Web) -> None:
    gate = threading.Event()
    with open_fetcher(2000) as fetcher:
        fetcher.submit("a", web.serve("/a", in_two_parts(gate, 300, headers=b"Content-Length: 300\r\n")))
        fetcher.poll_until(lambda: fetcher.pool.reserved_bytes == 300)
        gate.set()
        fetcher.poll_until(lambda: fetcher.media)
        assert fetcher.pool.reserved_bytes == fetcher.media["a"].size_bytes == 300
        fetcher.media["a"].close()
        assert fetcher.pool.reserved_bytes == 0


def test_without_a_length_the_limit_is_reserved_and_shrunk_to_the_size(web: Web) -> None:
    gate = threading.Event()
    with open_fetcher(2000) as fetcher:
        fetcher.submit("a", web.serve("/a", in_two_parts(gate, 300)))
        fetcher.poll_until(lambda: fetcher.pool.reserved_bytes)
        assert fetcher.pool.reserved_bytes == LARGEST
        gate.set()
        fetcher.poll_until(lambda: fetcher.media)
        assert fetcher.pool.reserved_bytes == 300


def test_a_length_that_does_not_count_reserves_the_limit(web: Web) -> None:
    gate = threading.Event()
    chunked = b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"
    with open_fetcher(2000) as fetcher:
        fetcher.submit("a", web.serve("/a", in_two_parts(gate, 10, headers=chunked, first=0)))
        fetcher.poll_until(lambda: fetcher.pool.reserved_bytes)
        assert fetcher.pool.reserved_bytes == LARGEST
        gate.set()


def test_a_download_without_room_writes_nothing_and_is_fetched_again(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = count_temporary_files(monkeypatch)
    with open_fetcher(1000) as fetcher:
        fetcher.submit("a", web.serve("/a", body(b"a" * 600)))
        fetcher.poll_until(lambda: fetcher.media)
        fetcher.submit("b", web.serve("/b", body(b"b" * 500)))
        fetcher.poll_until(lambda: fetcher.waiting)
        for _ in range(20):
            fetcher.poll()
        had_room = fetcher.pool.has_room
        assert fetcher.pool.reserved_bytes == 600
        assert (web.requested, len(opened)) == (["/a", "/b"], 1), "it waits without asking again"
        assert not fetcher.health.why_not_ready(), "waiting for a budget is normal"
        fetcher.media["a"].close()
        fetcher.poll_until(lambda: "b" in fetcher.media)
        assert (had_room, fetcher.pool.has_room) == (False, True)
        assert web.requested == ["/a", "/b", "/b"]


def test_a_file_larger_than_the_budget_goes_when_nothing_else_is_reserved(web: Web) -> None:
    with open_fetcher(500) as fetcher:
        fetcher.submit("small", web.serve("/small", body(b"a")))
        fetcher.poll_until(lambda: fetcher.media)
        fetcher.submit("large", web.serve("/large", body(b"b" * LARGEST)))
        fetcher.poll_until(lambda: fetcher.waiting)
        fetcher.media["small"].close()
        fetcher.poll_until(lambda: "large" in fetcher.media)
        assert fetcher.pool.reserved_bytes == LARGEST


def test_those_that_wait_go_in_order_and_none_overtakes_a_larger_one(web: Web) -> None:
    with open_fetcher(1000) as fetcher:
        fetcher.submit("first", web.serve("/first", body(b"a" * 500)))
        fetcher.poll_until(lambda: fetcher.media)
        for name, size in (("large", 1000), ("b", 600), ("c", 600)):
            fetcher.submit(name, web.serve(f"/{name}", body(b"b" * size)))
        fetcher.poll_until(lambda: fetcher.waiting == ["large", "b", "c"])
        for done, name in (("first", "large"), ("large", "b"), ("b", "c")):
            fetcher.media[done].close()
            fetcher.poll_until(lambda name=name: name in fetcher.media)  # type: ignore[misc]
        assert fetcher.order == ["first", "large", "b", "c"]


def test_a_local_file_takes_none_of_the_budget(tmp_path: Path, web: Web) -> None:
    (tmp_path / "film").write_bytes(b"a" * LARGEST)
    with open_fetcher(500) as fetcher:
        fetcher.submit("a", web.serve("/a", body(b"a" * 400)))
        fetcher.poll_until(lambda: fetcher.media)
        fetcher.submit("film", str(tmp_path / "film"))
        fetcher.poll_until(lambda: "film" in fetcher.media)
        assert fetcher.pool.reserved_bytes == 400


@pytest.mark.parametrize("state", ["waiting", "downloading", "fetched"])
def test_a_cancelled_job_releases_its_bytes_in_every_state(web: Web, state: str) -> None:
    gate = threading.Event()
    with open_fetcher(1000, threads=1) as fetcher:
        fetcher.submit("a", web.serve("/a", body(b"a" * 600)))
        fetcher.poll_until(lambda: fetcher.media)
        fetcher.submit("b", web.serve("/b", body(b"b" * 500), body(b"b" * 500)))
        fetcher.poll_until(lambda: fetcher.waiting)
        if state == "downloading":
            web.serve("/b", in_two_parts(gate, 500, headers=b"Content-Length: 500\r\n"))
        if state != "waiting":
            fetcher.media.pop("a").close()
            fetcher.poll()
            assert not fetcher.waiting
        if state == "fetched":
            future = fetcher.pool._tasks["b"].future
            assert future is not None
            future.result(TIMEOUT_S)
        fetcher.pool.cancel("b")
        gate.set()
        expected = 600 if state == "waiting" else 0
        fetcher.poll_until(lambda: fetcher.pool.reserved_bytes == expected)
        assert fetcher.pool.has_room


def test_a_server_that_breaks_off_holds_its_bytes_and_is_tried_again(web: Web) -> None:
    broken = raw(OK + b"Content-Length: 600\r\n\r\nabc")
    with open_fetcher(1000) as fetcher:
        fetcher.submit("a", web.serve("/a", broken, body(b"a" * 700)))
        fetcher.poll_until(lambda: fetcher.media)
        assert fetcher.pool.reserved_bytes == 700


def count_temporary_files(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    made: list[Any] = []
    make = tempfile.TemporaryFile

    def make_and_count() -> Any:
        made.append(make())
        return made[-1]

    monkeypatch.setattr("services.ingest.fetch.http.tempfile.TemporaryFile", make_and_count)
    return made
