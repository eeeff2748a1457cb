"""The servers of a run, and the proxies through which services reach them."""

import socket
from pathlib import Path
from typing import Final

from tests.chaos.proxy import Mode, Proxies
from tests.servers.kafka_cluster import KafkaNode, make_cluster, start_cluster
from tests.servers.milvus_server import MilvusServer
from tests.servers.process import Server, free_ports
from tests.servers.redis_server import RedisServer

REDIS: Final = "redis"
MILVUS: Final = "milvus"
_ANSWER_S: Final = 5.0


class Backends:
    """Three brokers, Redis and Milvus, by the names that faults use: kafka-1, kafka-2, kafka-3, redis, milvus."""

    def __init__(self, folder: Path, milvus_tick_ms: int) -> None:
        """`milvus_tick_ms`: how long at most Milvus takes to show a write to a search that does not wait for it."""
        self.nodes: list[KafkaNode] = make_cluster(folder)
        self.servers: dict[str, Server] = {f"kafka-{node.node_id}": node for node in self.nodes}
        self.servers[REDIS] = RedisServer(folder / REDIS)
        milvus = MilvusServer(folder / MILVUS)
        milvus.tick_ms = milvus_tick_ms
        self.servers[MILVUS] = milvus
        self._proxies = Proxies()
        targets = [node.client_port for node in self.nodes] + [self.servers[name].port for name in (REDIS, MILVUS)]
        ports = free_ports(len(targets))
        self._proxy_of = {
            name: self._proxies.open(port, target)
            for name, port, target in zip(self.servers, ports, targets, strict=True)
        }
        for node in self.nodes:
            node.advertised_port = self._proxy_of[f"kafka-{node.node_id}"].port

    def start(self) -> None:
        """Start all servers, and return when they answer. Raises Unavailable or NotStarted."""
        for name in (REDIS, MILVUS):
            self.servers[name].launch()
        start_cluster(self.nodes)
        for name in (REDIS, MILVUS):
            self.servers[name].await_ready()

    def close(self) -> None:
        self._proxies.close()
        for server in self.servers.values():
            server.kill()

    @property
    def direct_brokers(self) -> str:
        """The brokers' addresses without proxies, for whoever checks."""
        return ",".join(node.address for node in self.nodes)

    @property
    def direct_milvus(self) -> str:
        return self.servers[MILVUS].address

    def environment(self) -> dict[str, str]:
        """The settings with which services find them through the proxies."""
        address = {name: f"127.0.0.1:{proxy.port}" for name, proxy in self._proxy_of.items()}
        return {
            "COPYDETECT_KAFKA_BROKERS": ",".join(address[f"kafka-{node.node_id}"] for node in self.nodes),
            "COPYDETECT_REDIS_URL": f"redis://{address[REDIS]}",
            "COPYDETECT_MILVUS_URI": f"http://{address[MILVUS]}",
        }

    def change(self, name: str, mode: Mode, *, delay_s: float = 0.0) -> None:
        """Disturb the connections of services to a server, or let them pass again."""
        self._proxies.change(self._proxy_of[name], mode, delay_s=delay_s)

    def flush_redis(self) -> None:
        """Make Redis forget everything."""
        with socket.create_connection(("127.0.0.1", self.servers[REDIS].port), timeout=_ANSWER_S) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            connection.recv(64)

    def repair(self) -> None:
        """End every disturbance, and return when all servers answer."""
        for name, server in self.servers.items():
            self.change(name, Mode.PASS)
            if server.is_running:
                server.resume()
            else:
                server.launch()
        for server in self.servers.values():
            server.await_ready()
