"""A decoder process: serves decode jobs over a socket until its parent exits.

Run as `python -m services.ingest.decode.child FD`; the parent holds a DecoderProcess (services.ingest.decode.process).

Files come from strangers and FFmpeg is a million lines of C, so this process is expendable. A file that takes it over
gains little: no environment, no writable files, limited memory, and only JSON with raw bytes to communicate.

    parent -> child   one JSON object with the file's descriptor attached: every_s, size, remove_bars, panels, limits,
                      checkpoint_s; a second descriptor has the checkpoint from which to go on
    child -> parent   {"type": "ready"}, once; then per job
                      {"type": "frames", "timestamps_s": [...], "shape": [n, H, W, 3]} and the pixels, repeatedly, and
                      {"type": "checkpoint", "time_s": ...} with the checkpoint among them, then
                      {"type": "done", "duration_s": ..., "decoded_share": ...} or {"type": "failed", "reason": ...}
    child messages    PREFIX (bytes of JSON, bytes of payload), JSON, payload
"""

import ctypes
import gc
import json
import math
import os
import resource
import select
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

import numpy as np

from tca_model.errors import DecodeError
from tca_model.types import Frame
from tca_model.video.checkpoint import Checkpoint
from tca_model.video.decode import DecodeLimits, Sampled, SampleOptions, sample_with_checkpoints
from tca_model.video.reader import OUT_OF_MEMORY

PREFIX = struct.Struct("!II")
CHUNK_FRAMES = 16  # 2.4 MB at 224x224: large enough to amortise a message, small enough to arrive early
MAX_CHECKPOINT_BYTES = 1024 * 1024  # 0.1 MB is usual; a file that needs more has none
# A job is far smaller than what one sendmsg() on a Unix socket transfers atomically, so one read receives all of it.
JOB_BYTES = 4096
MAX_HEADER_BYTES = 16 * 1024  # a chunk's header is below 1 KB
OPEN_FILES = 32  # for the interpreter, the socket and one video
PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h


def main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the parent decides
    threading.Thread(target=_exit_with_parent, args=(channel.fileno(),), daemon=True).start()
    _confine()
    gc.freeze()  # what every file needs; what a file leaves is then collected in a moment
    _send(channel, {"type": "ready"})  # a death before this message is not the fault of a video
    with suppress(ConnectionError):  # the parent exited during a job
        while (received := socket.recv_fds(channel, JOB_BYTES, 2))[0]:
            data, descriptors, _, _ = received
            _serve(channel, json.loads(data), *descriptors)


def _serve(channel: socket.socket, job: dict[str, Any], descriptor: int, checkpoint: int | None = None) -> None:
    limits = DecodeLimits(**job["limits"])
    _cap_memory(limits)
    try:
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            options = SampleOptions(job["every_s"], tuple(job["size"]), job["remove_bars"], job["panels"], limits)
            resume = None if checkpoint is None else _read_checkpoint(checkpoint)
            checkpoint_s = job["checkpoint_s"] or math.inf
            sampling = sample_with_checkpoints(file, options, checkpoint_s=checkpoint_s, resume=resume)
            sampled = _send_frames(channel, sampling, _start_clock(limits))
        del sampling
        _return_memory()
        _send(channel, {"type": "done", **sampled._asdict()})
    except DecodeError as error:
        _send(channel, {"type": "failed", "reason": str(error)})
    except MemoryError:
        _send(channel, {"type": "failed", "reason": OUT_OF_MEMORY})


def _return_memory() -> None:
    """Give back what a file took, now: the parent looks at the memory of a child that is done."""
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc keeps up to 200 MB of 8K pictures as its heap
        trim(0)


def _read_checkpoint(descriptor: int) -> Checkpoint | None:
    with os.fdopen(descriptor, "rb") as file, suppress(ValueError):  # of another release
        return Checkpoint.from_bytes(file.read())
    return None


def _send_frames(
    channel: socket.socket,
    sampling: Generator[Frame | Checkpoint, None, Sampled],
    note_time: Callable[[float], None] = lambda _: None,
) -> Sampled:
    """Send the frames in chunks, including those before an error. `note_time` gets the time of each."""
    chunk: list[Frame] = []
    try:
        while True:
            sampled = next(sampling)
            if isinstance(sampled, Frame):
                note_time(sampled.timestamp_s)
                chunk.append(sampled)
            if chunk and (len(chunk) == CHUNK_FRAMES or isinstance(sampled, Checkpoint)):
                _send_chunk(channel, chunk)
                chunk = []
            if isinstance(sampled, Checkpoint) and len(state := sampled.to_bytes()) <= MAX_CHECKPOINT_BYTES:
                _send(channel, {"type": "checkpoint", "time_s": sampled.time_s}, state)
    except StopIteration as end:
        whole: Sampled = end.value
        return whole
    finally:
        if chunk:
            _send_chunk(channel, chunk)


def _send_chunk(channel: socket.socket, chunk: list[Frame]) -> None:
    images = np.stack([frame.image for frame in chunk])
    times = [frame.timestamp_s for frame in chunk]
    _send(channel, {"type": "frames", "timestamps_s": times, "shape": images.shape}, images.tobytes())
    gc.collect()  # a picture in a reference cycle takes up to 285 MB, and the collector counts it as one object


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


def _cap_memory(limits: DecodeLimits) -> None:
    """Limit memory, irrevocably."""
    _, hard_bytes = resource.getrlimit(resource.RLIMIT_AS)
    cap_bytes = (
        limits.max_memory_bytes if hard_bytes == resource.RLIM_INFINITY else min(limits.max_memory_bytes, hard_bytes)
    )
    resource.setrlimit(resource.RLIMIT_AS, (cap_bytes, cap_bytes))


def _start_clock(limits: DecodeLimits) -> Callable[[float], None]:
    """Limit the processor time of a file that begins now. Returns what extends the limit up to a time of the video.

    The kernel counts the time of the process, so the limit is added to what earlier files took.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used_s = int(usage.ru_utime + usage.ru_stime)
    _, hard_s = resource.getrlimit(resource.RLIMIT_CPU)

    def extend(video_s: float) -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (used_s + 1 + int(limits.allow_cpu_s(video_s)), hard_s))

    extend(0.0)
    return extend


def _exit_with_parent(descriptor: int) -> None:
    """End the process when the other end of the socket closes, even while a frame is decoded.

    PR_SET_PDEATHSIG does not work here: it fires when the parent *thread* that started this process ends.
    """
    watch = select.poll()
    watch.register(descriptor, 0)  # hang-up and errors are always reported; the main thread reads the data
    watch.poll()
    os._exit(0)


if __name__ == "__main__":
    main()
