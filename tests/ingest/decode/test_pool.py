"""The pool returns the frames that the reader returns, from isolated children that are reused."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from services.ingest.decode import child as decode_child
from services.ingest.decode import pool as decode_pool
from services.ingest.decode.events import DecodeFailed, DecodeFinished, FramesDecoded
from tca_model.video.decode import DecodeLimits, sample_frames
from tests.clips import write_parted_clip
from tests.ingest.decode.decoding import SIZE, TIMEOUT_S, MakePool, child_of, drain, drain_one, is_running, wait_until


def test_frames_equal_those_of_the_reader(make_pool: MakePool, clip: Path) -> None:
    pool = make_pool()
    file = clip.open("rb")
    pool.submit("job", file)
    assert file.closed
    assert pool.free == 0
    chunks, end = drain_one(pool)
    with clip.open("rb") as again:
        expected = list(sample_frames(again, size=SIZE))
    assert {chunk.job for chunk in chunks} == {"job"}
    assert max(len(chunk.images) for chunk in chunks) == decode_child.CHUNK_FRAMES
    assert np.array_equal(np.concatenate([chunk.timestamps_s for chunk in chunks]), [f.timestamp_s for f in expected])
    assert np.array_equal(np.concatenate([chunk.images for chunk in chunks]), np.stack([f.image for f in expected]))
    assert isinstance(end, DecodeFinished)
    assert end.job == "job"
    assert end.duration_s == pytest.approx(40, abs=0.2)
    assert end.decoded_share == 1.0
    assert pool.free == 1


def test_panels_come_after_their_frame_with_the_same_time(make_pool: MakePool, tmp_path: Path) -> None:
    clip = write_parted_clip(tmp_path / "parted.mp4")
    pool = make_pool(panels=True)
    pool.submit("job", clip.open("rb"))
    chunks, _ = drain_one(pool)
    with clip.open("rb") as again:
        expected = list(sample_frames(again, size=SIZE, panels=True))
    times_s = np.concatenate([chunk.timestamps_s for chunk in chunks])
    assert times_s.tolist() == [frame.timestamp_s for frame in expected]
    assert np.unique(times_s, return_counts=True)[1].tolist() == [3] * 8


def test_children_are_reused_for_later_files(make_pool: MakePool, clip: Path, tmp_path: Path) -> None:
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
    assert len(pids) == 1, "the child of a file that failed is not used again"
    pool.submit("again", clip.open("rb"))
    assert isinstance(drain(pool)[-1], DecodeFinished)
    assert {child.process.pid for child in pool._idle} == pids


def test_a_job_that_exceeds_a_limit_fails_after_the_frames_before_it(make_pool: MakePool, clip: Path) -> None:
    pool = make_pool(limits=DecodeLimits(max_sampled_frames=20))
    pool.submit("job", clip.open("rb"))
    chunks, end = drain_one(pool)
    assert sum(len(chunk.images) for chunk in chunks) == 20
    assert end == DecodeFailed("job", "more than 20 sampled frames")


def test_a_file_can_have_a_shorter_limit_than_the_pool(make_pool: MakePool, clip: Path) -> None:
    pool = make_pool(limits=DecodeLimits(max_duration_s=50))
    for limit_s, ends in ((10, DecodeFailed), (90, DecodeFinished)):
        pool.submit("job", clip.open("rb"), max_duration_s=limit_s)
        end = drain(pool)[-1]
        assert isinstance(end, ends)
    pool.submit("job", clip.open("rb"), max_duration_s=10)
    assert drain(pool)[-1] == DecodeFailed("job", "longer than the limit of 10 s")


def test_a_child_blocks_until_it_is_polled(make_pool: MakePool, clip: Path) -> None:
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


def test_children_ignore_ctrl_c_and_have_no_secrets(
    make_pool: MakePool, clip: Path, monkeypatch: pytest.MonkeyPatch
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


def test_children_are_replaced_after_a_number_of_files(
    make_pool: MakePool, clip: Path, monkeypatch: pytest.MonkeyPatch
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


def test_a_child_that_kept_memory_is_replaced(make_pool: MakePool, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = make_pool()
    pool.submit("small", clip.open("rb"))
    drain(pool)
    child = child_of(pool)
    assert 0 < child.resident_bytes < decode_pool.MAX_IDLE_BYTES
    monkeypatch.setattr(decode_pool, "MAX_IDLE_BYTES", child.resident_bytes // 2)
    pool.submit("large", clip.open("rb"))
    assert isinstance(drain(pool)[-1], DecodeFinished)
    assert pool._idle == []
    assert not is_running(child.process.pid)


def test_close_ends_all_processes(make_pool: MakePool, clip: Path) -> None:
    with make_pool(workers=2, size=(300, 300)) as pool:
        pool.submit("done", clip.open("rb"))
        drain(pool)
        pool.submit("half", clip.open("rb"))
        pool.submit("starting", clip.open("rb"))
        pids = [child.process.pid for child in pool._busy + pool._idle]
        assert len(pids) == 2
    assert not any(is_running(pid) for pid in pids)


def test_waking_the_pool_ends_a_poll(make_pool: MakePool, clip: Path) -> None:
    pool = make_pool()
    pool.wake()
    pool.wake()
    assert pool.poll(TIMEOUT_S) == []
    started_s = time.monotonic()
    assert pool.poll(0.1) == []
    assert time.monotonic() - started_s >= 0.1, "two wake-ups end one poll"
    threading.Timer(0.1, pool.wake).start()
    assert pool.poll(TIMEOUT_S) == []
    pool.submit("job", clip.open("rb"))
    pool.wake()
    assert isinstance(drain(pool)[-1], DecodeFinished)


def test_a_cancelled_job_has_no_more_events_and_can_be_submitted_again(make_pool: MakePool, clip: Path) -> None:
    pool = make_pool(workers=2, size=(300, 300))
    pool.submit("unwanted", clip.open("rb"))
    wait_until(lambda: bool(pool.poll(0.1)))
    pid = child_of(pool).process.pid
    pool.submit("other", clip.open("rb"))
    pool.cancel("unwanted")
    pool.cancel("unknown")
    assert not is_running(pid)
    assert pool.free == 1
    assert {event.job for event in drain(pool)} == {"other"}
    pool.submit("unwanted", clip.open("rb"))
    chunks, end = drain_one(pool)
    assert sum(len(chunk.images) for chunk in chunks) == 40, "from the start"
    assert isinstance(end, DecodeFinished)
