"""A full disk makes downloads wait, and nothing else: no failure of the file, no end of the process."""

import errno
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.ingest.fetch import disk
from tests.ingest.fetch.downloads import TIMEOUT_S, Fetcher, open_fetcher
from tests.ingest.fetch.web import Web, body, serve_web


@pytest.fixture
def web() -> Iterator[Web]:
    with serve_web() as server:
        yield server


class Disk:
    """Temporary files whose writes fail while `error` is set; counts the files that are open."""

    def __init__(self) -> None:
        self.error = 0
        self.open_files: list[Any] = []
        self.most_writers = 0
        self._make = tempfile.TemporaryFile

    def make_file(self) -> Any:
        file = self._make()
        write = file.write
        self.open_files = [one for one in self.open_files if not one.closed] + [file]

        def write_or_fail(data: bytes) -> int:
            if self.error:
                write(data[:5])
                raise OSError(self.error, "No space left on device")
            return write(data)

        file.write = write_or_fail  # type: ignore[method-assign, assignment]
        return file


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()
    monkeypatch.setattr("services.ingest.fetch.http.tempfile.TemporaryFile", made.make_file)
    monkeypatch.setattr(disk, "FIRST_WAIT_S", 0.05)
    made.error = errno.ENOSPC
    return made


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_a_download_on_a_full_disk_waits_and_is_tried_again(web: Web, full_disk: Disk, error: int) -> None:
    full_disk.error = error
    with open_fetcher(1000) as fetcher, capture_logs() as logs:
        fetcher.submit("a", web.serve("/a", body(b"a" * 600)))
        fetcher.poll_until(lambda: len(web.requested) >= 3)
        fetcher.poll_until(lambda: fetcher.waiting)
        had_room = fetcher.pool.has_room
        assert fetcher.pool.reserved_bytes == 0
        assert all(file.closed for file in full_disk.open_files), "what was written is removed"
        assert "TMPDIR" in fetcher.health.why_not_ready()["disk"]
        full_disk.error = 0
        fetcher.poll_until(lambda: fetcher.media)
        assert (had_room, fetcher.pool.has_room) == (False, True)
        assert not fetcher.health.why_not_ready()
    assert [(entry["log_level"], entry["event"]) for entry in logs] == [
        ("warning", "waiting for disk space"),
        ("info", "no download waits for disk space any more"),
    ]


def test_the_waits_grow_and_end_when_another_file_is_gone(
    web: Web, full_disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "FIRST_WAIT_S", 3600.0)
    with open_fetcher(1000) as fetcher:
        full_disk.error = 0
        fetcher.submit("a", web.serve("/a", body(b"a" * 100)))
        fetcher.poll_until(lambda: fetcher.media)
        full_disk.error = errno.ENOSPC
        fetcher.submit("b", web.serve("/b", body(b"b" * 100)))
        fetcher.poll_until(lambda: fetcher.waiting)
        for _ in range(20):
            fetcher.poll()
        assert web.requested == ["/a", "/b"]
        full_disk.error = 0
        fetcher.media["a"].close()
        fetcher.poll_until(lambda: "b" in fetcher.media)


def test_after_a_full_disk_downloads_go_one_at_a_time_in_order(web: Web, full_disk: Disk) -> None:
    names = [f"{number}" for number in range(4)]
    with open_fetcher(1000) as fetcher:
        for name in names:
            fetcher.submit(name, web.serve(f"/{name}", body(b"a" * 100)))
        fetcher.poll_until(lambda: fetcher.waiting == names)
        full_disk.error = 0
        running = []
        while len(fetcher.media) < len(names):
            fetcher.poll()
            running.append(len(fetcher.pool._tasks) - len(fetcher.waiting))
        assert max(running) == 1
        assert fetcher.order == names


def test_when_the_last_job_that_waits_for_the_disk_is_cancelled_there_is_room(web: Web, full_disk: Disk) -> None:
    del full_disk
    with open_fetcher(1000) as fetcher:
        fetcher.submit("a", web.serve("/a", body(b"a" * 600)))
        fetcher.poll_until(lambda: fetcher.waiting)
        fetcher.pool.cancel("a")
        assert fetcher.pool.has_room
        assert not fetcher.health.why_not_ready()


def test_a_process_that_starts_on_a_full_disk_waits_too(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def find_none() -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(disk, "FIRST_WAIT_S", 0.05)
    with monkeypatch.context() as patched, open_fetcher(1000) as fetcher:
        patched.setattr("services.ingest.fetch.http.tempfile.TemporaryFile", find_none)
        fetcher.submit("a", web.serve("/a", body(b"a" * 600)))
        fetcher.poll_until(lambda: fetcher.waiting)
        patched.undo()
        fetcher.poll_until(lambda: fetcher.media)
        assert "a" in fetcher.media
        assert fetcher.pool.reserved_bytes == 600


def test_another_fault_of_the_disk_is_raised_and_costs_no_other_file(web: Web, full_disk: Disk) -> None:
    full_disk.error = 0
    with open_fetcher(1000) as fetcher:
        fetcher.submit("a", web.serve("/a", body(b"a" * 300)))
        wait_for(fetcher, "a")
        full_disk.error = errno.EIO
        fetcher.submit("b", web.serve("/b", body(b"b" * 600)))
        wait_for(fetcher, "b")
        with pytest.raises(OSError, match="Errno 5"):
            fetcher.poll()
        fetcher.pool.cancel("b")
        fetcher.poll_until(lambda: "a" in fetcher.media)
        assert fetcher.pool.reserved_bytes == 300


def wait_for(fetcher: Fetcher, job: str) -> None:
    """Wait until its thread has ended, without polling."""
    future = fetcher.pool._tasks[job].future
    assert future is not None
    future.exception(TIMEOUT_S)
