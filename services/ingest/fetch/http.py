"""Downloads files by HTTP for a worker that can reach more hosts than its uploaders may.

Every URL, the first and each redirect, is authorized (fetch.target). The connection goes to the address that was
authorized, with the host's name in TLS and in the request. The environment's proxies are ignored.

Temporary failures (a server that is down or busy, a connection that breaks) are retried until the deadline. Then the
file fails with the last reason: a single host is not a dependency of ours, and other uploads continue.
"""

import logging
import socket
import ssl
import tempfile
import threading
import time
from contextlib import closing, suppress
from itertools import count
from typing import BinaryIO, TypeVar
from urllib.parse import urljoin

from tenacity import RetryCallState, RetryError, Retrying, retry_if_exception_type, stop_before_delay
from tenacity import wait_random_exponential as full_jitter
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError, SSLError

from services.contracts.errors import InvalidMessage
from services.ingest.fetch.budget import Reservation
from services.ingest.fetch.disk import report_full_disk
from services.ingest.fetch.interrupt import Interrupt
from services.ingest.fetch.media import STAGE, DeadlinePassed, FetchPolicy, Media, file_stamp, redact
from services.ingest.fetch.target import RetryableFetchError, Target, authorize
from services.runtime import metrics

MAX_REDIRECTS = 3
REDIRECTS = frozenset({301, 302, 303, 307, 308})
RETRYABLE_STATUSES = frozenset({408, 425, 429})  # the 4xx that invite another attempt
CONNECT_TIMEOUT_S = 5.0  # an interrupt cannot shorten it
READ_TIMEOUT_S = 30.0  # longest wait for the next bytes
MAX_BACKOFF_S = 10.0
PIECE_BYTES = 256 * 1024

# At DEBUG it logs whole URLs, and a presigned URL contains a key.
logging.getLogger("urllib3").setLevel(logging.INFO)

ConnectionT = TypeVar("ConnectionT", bound=HTTPConnection)


def fetch_http(uri: str, policy: FetchPolicy, interrupt: Interrupt, reservation: Reservation) -> Media:
    """Download an http(s) URI into a nameless file and stamp its content.

    Its bytes are reserved before the first is written: the stated length, or the largest allowed if none is stated.
    Raises InvalidMessage if the policy forbids the URI or the server refuses it, DeadlinePassed, and NoRoom at once if
    it does not fit into the budget or onto the disk. Other errors of the local disk are raised unchanged.
    """
    reasons: list[str] = []  # why earlier attempts failed

    def note_failure(state: RetryCallState) -> None:
        assert state.outcome is not None
        reasons.append(str(state.outcome.exception()))
        metrics.retries.labels(STAGE).inc()

    deadline = threading.Timer(policy.deadline_s, interrupt.fire)
    deadline.daemon = True
    deadline.start()
    retrying = Retrying(
        retry=retry_if_exception_type(RetryableFetchError),
        wait=full_jitter(multiplier=0.25, max=MAX_BACKOFF_S),
        stop=lambda state: interrupt.is_fired or stop_before_delay(policy.deadline_s)(state),
        sleep=interrupt.pause,
        before_sleep=note_failure,
    )
    numbers = count()
    started_s = time.monotonic()
    try:
        return retrying(lambda: _attempt(uri, policy, interrupt, reservation, next(numbers)))
    except RetryError as error:
        last = error.last_attempt.exception()
        tried_s = time.monotonic() - started_s
        # The deadline may cut off an attempt that says nothing of what kept the earlier ones from succeeding.
        before = f"; before that, {reasons[-1]}" if reasons and reasons[-1] != str(last) else ""
        raise DeadlinePassed(f"{redact(uri)}: gave up after {tried_s:.1f} s: {last}{before}", stage=STAGE) from last
    except InvalidMessage as error:
        raise InvalidMessage(f"{redact(uri)}: {error.reason}", stage=STAGE) from error
    finally:
        deadline.cancel()
        interrupt.release()


def _attempt(uri: str, policy: FetchPolicy, interrupt: Interrupt, reservation: Reservation, number: int) -> Media:
    url = uri
    for _ in range(1 + MAX_REDIRECTS):
        target = authorize(url, policy)
        with _pool(target, number, interrupt) as pool, closing(_request(pool, target, interrupt)) as response:
            if response.status not in REDIRECTS or "location" not in response.headers:
                return _read_response(response, uri, policy, interrupt, reservation)
            url = _resolve_redirect(url, response.headers["location"])
    raise InvalidMessage(f"more than {MAX_REDIRECTS} redirects", stage=STAGE)


