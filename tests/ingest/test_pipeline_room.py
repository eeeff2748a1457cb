"""Downloads of a whole ingest pipeline stay within the budget and on the disk; uploads wait, and none is lost."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import pytest
from structlog.testing import capture_logs

from services.ingest.decode.events import DecodeEvent, FramesDecoded
from services.ingest.fetch import disk
from services.ingest.fetch.budget import ByteBudget, Reservation
from services.ingest.fetch.media import FetchPolicy
from services.ingest.fetch.pool import FetchPool
from services.ingest.ports import Fetches
from services.runtime.probes import Health
from tests.ingest.fakes import End, FakePool, Pause, Shot
from tests.ingest.fetch.web import Web, body, serve_web
from tests.ingest.service import Service, upload
from tests.metric_values import metric_value

TIMEOUT_S = 30.0
MB = 10**6


class SpyBudget(ByteBudget):
    """Remembers the most that was reserved."""

    peak_bytes = 0

    def _hold(self, reservation: Reservation, size_bytes: int) -> None:
        super()._hold(reservation, size_bytes)
        self.peak_bytes = max(self.peak_bytes, self.reserved_bytes)


class HoldingPool(FakePool):
    """Decodes downloads, whose content begins with the name of their script; a file stays open until its end."""

    def __init__(self, service: Service, workers: int) -> None:
        super().__init__(service.scripts, workers)
        self._held: dict[str, int] = {}

    def submit(
        self, job: str, file: BinaryIO, *, max_duration_s: float, checkpoint_s: float, resume: bytes | None
    ) -> None:
        self._held[job] = os.dup(file.fileno())
        name = file.readline().decode().strip()
        with file, Path(name).open("rb") as script:
            super().submit(job, script, max_duration_s=max_duration_s, checkpoint_s=checkpoint_s, resume=resume)

    def cancel(self, job: str) -> None:
        super().cancel(job)
        self._close(job)

    def poll(self, timeout_s: float) -> list[DecodeEvent]:
        events = super().poll(timeout_s)
        for event in events:
            if not isinstance(event, FramesDecoded):
                self._close(event.job)
        return events

    def _close(self, job: str) -> None:
        if job in self._held:
            os.close(self._held.pop(job))


class Downloads(Service):
    """Ingest over fakes, except that uploads are really downloaded, from a web server."""

    def __init__(self, folder: Path, web: Web, *, largest_bytes: int, budget_bytes: int, workers: int = 4) -> None:
        self.web = web
        self.policy = FetchPolicy(roots=None, max_bytes=largest_bytes, hosts=("127.0.0.1",), private_hosts=True)
        self.budget = SpyBudget(budget_bytes)
        self.health = Health(loop_timeout_s=TIMEOUT_S)
        self.health.clear("start")
        self.written_peak_bytes = 0
        super().__init__(folder, workers=workers, max_jobs=2 * workers)

    def make_pool(self) -> FakePool:
        return HoldingPool(self, self._workers)

    def make_fetches(self) -> Fetches:
        self.downloads = FetchPool(self.policy, threads=self._workers, budget=self.budget, health=self.health)
        return self.downloads

    def publish_upload(self, name: str, size_bytes: int, pauses: int = 5) -> None:
        film = self.write_film(name, Shot(0, 3), *[Pause()] * pauses, End(3))
        content = f"{film}\n".encode().ljust(size_bytes, b"x")
        self.publish(upload(self.web.serve(f"/{name}", body(content)), name))

    def step(self) -> bool:
        worked = self.worker.run_once(0)
        self.written_peak_bytes = max(self.written_peak_bytes, written_bytes())
        return worked

    def run(self) -> None:
        give_up_s = time.monotonic() + TIMEOUT_S
        while self.step():
            assert time.monotonic() < give_up_s, self.pool.decoded
            time.sleep(0.001)


def written_bytes() -> int:
    """Total size of this process's open files in the temporary folder, one that is open twice counted once."""
    sizes = {}
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            if str(descriptor.readlink()).startswith(f"{tempfile.tempdir}/"):
                status = descriptor.stat()
                sizes[status.st_ino] = status.st_size
    return sum(sizes.values())


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


@pytest.fixture
def web() -> Iterator[Web]:
    with serve_web() as server:
        yield server


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder on a disk of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(disk, "FIRST_WAIT_S", 0.02)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_eight_uploads_that_come_together_stay_within_a_budget_of_one(tmp_path: Path, web: Web) -> None:
    service = Downloads(tmp_path, web, largest_bytes=1000, budget_bytes=1000)
    names = [f"{number}" for number in range(8)]
    for name in names:
        service.publish_upload(name, 1000)
    service.run()
    service.downloads.close()
    assert service.budget.peak_bytes == 1000
    assert service.written_peak_bytes == 1000
    assert sorted(service.pool.decoded) == names
    assert service.dead_letters() == []
    assert service.committed_offset() == 8
    assert service.pipeline.in_flight_bytes == 0


def test_no_record_is_accepted_while_an_upload_waits_for_room(tmp_path: Path, web: Web) -> None:
    service = Downloads(tmp_path, web, largest_bytes=1000, budget_bytes=1500, workers=2)
    for name in "ab":
        service.publish_upload(name, 900, pauses=10**6)
    while len(web.requested) < 2 or service.pipeline.has_room:
        service.step()
    service.publish_upload("c", 100)
    service.step()
    assert service.pipeline.in_flight_records == 2
    assert metric_value("copydetect_consumption_paused") == 1
    assert metric_value("copydetect_in_flight_bytes") == 900
    for steps in (*service.scripts.values(), *service.pool._busy.values()):
        steps[:] = [step for step in steps if step != Pause()]
    service.run()
    service.downloads.close()
    assert service.budget.peak_bytes <= 1500
    assert sorted(service.pool.decoded) == ["a", "b", "c"]
    assert service.committed_offset() == 3


def test_six_uploads_of_2_mb_are_done_one_after_another_on_a_disk_of_3_mb(
    tmp_path: Path, web: Web, small_disk: Path
) -> None:
    service = Downloads(tmp_path, web, largest_bytes=2 * MB, budget_bytes=100 * MB)
    names = [f"{number}" for number in range(6)]
    for name in names:
        service.publish_upload(name, 2 * MB, pauses=60)
    was_unready = was_paused = False
    give_up_s = time.monotonic() + TIMEOUT_S
    with capture_logs() as logs:
        while service.step():
            assert time.monotonic() < give_up_s
            was_unready |= "disk" in service.health.why_not_ready()
            was_paused |= metric_value("copydetect_consumption_paused") == 1
            time.sleep(0.001)
    service.downloads.close()
    assert sorted(service.pool.decoded) == names
    assert service.dead_letters() == []
    assert service.committed_offset() == 6
    assert was_unready
    assert was_paused
    assert not service.health.why_not_ready()
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["waiting for disk space"]
    assert str(small_disk) in next(entry["reason"] for entry in logs if entry["log_level"] == "warning")
    assert sum(path.stat().st_size for path in small_disk.iterdir()) == 0


def test_an_upload_larger_than_the_disk_waits_until_there_is_more(tmp_path: Path, web: Web, small_disk: Path) -> None:
    service = Downloads(tmp_path, web, largest_bytes=9 * MB, budget_bytes=100 * MB)
    service.publish_upload("a", 5 * MB)
    while len(web.requested) < 4:
        assert service.step()
    assert not service.pipeline.is_idle
    subprocess.run(["mount", "-o", "remount,size=9m", small_disk], check=True)
    service.run()
    service.downloads.close()
    assert (service.committed_offset(), service.dead_letters()) == (1, [])
