"""A web server in a thread, with scripted responses; it records the requests."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeAlias

Response: TypeAlias = Callable[[BaseHTTPRequestHandler], None]


def body(content: bytes, status: int = 200, **headers: str) -> Response:
    """A complete response with a Content-Length."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    return answer


def redirect(location: str, status: int = 302) -> Response:
    return body(b"", status, Location=location)


def raw(*pieces: bytes, pause_s: float = 0.0) -> Response:
    """These raw bytes, with a pause after each piece."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        for piece in pieces:
            request.wfile.write(piece)
            request.wfile.flush()
            time.sleep(pause_s)

    return answer


def drip(until: threading.Event) -> Response:
    """A few bytes a second of a file without a stated length, until the event is set."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not until.wait(0.05):
            request.wfile.write(b"a")

    return answer


class Web:
    """A running server. Each path returns its responses in turn, and repeats the last one."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.requested: list[str] = []  # paths with queries
        self.hosts: list[str | None] = []
        self._responses: dict[str, list[Response]] = {}

    def serve(self, path: str, *responses: Response, host: str = "127.0.0.1", scheme: str = "http") -> str:
        """Set the responses of a path. Returns its URL."""
        self._responses[path] = list(responses)
        return f"{scheme}://{host}:{self.port}{path}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.requested.append(request.path)
        self.hosts.append(request.headers["Host"])
        responses = self._responses[request.path.partition("?")[0]]
        with suppress(ConnectionError):  # the client has disconnected
            (responses.pop(0) if len(responses) > 1 else responses[0])(request)


@contextmanager
def serve_web(certificate: Path | None = None, address: str = "127.0.0.1") -> Iterator[Web]:
    """A server on a free port of this address; "" for all of this machine, of which 127.0.0.0/8 are many hosts.

    With TLS if `certificate`, a file of certificate and key, is passed.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.answer(self)

        def log_message(self, *_: object) -> None:
            """Keep it out of the test output."""

    class Server(ThreadingHTTPServer):
        block_on_close = False
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            """Ignore it: some tests close their connections early."""

    with Server((address, 0), Handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        web = Web(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield web
        finally:
            server.shutdown()
            thread.join()