def _resolve_redirect(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise InvalidMessage(f"redirected to something that is not a URI ({error})", stage=STAGE) from error


def _pool(target: Target, number: int, interrupt: Interrupt) -> HTTPConnectionPool:
    """A pool of one connection to an address of the target; the next attempt uses the next address."""
    address = target.addresses[number % len(target.addresses)]
    timeout = Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S)
    pool: HTTPConnectionPool
    if target.scheme == "https":
        pool = HTTPSConnectionPool(address, target.port, timeout=timeout, server_hostname=target.host)
        pool.ConnectionCls = _interruptible(HTTPSConnection, interrupt)
    else:
        pool = HTTPConnectionPool(address, target.port, timeout=timeout)
        pool.ConnectionCls = _interruptible(HTTPConnection, interrupt)
    return pool


def _interruptible(kind: type[ConnectionT], interrupt: Interrupt) -> type[ConnectionT]:
    """A subclass of this connection class that the interrupt can shut down, even during the TLS handshake."""

    class Interruptible(kind):  # type: ignore[misc, valid-type]
        def _new_conn(self) -> socket.socket:
            line: socket.socket = super()._new_conn()
            interrupt.watch(line)
            return line

    return Interruptible


def _request(pool: HTTPConnectionPool, target: Target, interrupt: Interrupt) -> BaseHTTPResponse:
    # No content encoding: a small compressed body could expand without bound.
    headers = {"Host": target.authority, "User-Agent": "copydetect", "Accept-Encoding": "identity"}
    try:
        return pool.urlopen(
            "GET", target.resource, headers=headers, retries=False, redirect=False, preload_content=False
        )
    except SSLError as error:
        if isinstance(error.args[0], ssl.SSLCertVerificationError):
            raise InvalidMessage(f"its certificate was refused: {error.args[0].verify_message}", stage=STAGE) from error
        raise RetryableFetchError(_explain(error, interrupt)) from error
    except HTTPError as error:
        raise RetryableFetchError(_explain(error, interrupt)) from error


def _read_response(
    response: BaseHTTPResponse, uri: str, policy: FetchPolicy, interrupt: Interrupt, reservation: Reservation
) -> Media:
    if response.status in RETRYABLE_STATUSES or response.status >= 500:
        raise RetryableFetchError(f"the server answered {response.status}")
    if response.status != 200:
        raise InvalidMessage(f"the server answered {response.status}", stage=STAGE)
    with suppress(ValueError):  # not a number: the body is counted anyway
        policy.check_size(int(response.headers.get("content-length", "0")))
    length_bytes: int | None = response.length_remaining
    reservation.require(policy.max_bytes if length_bytes is None else length_bytes)
    with report_full_disk(reservation):
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the decoder closes it
    try:
        with report_full_disk(reservation):
            size_bytes = _copy_body(response, file, policy, interrupt, reservation)
        reservation.shrink(size_bytes)
        file.seek(0)
        version = response.headers.get("etag") or response.headers.get("last-modified") or ""
        stamp = file_stamp(file, size_bytes, f"{redact(uri)}|{size_bytes}|{version}|")
    except BaseException:
        with suppress(OSError):  # a full disk again, for what is still in the buffer
            file.close()
        raise
    return Media(file, stamp, size_bytes, reservation)


def _copy_body(
    response: BaseHTTPResponse, file: BinaryIO, policy: FetchPolicy, interrupt: Interrupt, reservation: Reservation
) -> int:
    size_bytes = 0
    while piece := _read_piece(response, interrupt):
        size_bytes += len(piece)
        policy.check_size(size_bytes)
        if size_bytes > reservation.size_bytes:  # the server sends more than it stated
            reservation.require(policy.max_bytes)
        file.write(piece)
    file.flush()
    if interrupt.is_fired:  # a body without a length looks complete when the socket is shut down
        raise RetryableFetchError("it did not finish in time")
    if size_bytes == 0:
        raise InvalidMessage("the file is empty", stage=STAGE)
    return size_bytes


def _read_piece(response: BaseHTTPResponse, interrupt: Interrupt) -> bytes:
    try:
        return response.read1(PIECE_BYTES, decode_content=False)
    except HTTPError as error:
        raise RetryableFetchError(_explain(error, interrupt)) from error


def _explain(error: HTTPError, interrupt: Interrupt) -> str:
    match error:
        case NewConnectionError():  # a subclass of ConnectTimeoutError; never caused by an interrupt
            return "the server refuses connections"
        case _ if interrupt.is_fired:
            return "it did not finish in time"
        case ConnectTimeoutError():
            return f"the server accepted no connection within {CONNECT_TIMEOUT_S:g} s"
        case ReadTimeoutError():
            return f"the server sent nothing for {READ_TIMEOUT_S:g} s"
        case _:
            return f"the connection broke ({type(error).__name__})"
