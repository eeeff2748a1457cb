"""Kafka, Redis and Milvus on this machine, to try things out: python -m tests.servers up .local (or down).

They run until `down`, and keep their data in the folder.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

from tests.servers.kafka_server import KafkaServer
from tests.servers.milvus_server import MilvusServer
from tests.servers.process import NotStarted, Server, Unavailable, is_free
from tests.servers.redis_server import RedisServer


class Kind(NamedTuple):
    """A server, its usual port, and the setting for its address."""

    server: type[Server]
    usual_port: int
    variable: str


class Process(NamedTuple):
    """A started process, as recorded in the folder."""

    pid: int
    started: str  # a pid alone may belong to another process by now
    address: str


KINDS: Final = (
    Kind(KafkaServer, 9092, "COPYDETECT_KAFKA_BROKERS"),
    Kind(RedisServer, 6379, "COPYDETECT_REDIS_URL"),
    Kind(MilvusServer, 19530, "COPYDETECT_MILVUS_URI"),
)
_STOP_S: Final = 15.0


def main(arguments: list[str] | None = None) -> int:
    """Run the command, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__)
    parser.add_argument("command", choices=["up", "down"])
    parser.add_argument("folder", type=Path)
    for kind in KINDS:
        name = kind.server.name
        usual = f"{kind.usual_port}, or a free one if that is in use"
        parser.add_argument(f"--{name}-port", type=int, help=f"the port of {name} ({usual})")
    options = parser.parse_args(arguments)
    if options.command == "down":
        down(options.folder)
        return 0
    try:
        up(options.folder, {kind.server.name: getattr(options, f"{kind.server.name}_port") for kind in KINDS})
    except (Unavailable, NotStarted) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def up(folder: Path, ports: dict[str, int | None]) -> list[Server]:
    """Start the servers that do not run yet, and return them; print the settings for all."""
    started = []
    folder.mkdir(parents=True, exist_ok=True)
    running = {name: one for name, one in read_processes(folder).items() if is_running(one)}
    for kind in KINDS:
        name = kind.server.name
        if name not in running:
            port = ports[name] or (kind.usual_port if is_free(kind.usual_port) else None)
            if port and not is_free(port):
                raise NotStarted(f"port {port} is in use: choose another with --{name}-port")
            server = kind.server(folder / name, port=port, lasting=True)
            server.start()
            started.append(server)
            running[name] = Process(server.pid, start_time(server.pid), server.address)
            write_processes(folder, running)
    for kind in KINDS:
        say(f"export {kind.variable}={running[kind.server.name].address}")
    return started


def down(folder: Path) -> None:
    """Stop the servers that `up` started."""
    for name, one in read_processes(folder).items():
        if is_running(one):
            os.kill(one.pid, signal.SIGTERM)
            deadline = time.monotonic() + _STOP_S
            while is_running(one) and time.monotonic() < deadline:
                time.sleep(0.1)
            if is_running(one):
                os.kill(one.pid, signal.SIGKILL)
            say(f"stopped {name}")
    write_processes(folder, {})


def is_running(one: Process) -> bool:
    return start_time(one.pid) == one.started


def start_time(pid: int) -> str:
    """The start time of the process, as text; empty if it has ended."""
    ps = shutil.which("ps") or "ps"
    listed = subprocess.run([ps, "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = listed.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()


def read_processes(folder: Path) -> dict[str, Process]:
    file = folder / "servers.json"
    return {name: Process(*one) for name, one in json.loads(file.read_text()).items()} if file.exists() else {}


def write_processes(folder: Path, processes: dict[str, Process]) -> None:
    if folder.is_dir():
        (folder / "servers.json").write_text(json.dumps(processes))


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
