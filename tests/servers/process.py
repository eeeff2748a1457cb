"""A server that tests can start, freeze, kill and restart: one process, in its own folder, on free ports.

No process is left behind: servers are stopped by pid, and on Linux they end with the thread that started them, however
it ends. So start them in the main thread, or in one that outlives them.
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

# Below the range that systems use for outgoing connections: otherwise a client that keeps trying the port of a stopped
# server may connect to itself, and the server finds its port in use.
_PORTS: Final = range(10_000, 32_000)
_ATTEMPTS: Final = 3  # another program may use a port between the check and the start

# Becomes the server, and requests to be killed with the thread that started it. The new process must do that itself:
# `preexec_fn` is unsafe in a process with threads (a warning since Python 3.12).
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
    """The server is not available on this machine; the message says what to install."""


class NotStarted(Exception):
    """The server ended, or took too long to start; the message ends with its log."""


class Backend(Protocol):
    """What a test needs that only connects to a server."""

    @property
    def address(self) -> str:
        """The address as in the project's settings."""


class Server(abc.ABC):
    """A server with data and log in `folder`, stopped at first, which keeps its ports over restarts.

    `lasting` is for interactive use, not tests: the server outlives this process, and keeps its data if it can.
    """

    name: ClassVar[str]
    address_start: ClassVar[str] = ""
    port_count: ClassVar[int] = 1  # clients use the first
    start_s: ClassVar[float] = 50.0
    stop_s: ClassVar[float] = 10.0  # a server that has not ended so long after SIGTERM is killed

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
            raise ValueError(f"{self.name} is not running")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Return when the server answers. Raises Unavailable or NotStarted."""
        if self.is_running:
            raise ValueError(f"{self.name} is already running")
        first = not self._ports
        for attempt in range(_ATTEMPTS):
            if first:
                self._choose_ports()
            try:
                self._launch()
                self.await_ready()
            except BaseException as error:
                self.kill()
                if first and isinstance(error, NotStarted) and attempt < _ATTEMPTS - 1:
                    continue
                raise
            return

    def launch(self) -> None:
        """Start it without waiting until it answers (`await_ready`). Raises Unavailable."""
        if self.is_running:
            raise ValueError(f"{self.name} is already running")
        if not self._ports:
            self._choose_ports()
        self._launch()

    def await_ready(self) -> None:
        """Return when the server answers. Raises NotStarted."""
        deadline = time.monotonic() + self.start_s
        while self.is_running and time.monotonic() < deadline:
            try:
                if self.answers():
                    return
            except OSError:
                pass
            time.sleep(0.05)
        what = "takes too long" if self.is_running else "ended"
        raise NotStarted(f"{self.name} {what}:\n{self.log_text()[-4000:]}")

    def stop(self) -> None:
        """End it as an operator would; does nothing if it is not running."""
        if self.is_running:
            self.resume()  # a frozen process does not react to SIGTERM
            self._signal(signal.SIGTERM)
        self._wait(self.stop_s)

    def kill(self) -> None:
        """End it as a power failure would; does nothing if it is not running."""
        self._wait(0)

    def pause(self) -> None:
        """Freeze it: connections stay open, but nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def log_text(self) -> str:
        """The log since the last start."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    @abc.abstractmethod
    def prepare(self) -> None:
        """Create what the command needs. Called before every start. Raises Unavailable."""

    @abc.abstractmethod
    def command(self) -> list[str]: ...

    def environment(self) -> Mapping[str, str]:
        """Environment variables in addition to those of this process."""
        return {}

    @abc.abstractmethod
    def answers(self) -> bool:
        """Whether clients are served; may raise OSError instead of returning False."""

    def _choose_ports(self) -> None:
        self._ports = free_ports(self.port_count)
        if self._port is not None:
            self._ports[0] = self._port

    def _launch(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.prepare()
        command = self.command() if self.lasting else tie_to_this_process(self.command())
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=os.environ | dict(self.environment()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C goes to the tests, which stop their servers themselves
            )

    def _signal(self, number: signal.Signals) -> None:
        if not self.is_running or self._process is None:
            raise ValueError(f"{self.name} is not running")
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


def tie_to_this_process(command: list[str]) -> list[str]:
    """The command for a process that ends, on Linux, with the thread that starts it."""
    return [sys.executable, "-S", "-E", "-c", _LAUNCH, str(os.getpid()), *command]


def free_ports(count: int) -> list[int]:
    """Different ports on which nothing listens, on any address."""
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


def find_program(name: str, package: str) -> str:
    """The path of the program. Raises Unavailable that names its package."""
    # Debian puts servers into folders that are only on root's PATH.
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise Unavailable(f"no {name}: apt-get install {package}")
    return found


def cache_folder() -> Path:
    """The folder of large downloads and unpacked files, shared by all checkouts of this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "copydetect"
