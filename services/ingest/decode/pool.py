"""Decodes video files in child processes, so that a file that crashes FFmpeg kills a child and not the worker.

One thread drives a pool: it calls `submit` while `free` is positive, then `poll`; any other thread may `wake` the poll.
Back-pressure comes from the sockets alone: a child that is ahead blocks until it is polled. Nothing that a child sends
is trusted: sizes are limited before they are read, values are checked, and a child that breaks the protocol is killed.
"""

import json
import math
import os
import selectors
import signal
import time
from contextlib import ExitStack
from dataclasses import asdict, replace
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from services.ingest.decode.child import CHUNK_FRAMES, MAX_CHECKPOINT_BYTES
from services.ingest.decode.events import CheckpointReached, DecodeEvent, DecodeFailed, DecodeFinished, FramesDecoded
from services.ingest.decode.process import DecoderProcess, explain_end
from tca_model.types import Times
from tca_model.video.decode import DecodeLimits
from tca_model.video.panels import MOST_VIEWS

MAX_REASON_CHARACTERS = 300
# A new child per 100 files limits what FFmpeg leaks and fragments; a start costs 0.3 s, which is 3 ms per file.
FILES_PER_CHILD = 100
# A child that has more when a file is done kept something of it, which the next file would miss. A new one has 60 MB,
# and 70 MB after ordinary files.
MAX_IDLE_BYTES = 256 * 1024**2
# After its socket has closed, a child only has to exit the interpreter.
EXIT_GRACE_S = 2.0


