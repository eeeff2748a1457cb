"""The parent's end of a decoder process: what it sent, how far it is, how much memory it has, and why it ended."""

import json
import math
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import services
from services.ingest.decode.child import MAX_HEADER_BYTES, PREFIX
from tca_model.video.decode import DecodeLimits

RECEIVE_BYTES = 1024 * 1024


class DecoderProcess:
    """The parent's end: one running child and the progress of its current job."""

    def __init__(self, max_payload_bytes: int) -> None:
        self.channel, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.ingest.decode.child", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=_environment(),
                process_group=0,  # Ctrl-C must not reach it before it ignores SIGINT
            )
        self.channel.setblocking(False)
        self.ready = False
        self.job: str | None = None
        self.files = 0
        self.frames = 0
        self.latest_s = 0.0
        # How much video lies between two checkpoints, and the earliest time of the next one.
        self.checkpoint_s = self.next_checkpoint_s = math.inf
        self.progress_s = 0.0  # time.monotonic() when the job started or the child last sent something
        self._max_payload_bytes = max_payload_bytes
        self._inbox = bytearray()

    def take(self, job: str, message: bytes, files: Sequence[BinaryIO]) -> bool:
        """Send a job to the child. Returns False if the process has ended."""
        try:
            socket.send_fds(self.channel, [message], [file.fileno() for file in files])
        except (BrokenPipeError, ConnectionResetError):
            return False
        self.job, self.frames, self.latest_s, self.progress_s = job, 0, 0.0, time.monotonic()
        self.files += 1
        return True

    def receive(self) -> tuple[dict[str, Any], bytearray] | None:
        """Read the next message: header and payload, or None while it is incomplete.

        Raises EOFError if the child has ended, ValueError for a message that is too large.
        """
        while True:
            wanted = self._missing_bytes()
            if wanted == 0:
                header_bytes, _ = PREFIX.unpack_from(self._inbox)
                start = PREFIX.size + header_bytes
                header = json.loads(self._inbox[PREFIX.size : start])
                payload = self._inbox[start:]
                self._inbox = bytearray()
                return header, payload
            try:
                data = self.channel.recv(min(wanted, RECEIVE_BYTES))
            except BlockingIOError:
                return None
            except ConnectionResetError:
                data = b""
            if not data:
                raise EOFError
            self._inbox += data
            self.progress_s = time.monotonic()

    def _missing_bytes(self) -> int:
        if len(self._inbox) < PREFIX.size:
            return PREFIX.size - len(self._inbox)
        header_bytes, payload_bytes = PREFIX.unpack_from(self._inbox)
        if header_bytes > MAX_HEADER_BYTES or payload_bytes > self._max_payload_bytes:
            raise ValueError(f"a message of {header_bytes} + {payload_bytes} bytes")
        return int(PREFIX.size + header_bytes + payload_bytes - len(self._inbox))

    @property
    def resident_bytes(self) -> int:
        """How much memory it has; 0 if it has ended."""
        try:
            pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        except OSError:
            return 0
        return int(pages) * resource.getpagesize()

    def reap(self, grace_s: float = 0.0) -> int:
        """End the process, by force after `grace_s`. Returns its exit status (negative: the signal that ended it)."""
        self.channel.close()
        try:
            return self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def _environment() -> dict[str, str]:
    """The environment of a child: where the code is, and none of the worker's passwords."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    # numpy's thread pool would reserve 30 MB of address space per core, and decoding multiplies no matrices.
    return kept | {"PYTHONPATH": str(Path(services.__path__[0]).parent), "OPENBLAS_NUM_THREADS": "1"}


def explain_end(status: int, *, limits: DecodeLimits, video_s: float) -> str:
    """Why a process ended with this exit status (negative: a signal) after it had sent `video_s` of a file."""
    if status == -signal.SIGXCPU:
        is_total = limits.allow_cpu_s(video_s) >= limits.max_cpu_s
        limit = f"{limits.max_cpu_s} s" if is_total else f"{limits.cpu_per_s:g} s for each second of video"
        return f"decoding takes more processor time than the limit of {limit}"
    if status == -signal.SIGKILL:
        return "the decoder was killed (signal SIGKILL), as happens when memory runs out"
    if status < 0:
        return f"the decoder crashed (signal {signal.Signals(-status).name})"
    return f"the decoder ended in the middle of the file (exit status {status})"
