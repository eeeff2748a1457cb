"""The proxy does to connections what its mode says, and lets them pass again afterwards."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.chaos.proxy import Mode, Proxies, Proxy
from tests.servers.process import free_ports

PATIENCE_S = 10.0
SILENCE_S = 0.3


class Echo:
    """A server that sends back what it gets."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(4096):
                    connection.sendall(data)
            except OSError:
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def proxies() -> Iterator[Proxies]:
    with Proxies() as opened:
        yield opened


@pytest.fixture
def proxy(proxies: Proxies) -> Iterator[Proxy]:
    echo = Echo()
    yield proxies.open(free_ports(1)[0], echo.port)
    echo.close()


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S)


def ask(connection: socket.socket, text: bytes = b"ping") -> bytes:
    connection.sendall(text)
    return connection.recv(4096)


def is_reset(connection: socket.socket) -> bool:
    try:
        return ask(connection) == b""
    except ConnectionError:
        return True


def test_bytes_pass_in_both_directions(proxy: Proxy) -> None:
    with connect(proxy) as first, connect(proxy) as second:
        assert ask(first, b"one") == b"one"
        assert ask(second, b"two") == b"two"


def test_a_cut_resets_open_and_new_connections_until_it_ends(proxies: Proxies, proxy: Proxy) -> None:
    with connect(proxy) as connection:
        assert ask(connection) == b"ping"
        proxies.change(proxy, Mode.CUT)
        assert is_reset(connection)
    with connect(proxy) as connection:
        assert is_reset(connection)
    proxies.change(proxy, Mode.PASS)
    with connect(proxy) as connection:
        assert ask(connection) == b"ping"


def test_a_half_open_connection_stays_and_says_nothing_and_is_reset_afterwards(proxies: Proxies, proxy: Proxy) -> None:
    with connect(proxy) as old:
        assert ask(old) == b"ping"
        proxies.change(proxy, Mode.HALF_OPEN)
        with connect(proxy) as new:
            for connection in (old, new):
                connection.settimeout(SILENCE_S)
                with pytest.raises(TimeoutError):
                    ask(connection)
            proxies.change(proxy, Mode.PASS)
            for connection in (old, new):
                connection.settimeout(PATIENCE_S)
                assert is_reset(connection)
    with connect(proxy) as connection:
        assert ask(connection) == b"ping"


def test_a_delay_holds_bytes_up_and_loses_none(proxies: Proxies, proxy: Proxy) -> None:
    with connect(proxy) as connection:
        proxies.change(proxy, Mode.DELAY, delay_s=SILENCE_S)
        started = time.monotonic()
        assert ask(connection) == b"ping"
        assert time.monotonic() - started >= 2 * SILENCE_S  # there and back
        proxies.change(proxy, Mode.PASS)
        assert ask(connection) == b"ping"


def test_a_target_that_is_down_looks_down(proxies: Proxies) -> None:
    port, nobody = free_ports(2)
    with connect(proxies.open(port, nobody)) as connection:
        assert is_reset(connection)


def test_a_connection_that_the_client_ends_ends_at_the_server_too(proxies: Proxies) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)
        proxy = proxies.open(free_ports(1)[0], listener.getsockname()[1])
        client = connect(proxy)
        server, _ = listener.accept()
        server.settimeout(PATIENCE_S)
        client.close()
        with server, suppress(ConnectionResetError):
            assert server.recv(1) == b""
