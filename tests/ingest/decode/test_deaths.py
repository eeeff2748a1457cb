"""The pool survives children that die, hang, use too much, or cannot start."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from services.ingest.decode.events import DecodeEvent, DecodeFailed, DecodeFinished, FramesDecoded
from tca_model.video.decode import DecodeLimits
from tests.clips import steady, write_clip
from tests.ingest.decode.decoding import TIMEOUT_S, MakePool, child_of, drain, is_running, wait_until


@pytest.mark.parametrize(
    ("number", "reason"), [(signal.SIGKILL, "killed"), (signal.SIGSEGV, "crashed"), (signal.SIGXCPU, "processor time")]
)
def test_a_child_that_dies_fails_only_its_own_file(
    make_pool: MakePool, clip: Path, number: signal.Signals, reason: str
) -> None:
    pool = make_pool(workers=2, size=(300, 300))  # enough data to block the child in the middle of the file
    pool.submit("doomed", clip.open("rb"))
    wait_until(lambda: bool(pool.poll(0.1)))
    doomed = child_of(pool).process.pid
    pool.submit("other", clip.open("rb"))
    os.kill(doomed, number)
    ends = [event for event in drain(pool, jobs=2) if not isinstance(event, FramesDecoded)]
    [failed] = [event for event in ends if event.job == "doomed"]
    assert isinstance(failed, DecodeFailed)
    assert reason in failed.reason
    assert [event.job for event in ends if isinstance(event, DecodeFinished)] == ["other"]
    pool.submit("next", clip.open("rb"))
    assert isinstance(drain(pool)[-1], DecodeFinished)


def test_a_child_that_dies_while_idle_is_replaced(make_pool: MakePool, clip: Path) -> None:
    pool = make_pool()
    pool.submit("first", clip.open("rb"))
    drain(pool)
    child = child_of(pool)
    os.kill(child.process.pid, signal.SIGKILL)
    child.process.wait()
    pool.submit("second", clip.open("rb"))
    assert isinstance(drain(pool)[-1], DecodeFinished)


@pytest.mark.integration
def test_a_child_that_hangs_is_killed_at_the_deadline(make_pool: MakePool, clip: Path) -> None:
    pool = make_pool(deadline_s=2.0, size=(300, 300))
    pool.submit("hung", clip.open("rb"))
    wait_until(lambda: bool(pool.poll(0.1)))
    pid = child_of(pool).process.pid
    os.kill(pid, signal.SIGSTOP)
    assert drain(pool)[-1] == DecodeFailed("hung", "the decoder sent no frame for 2 s", may_pass=True)
    assert not is_running(pid)
    pool.submit("next", clip.open("rb"))
    assert isinstance(drain(pool)[-1], DecodeFinished)


@pytest.mark.integration
def test_the_deadline_does_not_count_the_time_in_which_the_parent_is_busy(make_pool: MakePool, clip: Path) -> None:
    pool = make_pool(deadline_s=1.5, size=(300, 300))
    pool.submit("job", clip.open("rb"))
    wait_until(lambda: bool(pool.poll(0.1)))
    time.sleep(2.0)
    assert isinstance(drain(pool)[-1], DecodeFinished)


def test_using_more_memory_than_allowed_fails_the_file_with_that_reason(make_pool: MakePool, tmp_path: Path) -> None:
    large = write_clip(tmp_path / "large.mp4", steady(0.2, 5), size=(4096, 4096), codec="mpeg4")
    pool = make_pool(limits=DecodeLimits(max_memory_bytes=400 * 1024**2), size=(6000, 6000))
    pool.submit("large", large.open("rb"))
    end = drain(pool)[-1]
    assert isinstance(end, DecodeFailed)
    assert "memory" in end.reason


HEAVY_S = 32
HEAVY_TIMEOUT_S = 200.0  # for some seconds of processor time, on a busy machine


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """800 pictures that take some milliseconds each, also on a fast machine."""
    noise = np.random.default_rng(0).integers(0, 256, (12, 180, 320, 3), np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    images, path = [noise[n % 12] for n in range(25 * HEAVY_S)], tmp_path_factory.mktemp("heavy") / "a.mkv"
    return write_clip(path, steady(HEAVY_S, 25), images=images, size=(1280, 720), codec="mjpeg", pix_fmt="yuvj420p")


def decode_heavy(make_pool: MakePool, heavy: Path, limits: DecodeLimits) -> DecodeEvent:
    """How the decoding of all its pictures ends."""
    pool = make_pool(limits=limits, every_s=0.04, size=(320, 180))
    pool.submit("heavy", heavy.open("rb"))
    return drain(pool, timeout_s=HEAVY_TIMEOUT_S)[-1]


@pytest.mark.integration
@pytest.mark.timeout(HEAVY_TIMEOUT_S + 60)
def test_the_limit_of_processor_time_applies_per_file(make_pool: MakePool, heavy: Path) -> None:
    end = decode_heavy(make_pool, heavy, DecodeLimits(max_cpu_s=1))
    assert end == DecodeFailed("heavy", "decoding takes more processor time than the limit of 1 s")


@pytest.mark.integration
@pytest.mark.timeout(2 * HEAVY_TIMEOUT_S + 60)
def test_processor_time_is_limited_in_proportion_to_the_video(make_pool: MakePool, heavy: Path) -> None:
    end = decode_heavy(make_pool, heavy, DecodeLimits(cpu_start_s=1, cpu_per_s=0.01))
    reason = "decoding takes more processor time than the limit of 0.01 s for each second of video"
    assert end == DecodeFailed("heavy", reason)
    assert isinstance(decode_heavy(make_pool, heavy, DecodeLimits(cpu_start_s=1, cpu_per_s=10)), DecodeFinished)


def test_children_end_when_their_parent_ends(make_pool: MakePool, clip: Path) -> None:
    pool = make_pool(size=(300, 300))
    pool.submit("job", clip.open("rb"))
    wait_until(lambda: bool(pool.poll(0.1)))
    child = child_of(pool)
    pool._selector.unregister(child.channel)
    pool._busy.clear()
    child.channel.close()  # what the kernel does when the parent is killed
    assert child.process.wait(TIMEOUT_S) == 0


def test_a_child_that_cannot_start_is_an_error_of_the_pool_and_not_of_the_file(
    make_pool: MakePool, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    pool = make_pool()
    with pytest.raises(RuntimeError, match="cannot start"):  # noqa: PT012  either call may notice it first
        pool.submit("job", clip.open("rb"))
        drain(pool)
