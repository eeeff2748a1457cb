"""Downloads are complete or fail, end in time, and temporary failures are retried."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.contracts.errors import InvalidMessage
from services.ingest.fetch import http as fetch_http
from services.ingest.fetch.interrupt import Interrupt
from services.ingest.fetch.local import fetch
from services.ingest.fetch.media import FetchPolicy, Media
from tests.ingest.fetch.web import Response, Web, body, raw, redirect, serve_web

FILM = bytes(range(256)) * 2000
POLICY = FetchPolicy(roots=(), hosts=("127.0.0.1",), private_hosts=True, max_bytes=len(FILM), deadline_s=20.0)
SHORT_DEADLINE = replace(POLICY, deadline_s=0.5)
SEVERAL_ATTEMPTS = replace(POLICY, deadline_s=1.5)  # even on a machine that is busy
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def web() -> Iterator[Web]:
    with serve_web() as server:
        yield server


@pytest.fixture(autouse=True)
def _short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_http, "MAX_BACKOFF_S", 0.05)


def content(media: Media) -> bytes:
    with media.file as file:
        assert file.tell() == 0
        return file.read()


def stamp(uri: str) -> str:
    media = fetch(uri, POLICY)
    media.file.close()
    return media.stamp


def refusal(uri: str, policy: FetchPolicy = POLICY) -> str:
    with pytest.raises(InvalidMessage) as refused:
        fetch(uri, policy)
    assert refused.value.stage == "fetch"
    return refused.value.reason


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_file_is_fetched_whole_and_has_no_name(web: Web) -> None:
    media = fetch(web.serve("/a%20film.mp4", body(FILM)), POLICY)
    assert media.size_bytes == len(FILM)
    assert os.fstat(media.file.fileno()).st_nlink == 0
    assert content(media) == FILM
    assert web.hosts == [f"127.0.0.1:{web.port}"]


def test_a_body_in_chunks_or_up_to_the_end_of_the_connection_is_fetched(web: Web) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (FILM[:1000], FILM[1000:5000], b""))
    chunked = web.serve("/chunked", raw(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks))
    assert content(fetch(chunked, POLICY)) == FILM[:5000]
    assert content(fetch(web.serve("/closed", raw(OK + b"\r\n" + FILM)), POLICY)) == FILM


def test_the_proxies_of_the_environment_are_ignored(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert content(fetch(web.serve("/a", body(FILM)), POLICY)) == FILM


def test_up_to_three_redirects_are_followed(web: Web) -> None:
    web.serve("/d", body(FILM))
    web.serve("/c", redirect("d", 307))
    web.serve("/b", redirect(f"http://127.0.0.1:{web.port}/c", 301))
    assert content(fetch(web.serve("/a", redirect("/b")), POLICY)) == FILM
    assert "more than 3 redirects" in refusal(web.serve("/round", redirect("/round")))
    assert "not a URI" in refusal(web.serve("/broken", redirect("http://[::1/a")))
    assert "answered 302" in refusal(web.serve("/nowhere", body(b"", 302)))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204, 304])
def test_a_permanent_error_status_ends_the_fetch(web: Web, status: int) -> None:
    uri = web.serve("/a", body(b"", status))
    assert refusal(f"{uri}?key=secret") == f"{uri}: the server answered {status}"
    assert web.requested == ["/a?key=secret"]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_a_temporary_error_status_is_retried(web: Web, status: int) -> None:
    assert content(fetch(web.serve("/a", body(b"", status), body(b"", status), body(FILM)), POLICY)) == FILM
    assert len(web.requested) == 3


@pytest.mark.parametrize(
    "broken",
    [
        raw(OK + b"Content-Length: 9\r\n\r\nabc"),
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"),
        raw(b"nonsense\r\n\r\n"),
        raw(),
    ],
    ids=["short", "short-chunk", "no-last-chunk", "nonsense", "nothing"],
)
def test_a_broken_response_is_retried(web: Web, broken: Response) -> None:
    assert content(fetch(web.serve("/a", broken, body(FILM)), POLICY)) == FILM


def test_a_server_that_stays_down_fails_the_fetch_with_the_last_reason(web: Web) -> None:
    uri = web.serve("/a", body(b"", 503))
    reason = refusal(f"{uri}?key=secret", SEVERAL_ATTEMPTS)
    assert reason.startswith(f"{uri}: gave up after ")
    assert "the server answered 503" in reason
    assert len(web.requested) > 1
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    assert "refuses connections" in refusal(f"http://127.0.0.1:{port}/a", SHORT_DEADLINE)


def test_an_attempt_that_the_deadline_cuts_off_does_not_hide_why_the_earlier_ones_failed(web: Web) -> None:
    uri = web.serve("/a", body(b"", 503), raw(b"", pause_s=3))
    reason = refusal(uri, SEVERAL_ATTEMPTS)
    assert reason.endswith("it did not finish in time; before that, the server answered 503")


HEADERS = [OK, *[b"X-%d: a\r\n" % number for number in range(99)]]


@pytest.mark.parametrize(
    "slow",
    [
        raw(OK + b"Content-Length: 100\r\n\r\n", *[b"a"] * 100, pause_s=0.1),
        raw(OK + b"\r\n", *[b"a"] * 100, pause_s=0.1),
        raw(*HEADERS, pause_s=0.1),
        raw(b"", pause_s=3),
    ],
    ids=["body", "endless-body", "headers", "silence"],
)
def test_a_server_that_drips_bytes_is_cut_off_at_the_deadline(web: Web, slow: Response) -> None:
    before = open_descriptors()
    started_s = time.monotonic()
    reason = refusal(web.serve("/a", slow), SHORT_DEADLINE)
    assert time.monotonic() - started_s < 2.5  # none of the servers would have ended by then
    assert "gave up after" in reason
    assert "time" in reason
    assert open_descriptors() <= before + 1, "the server's own end may still be open"


def test_a_fetch_that_is_interrupted_ends_immediately(web: Web) -> None:
    interrupt = Interrupt()
    threading.Timer(0.3, interrupt.fire).start()
    started_s = time.monotonic()
    with pytest.raises(InvalidMessage):
        fetch(web.serve("/a", raw(OK + b"\r\n", *[b"a"] * 100, pause_s=0.1)), POLICY, interrupt)
    assert time.monotonic() - started_s < 1.5


def test_a_file_above_the_limit_is_refused_by_its_stated_or_its_actual_length(web: Web) -> None:
    assert f"{len(FILM) + 1} bytes exceed the limit of {len(FILM)}" in refusal(web.serve("/stated", body(FILM + b"a")))
    endless = raw(OK + b"\r\n", *[FILM] * 3, b"a" * 1000)
    before = open_descriptors()
    assert "exceed the limit" in refusal(web.serve("/sent", endless))
    assert open_descriptors() <= before + 1


def test_an_empty_file_is_refused(web: Web) -> None:
    assert "empty" in refusal(web.serve("/a", body(b"")))


def test_the_stamp_depends_on_the_content_and_not_on_the_signature_in_the_url(web: Web) -> None:
    uri = web.serve("/a", body(FILM, ETag='"1"'))
    before = stamp(f"{uri}?signature=1")
    assert stamp(f"{uri}?signature=2") == before
    web.serve("/a", body(FILM, ETag='"2"'))
    stamps = [before, stamp(uri)]
    web.serve("/a", body(FILM, Last_Modified="Tue, 24 Nov 2026 07:00:00 GMT"))
    stamps.append(stamp(uri))
    web.serve("/a", body(b"a" + FILM[1:]))
    stamps.append(stamp(uri))
    web.serve("/a", body(FILM[:-1]))
    stamps += [stamp(uri), stamp(web.serve("/b", body(FILM[:-1])))]
    assert len(set(stamps)) == len(stamps)


@pytest.mark.integration
def test_tls_verifies_the_name_in_the_url_and_not_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = tmp_path / "certificate.pem"
    subprocess.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=media "
        f"-addext subjectAltName=DNS:media.example.org -keyout {certificate} -out {tmp_path / 'public.pem'}".split(),
        check=True,
        capture_output=True,
    )
    certificate.write_text(certificate.read_text() + (tmp_path / "public.pem").read_text())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "public.pem"))
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, port, *rest, **more: resolve("127.0.0.1", port, *rest, **more))
    policy = replace(POLICY, hosts=("*.example.org",))
    with serve_web(certificate) as web:
        uri = web.serve("/a", body(FILM), host="media.example.org", scheme="https")
        assert content(fetch(uri, policy)) == FILM
        assert web.hosts == [f"media.example.org:{web.port}"]
        started_s = time.monotonic()
        assert "certificate" in refusal(uri.replace("media.", "other."), policy)
        monkeypatch.delenv("SSL_CERT_FILE")
        assert "certificate" in refusal(uri, policy)
        assert time.monotonic() - started_s < 5, "neither is retried"
