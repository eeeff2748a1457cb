"""Redis. It loses its data with a restart unless it is `lasting`."""

import socket
from typing import ClassVar

from tests.servers.process import Server, find_program


class RedisServer(Server):
    """A server; its address is redis://host:port."""

    name: ClassVar[str] = "redis"
    address_start: ClassVar[str] = "redis://"

    def prepare(self) -> None:
        self._program = find_program("redis-server", "redis-server")

    def command(self) -> list[str]:
        settings = {
            "--port": str(self.port),
            "--bind": "127.0.0.1",
            "--dir": str(self.folder),
            "--save": "",
            "--appendonly": "yes" if self.lasting else "no",
        }
        return [self._program, *(word for setting in settings.items() for word in setting)]

    def answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            connection.sendall(b"INFO server\r\n")
            # Another server may answer on this port while ours is about to end.
            return f"process_id:{self.pid}\r".encode() in connection.recv(4096)
