"""Milvus 2.3.5, the newest server that is available as a wheel, with etcd, log and object store in one process.

The wheel's `milvus-server` starts the server as a child process, unpacks 250 MB into every data folder, and leaves etcd
on its usual ports. So only parts of it are used here, and we start the server ourselves.
"""

import importlib
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from tests.servers.cached import ensure_folder
from tests.servers.process import Server, Unavailable, cache_folder

# The wheel's names of its ports, the clients' port first. There is one more for metrics and health, and two for etcd.
_PORT_NAMES: Final = (
    "proxy_port",
    "proxy_internal_port",
    "root_coord_port",
    "query_coord_port",
    "query_node_port",
    "index_coord_port",
    "index_node_port",
    "data_coord_port",
    "data_node_port",
)


class MilvusServer(Server):
    """A server; its address is http://host:port. It listens on all addresses of the machine, without a password."""

    name: ClassVar[str] = "milvus"
    address_start: ClassVar[str] = "http://"
    port_count: ClassVar[int] = len(_PORT_NAMES) + 3
    # A strongly consistent read waits for the next tick; the default of 200 ms is most of a test's time.
    tick_ms: int = 50
    stop_s: ClassVar[float] = 5.0  # it sometimes ignores SIGTERM; acknowledged writes survive SIGKILL

    def prepare(self) -> None:
        milvus = _wheel()
        self._programs = ensure_programs()
        config = milvus.MilvusServerConfig(data_dir=str(self.folder))
        for name, port in zip(_PORT_NAMES, self._ports, strict=False):
            config.set(name, port)
        config.set("log.level", "warn")
        config.resolve_storage()
        config.write_config()
        *_, client, peer = (f"http://127.0.0.1:{port}" for port in self._ports)
        self._etcd.write_text(
            f"name: milvus\nlisten-client-urls: {client}\nadvertise-client-urls: {client}\n"
            f"listen-peer-urls: {peer}\ninitial-advertise-peer-urls: {peer}\ninitial-cluster: milvus={peer}\n"
        )

    def command(self) -> list[str]:
        return [str(self._programs / "milvus"), "run", "standalone"]

    def environment(self) -> Mapping[str, str]:
        return {
            "DEPLOY_MODE": "STANDALONE",
            "METRICS_PORT": str(self._health_port),
            "MILVUS_RUN_DIR": str(self.folder / "run"),
            "ETCD_CONFIG_PATH": str(self._etcd),
            # A new process waits so long for the registrations of a killed one to expire, and serves nothing
            # meanwhile; the default is 30 s. A server that is frozen for longer may end.
            "COMMON_SESSION_TTL": "20",
            "PROXY_TIMETICKINTERVAL": str(self.tick_ms),
            "LD_LIBRARY_PATH": str(self._programs),
        }

    def answers(self) -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._health_port}/healthz", timeout=5) as answer:
            return b"OK" in answer.read()

    @property
    def _etcd(self) -> Path:
        return self.folder / "configs" / "etcd.yaml"

    @property
    def _health_port(self) -> int:
        return self._ports[len(_PORT_NAMES)]


def ensure_programs() -> Path:
    """The folder of the server and its libraries; unpacks them if necessary. Raises Unavailable."""
    milvus = _wheel()

    def unpack(folder: Path) -> None:
        milvus._initialize_data_files(str(folder))
        for file in (folder / "bin").iterdir():
            file.rename(folder / file.name)

    return ensure_folder(cache_folder() / f"milvus-{milvus.__version__}", unpack)


def _wheel() -> Any:
    try:
        return importlib.import_module("milvus")
    except ImportError as error:
        raise Unavailable("no Milvus server: pip install milvus (wheels exist for Linux on x86_64)") from error
