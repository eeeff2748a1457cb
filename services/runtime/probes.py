"""/metrics, /livez and /readyz of a service, over HTTP.

A service is alive while its loop makes steps, and ready while it does its work. A backend that is down makes a service
unready, never dead: the service waits, and a restart would not fix the backend.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from services.contracts.errors import UsageError
from services.runtime import metrics


class Health:
    """What the probes report. For any number of threads."""

    def __init__(self, *, loop_timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._loop_timeout_s = loop_timeout_s
        self._clock = clock
        self._ticked_s = clock()
        self._lock = threading.Lock()
        self._hindrances: dict[str, str] = {"start": "the service is starting"}
        self._degradations: dict[str, str] = {}
        # Else it would count from 1970 until the first step.
        metrics.last_tick.set_to_current_time()

    def tick(self) -> None:
        """Note that the loop made a step."""
        self._ticked_s = self._clock()
        metrics.last_tick.set_to_current_time()

    def mark_unready(self, what: str, reason: str) -> None:
        """Be unready for this reason until `clear(what)`."""
        with self._lock:
            self._hindrances = {**self._hindrances, what: reason}

    def mark_degraded(self, what: str, reason: str) -> None:
        """Do the work worse for this reason, but ready, until `clear(what)`."""
        with self._lock:
            self._degradations = {**self._degradations, what: reason}

    def clear(self, what: str) -> None:
        with self._lock:
            self._hindrances = {name: reason for name, reason in self._hindrances.items() if name != what}
            self._degradations = {name: reason for name, reason in self._degradations.items() if name != what}

    @property
    def degradations(self) -> dict[str, str]:
        """The reasons why the service does its work worse than it could, although it is ready."""
        return self._degradations

    def why_not_alive(self) -> dict[str, str]:
        """The reasons why the service is not alive; empty if it is."""
        silent_s = self._clock() - self._ticked_s
        return {"loop": f"made no step for {silent_s:.0f} s"} if silent_s > self._loop_timeout_s else {}

    def why_not_ready(self) -> dict[str, str]:
        """The reasons why the service is not ready; empty if it is."""
        return {**self.why_not_alive(), **self._hindrances}


class ProbeServer:
    """A context that serves the probes from threads of its own. Raises UsageError if the port is in use."""

    def __init__(self, health: Health, *, host: str, port: int) -> None:
        self._health = health
        self._probes = {"/livez": health.why_not_alive, "/readyz": health.why_not_ready}
        self._metrics = make_wsgi_app()
        try:
            self._server = make_server(host, port, self._answer, _Server, _SilentHandler)
        except OSError as error:
            raise UsageError(f"cannot listen on {host}:{port} (COPYDETECT_HTTP_PORT): {error.strerror}") from error

    @property
    def port(self) -> int:
        return self._server.server_port

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="probes", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, start_response)
            return answer
        if path not in self._probes:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"/metrics, /livez, /readyz\n"]
        wrong = self._probes[path]()
        start_response("503 Service Unavailable" if wrong else "200 OK", [("Content-Type", "application/json")])
        content: dict[str, Any] = {"ok": not wrong, **wrong}
        if path == "/readyz" and (degraded := self._health.degradations):
            content["degraded"] = degraded
        return [json.dumps(content).encode() + b"\n"]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: there are probes every few seconds."""
