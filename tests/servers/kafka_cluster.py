"""Three Kafka brokers, which are controllers too: any one of them may be killed without a loss.

Each has two listeners: one for clients whose port may be that of a proxy, which is what it tells clients, and a direct
one for the brokers themselves and for whoever must not notice the proxy's faults.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from tests.servers.kafka_server import SETTINGS, KafkaServer, make_cluster_id
from tests.servers.process import free_ports

NODES: Final = 3
_SETTINGS: Final[Mapping[str, object]] = {
    "offsets.topic.replication.factor": NODES,
    "transaction.state.log.replication.factor": NODES,
    "transaction.state.log.min.isr": NODES - 1,
    "share.coordinator.state.topic.replication.factor": NODES,
    "share.coordinator.state.topic.min.isr": NODES - 1,
    "default.replication.factor": NODES,
    "min.insync.replicas": NODES - 1,
    # A killed broker is replaced within seconds, not within half a minute.
    "broker.session.timeout.ms": 6000,
    "broker.heartbeat.interval.ms": 1000,
    "replica.lag.time.max.ms": 6000,
}


class KafkaNode(KafkaServer):
    """A broker of a cluster; its address is the direct one."""

    port_count: ClassVar[int] = 3
    heap_mb: ClassVar[int] = 256

    def __init__(self, folder: Path, node_id: int, ports: list[int], cluster: str, voters: str) -> None:
        """`ports`: direct, for clients, and of the controller. `cluster`: its id."""
        super().__init__(folder)
        self.node_id = node_id
        self.advertised_port = self.client_port = ports[1]
        self._ports = ports
        self._cluster = cluster
        self._voters = voters

    def settings(self) -> dict[str, object]:
        direct, client, controller = (f"127.0.0.1:{port}" for port in self._ports)
        return {
            **SETTINGS,
            **_SETTINGS,
            "node.id": self.node_id,
            "controller.quorum.voters": self._voters,
            "listener.security.protocol.map": "DIRECT:PLAINTEXT,CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "listeners": f"DIRECT://{direct},CLIENT://{client},CONTROLLER://{controller}",
            "advertised.listeners": f"DIRECT://{direct},CLIENT://127.0.0.1:{self.advertised_port}",
            "inter.broker.listener.name": "DIRECT",
            "log.dirs": self.folder / "data",
        }

    def cluster_id(self) -> str:
        return self._cluster


def make_cluster(folder: Path) -> list[KafkaNode]:
    """The brokers of a new cluster, stopped. Each may get another `advertised_port` before it is started."""
    ports = free_ports(NODES * KafkaNode.port_count)
    of_node = [ports[number::NODES] for number in range(NODES)]
    voters = ",".join(f"{number + 1}@127.0.0.1:{own[2]}" for number, own in enumerate(of_node))
    cluster = make_cluster_id()
    return [
        KafkaNode(folder / f"kafka-{number + 1}", number + 1, own, cluster, voters)
        for number, own in enumerate(of_node)
    ]


def start_cluster(nodes: list[KafkaNode]) -> None:
    """Start all brokers, and return when they serve clients: one alone has no majority."""
    for node in nodes:
        node.launch()
    for node in nodes:
        node.await_ready()