class DecodePool:
    """Decodes at most `workers` files at a time, each in its own child process; children start when first needed.

    `size` is (width, height); it, `every_s`, `remove_bars`, `panels` and `limits` mean the same as in `sample_frames`.
    A child that sends nothing for `deadline_s` is killed and its file fails. The deadline never applies to a child
    whose data is still waiting to be read.
    """

    def __init__(
        self,
        *,
        workers: int,
        size: tuple[int, int],
        every_s: float,
        limits: DecodeLimits,
        deadline_s: float,
        remove_bars: bool = False,
        panels: bool = False,
    ) -> None:
        if workers < 1 or deadline_s <= 0:
            raise ValueError(f"workers and deadline_s must be positive, got {workers} and {deadline_s}")
        self._workers = workers
        self._limits = limits
        self._deadline_s = deadline_s
        self._picture = (size[1], size[0], 3)
        self._task = {"every_s": every_s, "size": size, "remove_bars": remove_bars, "panels": panels}
        self._idle: list[DecoderProcess] = []
        self._busy: list[DecoderProcess] = []
        self._selector = selectors.DefaultSelector()
        self._bell = os.fdopen(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC), "rb", buffering=0)
        self._selector.register(self._bell, selectors.EVENT_READ)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def free(self) -> int:
        """How many more jobs `submit` accepts now."""
        return self._workers - len(self._busy)

    def submit(
        self,
        job: str,
        file: BinaryIO,
        *,
        max_duration_s: float = math.inf,
        checkpoint_s: float = math.inf,
        resume: bytes | None = None,
    ) -> None:
        """Start a job; the file must have a descriptor, and is closed here.

        `max_duration_s`: a limit for this file, if it is below the pool's. `checkpoint_s`: how much video lies between
        two checkpoints. `resume`: a checkpoint of an equal file from which to go on; its frames come from the start if
        that is impossible. Raises RuntimeError if no worker is free or children cannot start.
        """
        if self.free == 0:
            raise RuntimeError(f"all {self._workers} decoders are busy")
        limits = replace(self._limits, max_duration_s=min(max_duration_s, self._limits.max_duration_s))
        every = {"checkpoint_s": checkpoint_s if math.isfinite(checkpoint_s) else None}
        message = json.dumps({**self._task, **every, "limits": asdict(limits)}).encode()
        with ExitStack() as files:
            sent = [files.enter_context(file)]
            if resume is not None:
                sent.append(files.enter_context(_in_memory(resume)))
            child = self._idle.pop() if self._idle else self._start()
            while not child.take(job, message, sent):
                status = child.reap(EXIT_GRACE_S)
                if not child.ready:
                    raise RuntimeError(f"the decoder process cannot start (exit status {status})")
                child = self._idle.pop() if self._idle else self._start()
        child.checkpoint_s = child.next_checkpoint_s = checkpoint_s
        self._busy.append(child)
        self._selector.register(child.channel, selectors.EVENT_READ, child)

    def poll(self, timeout_s: float) -> list[DecodeEvent]:
        """Wait up to `timeout_s` for events; at most one per job, in no order between jobs.

        Returns [] if nothing arrived in that time, or the pool was woken. Raises RuntimeError if children cannot
        start.
        """
        until_s = time.monotonic() + timeout_s
        while True:
            alarm_s = min([until_s, *(child.progress_s + self._deadline_s for child in self._busy)])
            selected = self._selector.select(max(0.0, alarm_s - time.monotonic()))
            readable = [key.data for key, _ in selected if key.data is not None]
            woken = len(readable) < len(selected)
            if woken:
                os.eventfd_read(self._bell.fileno())
            overdue_s = time.monotonic() - self._deadline_s
            late = [child for child in self._busy if child not in readable and child.progress_s <= overdue_s]
            events = [event for child in readable if (event := self._advance(child)) is not None]
            reason = f"the decoder sent no frame for {self._deadline_s:g} s"
            events += [self._fail(child, reason, may_pass=True) for child in late]
            if events or woken or time.monotonic() >= until_s:
                return events

    def wake(self) -> None:
        """Make the current or next `poll` return immediately; any thread may call it until the pool is closed."""
        os.eventfd_write(self._bell.fileno(), 1)

    def cancel(self, job: str) -> None:
        """Drop a job and end its child; does nothing for an unknown job."""
        for child in self._busy:
            if child.job == job:
                self._forget(child)
                child.reap()
                return

    def close(self) -> None:
        """End all children, even in the middle of a job, and drop their jobs."""
        for child in self._busy + self._idle:
            child.reap()
        self._busy, self._idle = [], []
        self._selector.close()
        self._bell.close()

    def _start(self) -> DecoderProcess:
        return DecoderProcess(max(CHUNK_FRAMES * math.prod(self._picture), MAX_CHECKPOINT_BYTES))

    def _advance(self, child: DecoderProcess) -> DecodeEvent | None:
        try:
            message = child.receive()
            return None if message is None else self._accept(child, *message)
        except EOFError:
            return self._on_child_died(child)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            return self._fail(child, f"the decoder broke the protocol ({type(error).__name__})")

    def _accept(self, child: DecoderProcess, header: dict[str, Any], payload: bytearray) -> DecodeEvent | None:
        """Turn a message into an event. Raises ValueError, KeyError or TypeError if it breaks the protocol."""
        job = str(child.job)
        match header["type"]:
            case "ready":
                child.ready = True
                return None
            case "frames":
                times_s = np.array(header["timestamps_s"], dtype=np.float64)
                images = np.frombuffer(payload, dtype=np.uint8).reshape(-1, *self._picture)
                child.frames += len(images)
                most = self._limits.max_sampled_frames * MOST_VIEWS
                if child.frames > most or not _is_ascending(child.latest_s, times_s):
                    raise ValueError("too many frames, or times that decrease")
                child.latest_s = float(times_s[-1])
                if child.latest_s > self._limits.max_duration_s:
                    raise ValueError("a time beyond the limit")
                return FramesDecoded(job, times_s, images)
            case "checkpoint":
                time_s = float(header["time_s"])
                if not max(child.latest_s, child.next_checkpoint_s) <= time_s <= self._limits.max_duration_s:
                    raise ValueError("a checkpoint too early, or beyond the limit")
                child.next_checkpoint_s = time_s + child.checkpoint_s
                return CheckpointReached(job, time_s, bytes(payload))
            case "done":
                duration_s, share = float(header["duration_s"]), float(header["decoded_share"])
                if not (math.isfinite(duration_s) and duration_s >= child.latest_s and child.frames):
                    raise ValueError("no frames, or a duration shorter than they are")
                if not 0 <= share <= 1:
                    raise ValueError("not a share")
                self._release(child)
                return DecodeFinished(job, duration_s, share)
            case "failed":  # which may have left anything in the child
                reason = str(header["reason"])[:MAX_REASON_CHARACTERS]
                return self._fail(child, "".join(c if c.isprintable() else "?" for c in reason))
            case other:
                raise ValueError(f"message {other!r}")

    def _release(self, child: DecoderProcess) -> None:
        self._forget(child)
        if child.files >= FILES_PER_CHILD or child.resident_bytes > MAX_IDLE_BYTES:
            child.reap()
        else:
            self._idle.append(child)

    def _forget(self, child: DecoderProcess) -> None:
        self._selector.unregister(child.channel)
        self._busy.remove(child)

    def _fail(self, child: DecoderProcess, reason: str, *, may_pass: bool = False) -> DecodeFailed:
        self._forget(child)
        child.reap()
        return DecodeFailed(str(child.job), reason, may_pass)

    def _on_child_died(self, child: DecoderProcess) -> DecodeFailed:
        """The event for a job whose child has died.

        A child that died before it was ready is a start-up failure, not the file's fault: raises RuntimeError.
        """
        self._forget(child)
        status = child.reap(EXIT_GRACE_S)
        if not child.ready:
            raise RuntimeError(f"the decoder process cannot start (exit status {status})")
        reason = explain_end(status, limits=self._limits, video_s=child.latest_s)
        return DecodeFailed(str(child.job), reason, may_pass=status == -signal.SIGKILL)


def _in_memory(content: bytes) -> BinaryIO:
    """A file with this content that has a descriptor and no name."""
    file = os.fdopen(os.memfd_create("checkpoint"), "w+b", buffering=0)
    file.write(content)
    file.seek(0)
    return file


def _is_ascending(latest_s: float, times_s: Times) -> bool:
    return bool(
        len(times_s) and np.isfinite(times_s).all() and times_s[0] >= latest_s and (np.diff(times_s) >= 0).all()
    )
