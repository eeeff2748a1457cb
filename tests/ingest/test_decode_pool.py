"""The pool gives what the reader gives, and outlives whatever becomes of its children."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from services.ingest import decode_child, decode_pool
from services.ingest.decode_child import PREFIX, DecoderProcess
from services.ingest.decode_pool import DecodeEvent, DecodeFailed, DecodeFinished, DecodePool, FramesDecoded
from tca_model.video import DecodeLimits, sample_frames
from tests.clips import picture, steady, write_clip

SIZE = (32, 24)
PATIENCE_S = 30.0


@pytest.fixture
def make_pool() -> Iterator[Callable[..., DecodePool]]:
    pools = []

    def make(**changes: object) -> DecodePool:
        settings = {"workers": 1, "size": SIZE, "every_s": 1.0, "limits": DecodeLimits(), "deadline_s": PATIENCE_S}
        pools.append(DecodePool(**(settings | changes)))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "a.mp4", steady(40, 10))


def drain(pool: DecodePool, jobs: int = 1) -> list[DecodeEvent]:
    """All events until `jobs` jobs have ended."""
    events: list[DecodeEvent] = []
    give_up_s = time.monotonic() + PATIENCE_S
    while sum(not isinstance(event, FramesDecoded) for event in events) < jobs:
        assert time.monotonic() < give_up_s, f"only {events}"
        events += pool.poll(1.0)
    return events


def child_of(pool: DecodePool) -> DecoderProcess:
    [child] = pool._busy + pool._idle
    return child


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_s
        time.sleep(0.01)


def test_frames_equal_those_of_the_reader(make_pool: Callable[..., DecodePool], clip: Path) -> None:
    pool = make_pool()
    file = clip.open("rb")
    pool.submit("job", file)
    assert file.closed
    assert pool.free == 0
    *chunks, end = drain(pool)
    with clip.open("rb") as again:
        expected = list(sample_frames(again, size=SIZE))
    assert {chunk.job for chunk in chunks} == {"job"}
    assert max(len(chunk.images) for chunk in chunks) == decode_child.CHUNK_FRAMES
    assert np.array_equal(np.concatenate([chunk.timestamps_s for chunk in chunks]), [f.timestamp_s for f in expected])
    assert np.array_equal(np.concatenate([chunk.images for chunk in chunks]), np.stack([f.image for f in expected]))
    assert end == DecodeFinished("job", pytest.approx(40, abs=0.2))
    assert pool.free == 1


def test_files_share_the_children(make_pool: Callable[..., DecodePool], clip: Path, tmp_path: Path) -> None:
    pool = make_pool(workers=2)
    assert pool.poll(0) == []
    (tmp_path / "junk").write_bytes(b"junk")
    pool.submit("good", clip.open("rb"))
    pool.submit("bad", (tmp_path / "junk").open("rb"))
    with clip.open("rb") as file:
        with pytest.raises(RuntimeError, match="busy"):
            pool.submit("more", file)
        assert not file.closed
    events = drain(pool, jobs=2)
    ends = {event.job: event for event in events if not isinstance(event, FramesDecoded)}
    assert isinstance(ends["good"], DecodeFinished)
    assert ends["bad"] == DecodeFailed("bad", "not a video, or of a format that is not accepted")
    pids = {child.process.pid for child in pool._idle}
    pool.submit("again", clip.open("rb"))
    assert isinstance(drain(pool)[-1], DecodeFinished)
    assert {child.process.pid for child in pool._idle} == pids


def test_a_limit_fails_the_job_after_its_frames(make_pool: Callable[..., DecodePool], clip: Path) -> None:
    pool = make_pool(limits=DecodeLimits(max_sampled_frames=20))
    pool.submit("job", clip.open("rb"))
    *chunks, end = drain(pool)
    assert sum(len(chunk.images) for chunk in chunks) == 20
    assert end == DecodeFailed("job", "more than 20 sampled frames")


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGKILL, "killed"), (signal.SIGSEGV, "crashed"), (signal.SIGXCPU, "processor time")]
)
def test_a_child_that_dies_fails_its_file_only(
    make_pool: Callable[..., DecodePool], clip: Path, number: signal.Signals, words: str
) -> None:
    pool = make_pool(workers=2, size=(300, 300))  # frames enough to block the child in the middle of the file
    pool.submit("doomed", clip.open("rb"))
    wait_until(lambda: bool(pool.poll(0.1)))
    doomed = child_of(pool).process.pid
    pool.submit("other", clip.open("rb"))
    os.kill(doomed, number)
    ends = [event for event in drain(pool, jobs=2) if not isinstance(event, FramesDecoded)]
    [failed] = [event for event in ends if event.job == "doomed"]
    assert isinstance(failed, DecodeFailed)
    assert words in failed.reason
    assert [event.job for event in ends if isinstance(event, DecodeFinished)] == ["other"]
    pool.submit("next", clip.open("rb"))
    assert isinstance(drain(pool)[-1], DecodeFinished)


def test_a_file_may_have_a_shorter_limit_of_its_own(make_pool: Callable[..., DecodePool], clip: Path) -> None:
    pool = make_pool(limits=DecodeLimits(max_duration_s=50))
    for limit_s, ends in ((10, DecodeFailed), (90, DecodeFinished)):
        pool.submit("job", clip.open("rb"), max_duration_s=limit_s)
        end = drain(pool)[-1]
        assert isinstance(end, ends)
    pool.submit("job", clip.open("rb"), max_duration_s=10)
    assert drain(pool)[-1] == DecodeFailed("job", "longer than the limit of 10 s")


def test_a_child_that_died_idle_is_replaced(make_pool: Callable[..., DecodePool], clip: Path) -> None:
    pool = make_pool()
    pool.submit("first", clip.open("rb"))
    drain(pool)
    child = child_of(pool)
    os.kill(child.process.pid, signal.SIGKILL)
    child.process.wait()
    pool.submit("second", clip.open("rb"))
    assert isinstance(drain(pool)[-1], DecodeFinished)


@pytest.mark.integration
def test_a_child_that_hangs_meets_the_deadline(make_pool: Callable[..., DecodePool], clip: Path) -> None:
    pool = make_pool(deadline_s=2.0, size=(300, 300))
    pool.submit("hung", clip.open("rb"))
    wait_until(lambda: bool(pool.poll(0.1)))
    pid = child_of(pool).process.pid
    os.kill(pid, signal.SIGSTOP)
    assert drain(pool)[-1] == DecodeFailed("hung", "the decoder gave no frame for 2 s")
    assert not is_running(pid)
    pool.submit("next", clip.open("rb"))
    assert isinstance(drain(pool)[-1], DecodeFinished)


@pytest.mark.integration
def test_a_parent_that_is_busy_is_not_held_against_the_child(make_pool: Callable[..., DecodePool], clip: Path) -> None:
    pool = make_pool(deadline_s=1.5, size=(300, 300))
    pool.submit("job", clip.open("rb"))
    wait_until(lambda: bool(pool.poll(0.1)))
    time.sleep(2.0)
    assert isinstance(drain(pool)[-1], DecodeFinished)


def test_a_child_waits_until_it_is_polled(make_pool: Callable[..., DecodePool], clip: Path) -> None:
    pool = make_pool(every_s=0.1, size=(300, 300))
    pool.submit("job", clip.open("rb"))
    wait_until(lambda: bool(pool.poll(0.1)))
    stat = Path(f"/proc/{child_of(pool).process.pid}/stat")

    def used_ticks() -> int:
        return sum(map(int, stat.read_text().rsplit(")", 1)[1].split()[11:13]))

    wait_until(lambda: stat.read_text().rsplit(")", 1)[1].split()[0] == "S")
    time.sleep(0.2)
    before = used_ticks()
    time.sleep(0.3)
    assert used_ticks() == before
    events = drain(pool)
    assert sum(len(event.images) for event in events if isinstance(event, FramesDecoded)) > 300


def test_memory_beyond_the_limit_is_a_failure_in_words(make_pool: Callable[..., DecodePool], tmp_path: Path) -> None:
    large = write_clip(tmp_path / "large.mp4", steady(0.2, 5), size=(4096, 4096), codec="mpeg4")
    pool = make_pool(limits=DecodeLimits(max_memory_bytes=400 * 1024**2), size=(6000, 6000))
    pool.submit("large", large.open("rb"))
    end = drain(pool)[-1]
    assert isinstance(end, DecodeFailed)
    assert "memory" in end.reason


@pytest.mark.integration
def test_processor_time_is_counted_for_each_file(make_pool: Callable[..., DecodePool], tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 720, 1280, 3), np.uint8)
    images = [noise[n % 12] for n in range(300)]
    heavy = write_clip(
        tmp_path / "a.mkv", steady(12, 25), images=images, size=(1280, 720), codec="mjpeg", pix_fmt="yuvj420p"
    )
    pool = make_pool(limits=DecodeLimits(max_cpu_s=1), every_s=0.04, size=(640, 360))
    pool.submit("heavy", heavy.open("rb"))
    assert drain(pool)[-1] == DecodeFailed("heavy", "decoding it takes more than the limit of 1 s of processor time")


def test_children_ignore_ctrl_c_and_hold_no_secrets(
    make_pool: Callable[..., DecodePool], clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "secret")
    pool = make_pool()
    pool.submit("first", clip.open("rb"))
    drain(pool)
    child = child_of(pool)
    process = Path(f"/proc/{child.process.pid}")
    assert os.getpgid(child.process.pid) != os.getpgid(0)
    assert b"secret" not in (process / "environ").read_bytes()
    assert "NoNewPrivs:\t1" in (process / "status").read_text()
    limits = {line[:25].strip(): line[26:46].strip() for line in (process / "limits").read_text().splitlines()}
    assert limits["Max core file size"] == limits["Max file size"] == "0"
    assert limits["Max open files"] == str(decode_child.OPEN_FILES)
    assert limits["Max address space"] == str(DecodeLimits().max_memory_bytes)
    os.kill(child.process.pid, signal.SIGINT)
    pool.submit("second", clip.open("rb"))
    assert isinstance(drain(pool)[-1], DecodeFinished)
    assert child_of(pool) is child


def test_children_are_replaced_after_so_many_files(
    make_pool: Callable[..., DecodePool], clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_pool, "FILES_PER_CHILD", 2)
    pool = make_pool()
    pids = []
    for job in ("a", "b", "c"):
        pool.submit(job, clip.open("rb"))
        pids.append(child_of(pool).process.pid)
        drain(pool)
    assert pids[0] == pids[1] != pids[2]
    assert not is_running(pids[0])


def test_close_leaves_no_process(make_pool: Callable[..., DecodePool], clip: Path) -> None:
    with make_pool(workers=2, size=(300, 300)) as pool:
        pool.submit("done", clip.open("rb"))
        drain(pool)
        pool.submit("half", clip.open("rb"))
        pool.submit("starting", clip.open("rb"))
        pids = [child.process.pid for child in pool._busy + pool._idle]
        assert len(pids) == 2
    assert not any(is_running(pid) for pid in pids)


def test_children_end_with_their_parent(make_pool: Callable[..., DecodePool], clip: Path) -> None:
    pool = make_pool(size=(300, 300))
    pool.submit("job", clip.open("rb"))
    wait_until(lambda: bool(pool.poll(0.1)))
    child = child_of(pool)
    pool._selector.unregister(child.channel)
    pool._busy.clear()
    child.channel.close()  # what the kernel does when the parent is killed
    assert child.process.wait(PATIENCE_S) == 0


def test_a_child_that_cannot_start_is_no_fault_of_the_file(
    make_pool: Callable[..., DecodePool], clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_child.sys, "executable", "/bin/false")
    pool = make_pool()
    with pytest.raises(RuntimeError, match="cannot start"):  # noqa: PT012  which of the two calls notices is a race
        pool.submit("job", clip.open("rb"))
        drain(pool)


def message(header: bytes, payload: bytes = b"") -> bytes:
    return PREFIX.pack(len(header), len(payload)) + header + payload


PIXELS = picture(0, SIZE).tobytes()


@pytest.mark.parametrize(
    "sent",
    [
        PREFIX.pack(2**31, 0),
        PREFIX.pack(2, 2**31),
        message(b"not json"),
        message(b"[" * 10_000),
        message(b"[1]"),
        message(b'{"type": "os.system"}'),
        message(b'{"type": "frames", "timestamps_s": [0]}', PIXELS[:-1]),
        message(b'{"type": "frames", "timestamps_s": [NaN]}', PIXELS),
        message(b'{"type": "frames", "timestamps_s": [1, 0]}', PIXELS + PIXELS),
        message(b'{"type": "frames", "timestamps_s": [0, 1]}', PIXELS),
        message(b'{"type": "frames", "timestamps_s": []}'),
        message(b'{"type": "done", "duration_s": Infinity}'),
        message(b'{"type": "done"}'),
        message(b'{"type": "done", "duration_s": 9}'),
        message(b'{"type": "frames", "timestamps_s": [9]}', PIXELS) + message(b'{"type": "done", "duration_s": 8}'),
        message(b'{"type": "frames", "timestamps_s": [1e300]}', PIXELS),
    ],
)
def test_a_child_that_was_taken_over_is_killed(
    make_pool: Callable[..., DecodePool], clip: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    pool = make_pool()
    pool.submit("job", clip.open("rb"))
    child = child_of(pool)
    ours, theirs = socket.socketpair()
    pool._selector.unregister(child.channel)
    child.channel.close()
    monkeypatch.setattr(child, "channel", ours)
    ours.setblocking(False)
    pool._selector.register(ours, 1, child)
    with theirs:
        theirs.sendall(sent)
        assert drain(pool)[-1].reason.startswith("the decoder broke the protocol")
    assert child.process.returncode is not None
