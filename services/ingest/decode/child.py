"""A decoder process, both ends: the child serves decode jobs over a socket until its parent exits.

Run as `python -m services.ingest.decode.child FD`; the parent holds a DecoderProcess.

Files come from strangers and FFmpeg is a million lines of C, so this process is expendable. A file that takes it over
gains little: no environment, no writable files, limited memory, and only JSON with raw bytes to communicate.

    parent -> child   one JSON object with the file's descriptor attached: every_s, size, remove_bars, panels, limits,
                      checkpoint_s; a second descriptor has the checkpoint from which to go on
    child -> parent   {"type": "ready"}, once; then per job
                      {"type": "frames", "timestamps_s": [...], "shape": [n, H, W, 3]} and the pixels, repeatedly, and
                      {"type": "checkpoint", "time_s": ...} with the checkpoint among them, then
                      {"type": "done", "duration_s": ...} or {"type": "failed", "reason": ...}
    child messages    PREFIX (bytes of JSON, bytes of payload), JSON, payload
"""

import ctypes
import json
import math
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

import services
from tca_model.errors import DecodeError
from tca_model.types import Frame
from tca_model.video.checkpoint import Checkpoint
from tca_model.video.decode import DecodeLimits, SampleOptions, sample_with_checkpoints

PREFIX = struct.Struct("!II")
CHUNK_FRAMES = 16  # 2.4 MB at 224x224: large enough to amortise a message, small enough to arrive early
MAX_CHECKPOINT_BYTES = 1024 * 1024  # 0.1 MB is usual; a file that needs more has none
# A job is far smaller than what one sendmsg() on a Unix socket transfers atomically, so one read receives all of it.
JOB_BYTES = 4096
MAX_HEADER_BYTES = 16 * 1024  # a chunk's header is below 1 KB
RECEIVE_BYTES = 1024 * 1024
OPEN_FILES = 32  # for the interpreter, the socket and one video
PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the parent decides
    threading.Thread(target=_exit_with_parent, args=(channel.fileno(),), daemon=True).start()
    _confine()
    _send(channel, {"type": "ready"})  # a death before this message is not the fault of a video
    with suppress(ConnectionError):  # the parent exited during a job
        while (received := socket.recv_fds(channel, JOB_BYTES, 2))[0]:
            data, descriptors, _, _ = received
            _serve(channel, json.loads(data), *descriptors)


def _serve(channel: socket.socket, job: dict[str, Any], descriptor: int, checkpoint: int | None = None) -> None:
    limits = DecodeLimits(**job["limits"])
    _cap(limits)
    try:
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            options = SampleOptions(job["every_s"], tuple(job["size"]), job["remove_bars"], job["panels"], limits)
            resume = None if checkpoint is None else _read_checkpoint(checkpoint)
            checkpoint_s = job["checkpoint_s"] or math.inf
            sampling = sample_with_checkpoints(file, options, checkpoint_s=checkpoint_s, resume=resume)
            duration_s = _send_frames(channel, sampling)
        _send(channel, {"type": "done", "duration_s": duration_s})
    except DecodeError as error:
        _send(channel, {"type": "failed", "reason": str(error)})
    except MemoryError:
        _send(channel, {"type": "failed", "reason": "decoding needs more memory than is allowed"})


def _read_checkpoint(descriptor: int) -> Checkpoint | None:
    with os.fdopen(descriptor, "rb") as file, suppress(ValueError):  # of another release
        return Checkpoint.from_bytes(file.read())
    return None


def _send_frames(channel: socket.socket, sampling: Generator[Frame | Checkpoint, None, float]) -> float:
    """Send the frames in chunks, including those before an error. Returns the duration in seconds."""
    chunk: list[Frame] = []
    try:
        while True:
            sampled = next(sampling)
            if isinstance(sampled, Frame):
                chunk.append(sampled)
            if chunk and (len(chunk) == CHUNK_FRAMES or isinstance(sampled, Checkpoint)):
                _send_chunk(channel, chunk)
                chunk = []
            if isinstance(sampled, Checkpoint) and len(state := sampled.to_bytes()) <= MAX_CHECKPOINT_BYTES:
                _send(channel, {"type": "checkpoint", "time_s": sampled.time_s}, state)
    except StopIteration as end:
        duration_s: float = end.value
        return duration_s
    finally:
        if chunk:
            _send_chunk(channel, chunk)


def _send_chunk(channel: socket.socket, chunk: list[Frame]) -> None:
    images = np.stack([frame.image for frame in chunk])
    times = [frame.timestamp_s for frame in chunk]
    _send(channel, {"type": "frames", "timestamps_s": times, "shape": images.shape}, images.tobytes())


def _send(channel: socket.socket, header: dict[str, Any], payload: bytes = b"") -> None:
    encoded = json.dumps(header).encode()
    channel.sendall(PREFIX.pack(len(encoded), len(payload)) + encoded)
    channel.sendall(payload)


def _confine() -> None:
    """Drop, irrevocably, the rights that decoding does not need."""
    for what, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
    ):
        resource.setrlimit(what, (value, value))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")


def _cap(limits: DecodeLimits) -> None:
    """Limit memory, irrevocably, and the CPU time of this file.

    The kernel counts CPU time per process, so the limit is added to the time used so far.
    """
    _, hard_bytes = resource.getrlimit(resource.RLIMIT_AS)
    cap_bytes = (
        limits.max_memory_bytes if hard_bytes == resource.RLIM_INFINITY else min(limits.max_memory_bytes, hard_bytes)
    )
    resource.setrlimit(resource.RLIMIT_AS, (cap_bytes, cap_bytes))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used_s = int(usage.ru_utime + usage.ru_stime)
    _, hard_s = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (used_s + 1 + limits.max_cpu_s, hard_s))


def _exit_with_parent(descriptor: int) -> None:
    """End the process when the other end of the socket closes, even while a frame is decoded.

    PR_SET_PDEATHSIG does not work here: it fires when the parent *thread* that started this process ends.
    """
    watch = select.poll()
    watch.register(descriptor, 0)  # hang-up and errors are always reported; the main thread reads the data
    watch.poll()
    os._exit(0)


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


if __name__ == "__main__":
    main()
