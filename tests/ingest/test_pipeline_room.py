"""Downloads of a whole ingest pipeline stay within the budget and on the disk; uploads wait, and none is lost."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.ingest.fetch import disk
from tests.ingest.downloading import TIMEOUT_S, Downloads
from tests.ingest.fakes import Pause
from tests.ingest.fetch.web import Web, serve_web
from tests.metric_values import metric_value

MB = 10**6


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
