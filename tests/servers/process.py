"""A server for tests to start, freeze, kill and start again: one process, in a folder of its own, on free ports.

Nothing is left behind: servers are stopped by pid, and on Linux end with the thread that started them, however it
ends. So start them in the main thread, or in one that outlives them.
"""

import abc
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar, Final, Protocol

# Below the range from which systems take ports for outgoing connections: else a client that keeps on trying a port
# whose server is stopped may come to be connected with itself, and the server finds its port taken.
_PORTS: Final = range(10_000, 32_000)
_ATTEMPTS: Final = 3  # another program may take a port between the look and the use

# Becomes the server, and asks to be killed with the thread that started it. That has to be done in the new process,
# and `preexec_fn` is unsafe, and a warning since Python 3.12, in a process with threads.
_LAUNCH: Final = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the test process ended meanwhile")
os.execvp(sys.argv[2], sys.argv[2:])
"""


class Unavailable(Exception):
    """The server cannot be had on this machine; the message says what to install."""


class NotStarted(Exception):
    """The server ended, or took too long; the message ends with its log."""


class Backend(Protocol):
    """What a test that only talks to a server needs of it."""

    @property
    def address(self) -> str:
        """As it stands in the project's settings."""


class Server(abc.ABC):
    """A stopped server, whose data and log are in `folder`, and which keeps its ports over restarts.

    `lasting` is for people, not tests: the server outlives this process, and keeps what it can keep.
    """

    name: ClassVar[str]
    address_start: ClassVar[str] = ""
    port_count: ClassVar[int] = 1  # the first is the one that clients use
    start_s: ClassVar[float] = 50.0
    stop_s: ClassVar[float] = 10.0  # a server that has not ended by then on SIGTERM is killed

    def __init__(self, folder: Path, *, port: int | None = None, lasting: bool = False) -> None:
        self.folder = folder.absolute()
        self.lasting = lasting
        self._port = port
        self._ports: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def port(self) -> int:
        if not self._ports:
            self._choose_ports()
        return self._ports[0]

    @property
    def address(self) -> str:
        return f"{self.address_start}127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ValueError(f"{self.name} does not run")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Return when the server answers. Raises Unavailable or NotStarted."""
        if self.running:
            raise ValueError(f"{self.name} runs already")
        first = not self._ports
        for attempt in range(_ATTEMPTS):
            if first:
                self._choose_ports()
            try:
                self._launch()
                self._await_ready()
            except BaseException as error:
                self.kill()
                if first and isinstance(error, NotStarted) and attempt < _ATTEMPTS - 1:
                    continue
                raise
            return

    def stop(self) -> None:
        """End it as an operator would; harmless when it does not run."""
        if self.running:
            self.resume()  # a frozen process takes no SIGTERM
            self._signal(signal.SIGTERM)
        self._wait(self.stop_s)

    def kill(self) -> None:
        """End it as a power cut would; harmless when it does not run."""
        self._wait(0)

    def pause(self) -> None:
        """Freeze it: connections stay, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def log_text(self) -> str:
        """What it has logged since its last start."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    @abc.abstractmethod
    def prepare(self) -> None:
        """Make what the command needs. Called before every start. Raises Unavailable."""

    @abc.abstractmethod
    def command(self) -> list[str]: ...

    def environment(self) -> Mapping[str, str]:
        """Variables beside those of this process."""
        return {}

    @abc.abstractmethod
    def answers(self) -> bool:
        """Whether clients are served; may raise OSError for no."""

    def _choose_ports(self) -> None:
        self._ports = free_ports(self.port_count)
        if self._port is not None:
            self._ports[0] = self._port

    def _launch(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.prepare()
        command = self.command()
        if not self.lasting:
            command = [sys.executable, "-S", "-E", "-c", _LAUNCH, str(os.getpid()), *command]
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=os.environ | dict(self.environment()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the tests, which stop their servers themselves
            )

    def _await_ready(self) -> None:
        deadline = time.monotonic() + self.start_s
        while self.running and time.monotonic() < deadline:
            try:
                if self.answers():
                    return
            except OSError:
                pass
            time.sleep(0.05)
        what = "takes too long" if self.running else "ended"
        raise NotStarted(f"{self.name} {what}:\n{self.log_text()[-4000:]}")

    def _signal(self, number: signal.Signals) -> None:
        if not self.running or self._process is None:
            raise ValueError(f"{self.name} does not run")
        self._process.send_signal(number)

    def _wait(self, grace_s: float) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def free_ports(count: int) -> list[int]:
    """Ports, all different, on which nothing listens, on any address."""
    with ExitStack() as bound:
        ports: list[int] = []
        for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
            one = bound.enter_context(socket.socket())
            try:
                one.bind(("", port))
            except OSError:
                continue
            ports.append(port)
            if len(ports) == count:
                return ports
    raise Unavailable("no free ports")


def is_free(port: int) -> bool:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            one.bind(("", port))
        except OSError:
            return False
    return True


def program(name: str, package: str) -> str:
    """Where the program is. Raises Unavailable, naming the package that has it."""
    # Debian puts servers where only root's PATH leads.
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise Unavailable(f"no {name}: apt-get install {package}")
    return found


def cache_folder() -> Path:
    """Where what takes long to download or unpack is kept, for every checkout of this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "copydetect"
