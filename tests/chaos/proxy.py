"""A TCP proxy between services and a backend, whose connections can be cut, delayed or left without an answer."""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from enum import StrEnum
from typing import Any, Final, TypeVar

T = TypeVar("T")

_CHUNK_BYTES: Final = 2**16
_CALL_S: Final = 10.0


class Mode(StrEnum):
    PASS = "pass"
    CUT = "cut"  # connections are reset, new ones as soon as they are made
    DELAY = "delay"  # every chunk of bytes waits
    HALF_OPEN = "half-open"  # connections are accepted and stay, but what is sent is swallowed


class Proxy:
    """Forwards connections to `port` of this machine to `target`, which may change. Runs in the loop of `Proxies`."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.target = target
        self.mode = Mode.PASS
        self.delay_s = 0.0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def change(self, mode: Mode, delay_s: float) -> None:
        """Go over to another mode. Connections whose bytes were swallowed are of no use afterwards, and are reset."""
        is_reset = mode is Mode.CUT or self.mode is Mode.HALF_OPEN
        self.mode, self.delay_s = mode, delay_s
        if is_reset:
            self._reset_all()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._reset_all()  # which ends the tasks
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _reset_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if self.mode is Mode.CUT:
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            self._writers.add(far_writer)
            try:
                await self._join(reader, writer, far_reader, far_writer)
            finally:
                self._writers.discard(far_writer)
                far_writer.transport.abort()
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.transport.abort()

    async def _join(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        """Forward in both directions until one of them ends."""
        directions = [
            asyncio.ensure_future(self._forward(reader, far_writer)),
            asyncio.ensure_future(self._forward(far_reader, writer)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                if self.mode is Mode.DELAY:
                    await asyncio.sleep(self.delay_s)
                if self.mode is Mode.HALF_OPEN:
                    continue
                writer.write(chunk)
                await writer.drain()


class Proxies:
    """Proxies in a thread of their own. Use as a context manager, or `close` it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._proxies: list[Proxy] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Proxies":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def open(self, port: int, target: int) -> Proxy:
        """A proxy that listens when this returns."""
        proxy = Proxy(port, target)
        self._run(proxy.listen())
        self._proxies.append(proxy)
        return proxy

    def change(self, proxy: Proxy, mode: Mode, *, delay_s: float = 0.0) -> None:
        self._run(proxy.change(mode, delay_s))

    def close(self) -> None:
        for proxy in self._proxies:
            self._run(proxy.close())
        self._proxies.clear()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        if not self._loop.is_closed():
            self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_S)
