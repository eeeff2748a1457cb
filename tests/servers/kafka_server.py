"""Apache Kafka: one broker that is its own controller. Maven downloads the jars once, into the user's cache."""

import base64
import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import ClassVar, Final

from tests.servers.cached import ensure_folder
from tests.servers.process import Server, Unavailable, cache_folder, find_program

VERSION: Final = "4.1.0"  # as in the pom
_POM: Final = Path(__file__).parents[1] / "kafka" / "pom.xml"
# Little memory and a fast start: a broker for tests never runs long enough for the optimising compiler.
_JAVA_OPTIONS: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
SETTINGS: Final[dict[str, object]] = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    # There is only one broker for replicas.
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    # Every partition costs time at the start, and when a group or a transaction is first used.
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.num.partitions": 4,
    "group.initial.rebalance.delay.ms": 0,
    # A misspelt topic must be an error, not a new topic with the wrong number of partitions.
    "auto.create.topics.enable": "false",
}


class KafkaServer(Server):
    """A broker; its address is host:port. Topics must be created before they are used."""

    name: ClassVar[str] = "kafka"
    port_count: ClassVar[int] = 2
    heap_mb: ClassVar[int] = 512

    def prepare(self) -> None:
        self._java = find_program("java", "default-jre-headless")
        self._jars = ensure_jars()
        self._properties = self.folder / "server.properties"
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in self.settings().items()))
        if not (self.folder / "data" / "meta.properties").exists():
            self._format(self.cluster_id())

    def settings(self) -> dict[str, object]:
        """The broker's properties."""
        client, controller = (f"127.0.0.1:{port}" for port in self._ports)
        return SETTINGS | {
            "node.id": 1,
            "controller.quorum.voters": f"1@{controller}",
            "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "listeners": f"CLIENT://{client},CONTROLLER://{controller}",
            "advertised.listeners": f"CLIENT://{client}",
            "inter.broker.listener.name": "CLIENT",
            "log.dirs": self.folder / "data",
        }

    def cluster_id(self) -> str:
        """The id of the cluster that a new data folder belongs to."""
        return make_cluster_id()

    def command(self) -> list[str]:
        return self._run("kafka.Kafka", str(self._properties))

    def answers(self) -> bool:
        return "Kafka Server started" in self.log_text()

    def _format(self, cluster: str) -> None:
        formatted = subprocess.run(
            self._run("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._properties)),
            capture_output=True,
            text=True,
            timeout=self.start_s,
            check=False,
        )
        if formatted.returncode:
            raise Unavailable(f"Kafka cannot create its data folder: {formatted.stdout}{formatted.stderr}")

    def _run(self, main_class: str, *arguments: str) -> list[str]:
        return [self._java, f"-Xmx{self.heap_mb}m", *_JAVA_OPTIONS, "-cp", f"{self._jars}/*", main_class, *arguments]


def make_cluster_id() -> str:
    """A new id of a cluster."""
    # The letter prevents ids that start with a dash, which the tool would treat as an option.
    return "k" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]


def ensure_jars() -> Path:
    """The folder of the broker's jars; downloads them if necessary. Raises Unavailable."""
    return ensure_folder(cache_folder() / f"kafka-{VERSION}", _download)


def _download(folder: Path) -> None:
    maven = find_program("mvn", "maven")
    # By default Maven writes into the folder of the pom: a copy keeps the repository clean.
    pom = shutil.copy(_POM, folder / "pom.xml")
    downloaded = subprocess.run(
        [maven, "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={folder}"],
        capture_output=True,
        text=True,
        env=os.environ | {"MAVEN_OPTS": "-Xmx256m"},
        check=False,
    )
    if downloaded.returncode:
        raise Unavailable(f"Maven cannot download Kafka: {downloaded.stdout[-500:]}{downloaded.stderr[-500:]}")
