"""Ends a download from another thread, at its deadline or when it is cancelled."""

import socket
import threading
from contextlib import suppress


class Interrupt:
    """Fires once; a thread that waits in `pause` or on the watched socket continues immediately.

    A socket timeout limits the wait for one byte, so a server that drips bytes can hold a TLS handshake, headers or a
    body open for ever. Shutting the socket down ends all three.
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
        """Sleep, but not past the moment it fires."""
        self._fired.wait(seconds)

    def watch(self, line: socket.socket) -> None:
        """Shut this connection down when fired, instead of the previous one; immediately if already fired."""
        with self._lock:
            self._drop()
            # Our own descriptor: TLS takes over the socket object, and its number may be reused for another file.
            self._line = line.dup()
            if self.is_fired:
                self._cut()

    def release(self) -> None:
        """Stop watching."""
        with self._lock:
            self._drop()

    def _cut(self) -> None:
        if self._line is not None:
            with suppress(OSError):  # the server closed it first
                self._line.shutdown(socket.SHUT_RDWR)

    def _drop(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
