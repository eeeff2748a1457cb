"""Ends a download from another thread: at its deadline, or when nobody wants it any more."""

import socket
import threading
from contextlib import suppress


class Interrupt:
    """Fired once and for good; whoever waits, on a pause or on a socket, goes on at once.

    A timeout bounds one wait for a byte, not how many bytes a server takes its time over, be it in the TLS handshake,
    the headers or the body. A socket that is shut down ends them all.
    """

    def __init__(self) -> None:
        self._fired = threading.Event()
        self._lock = threading.Lock()
        self._line: socket.socket | None = None

    @property
    def is_fired(self) -> bool:
        return self._fired.is_set()

    def fire(self) -> None:
        with self._lock:
            self._fired.set()
            self._cut()

    def pause(self, seconds: float) -> None:
        """Sleep, unless it was fired or is meanwhile."""
        self._fired.wait(seconds)

    def watch(self, line: socket.socket) -> None:
        """Shut this connection down when fired, instead of the one before; at once if that has been."""
        with self._lock:
            self._drop()
            # A descriptor of its own: TLS takes over the socket object, and another file may get its number.
            self._line = line.dup()
            if self.is_fired:
                self._cut()

    def release(self) -> None:
        """Watch no connection any more."""
        with self._lock:
            self._drop()

    def _cut(self) -> None:
        if self._line is not None:
            with suppress(OSError):  # the other side was faster
                self._line.shutdown(socket.SHUT_RDWR)

    def _drop(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
