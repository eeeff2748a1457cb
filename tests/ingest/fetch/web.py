"""A web server in a thread, which answers as a test tells it to, and writes down what it was asked."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeAlias

Answer: TypeAlias = Callable[[BaseHTTPRequestHandler], None]


def body(content: bytes, status: int = 200, **headers: str) -> Answer:
    """A whole answer, of a known length."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    return answer


def moved(location: str, status: int = 302) -> Answer:
    return body(b"", status, Location=location)


def raw(*pieces: bytes, pause_s: float = 0.0) -> Answer:
    """These bytes, whatever they mean, with a pause after each."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        for piece in pieces:
            request.wfile.write(piece)
            request.wfile.flush()
            time.sleep(pause_s)

    return answer


class Web:
    """A running server. Each path gives its answers in turn, the last one for ever."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []  # paths with queries
        self.hosts: list[str | None] = []
        self._answers: dict[str, list[Answer]] = {}

    def serve(self, path: str, *answers: Answer, host: str = "127.0.0.1", scheme: str = "http") -> str:
        """The URL of a path that is answered like that."""
        self._answers[path] = list(answers)
        return f"{scheme}://{host}:{self.port}{path}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        self.hosts.append(request.headers["Host"])
        answers = self._answers[request.path.partition("?")[0]]
        with suppress(ConnectionError):  # who asked has gone
            (answers.pop(0) if len(answers) > 1 else answers[0])(request)


@contextmanager
def running(certificate: Path | None = None) -> Iterator[Web]:
    """A server on a free port of 127.0.0.1, which speaks TLS with a certificate and its key in one file."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.answer(self)

        def log_message(self, *_: object) -> None:
            """Not into the output of the tests."""

    class Server(ThreadingHTTPServer):
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            """A client that goes away is what some tests are about."""

    with Server(("127.0.0.1", 0), Handler) as server:
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
