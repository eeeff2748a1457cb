"""A whole file that was interrupted is decoded from a checkpoint on, with the result of an undisturbed run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from services.backends.memory.cache import MemoryCache
from services.contracts.events import AssetRemoved
from services.ingest.job import MAX_ATTEMPTS
from tests.ingest.fakes import End, Failure, Mark, Shot, Step
from tests.ingest.service import SEGMENT_S, Service, upload

# Checkpoints lie within segments and on their borders; a still picture lies across one of them.
FILM: list[Step] = [
    Shot(0, 20, tag=1),
    Mark(20),
    Shot(20, 50, tag=2),
    Shot(50, 70, tag=3, still=True),
    Mark(70),
    Shot(70, 84, tag=3, still=True),
    Shot(84, 93, tag=4, still=True),
    Mark(93),
    Shot(93, 98, tag=4, still=True),  # too short for a still, had it begun at the checkpoint
    Shot(98, 130, tag=5),
    Shot(130, 170, tag=6),
    End(170),
]
BEFORE = {2: 20, 5: 70, 8: 93}  # seconds of film before a number of steps


class Restarted(Service):
    """A service whose cache outlives a restart, as Redis does."""

    def restart(self, *, panels: bool = True) -> None:
        kept: MemoryCache | None = getattr(self, "cache", None)
        super().restart(panels=panels)
        if kept is not None:
            self.cache = kept
            self.pipeline._progress._cache = kept


@pytest.fixture
def service(tmp_path: Path) -> Restarted:
    return Restarted(tmp_path)


def publish(service: Service) -> None:
    service.publish(upload(service.write_film("a.mp4", *FILM)))


def interrupt(service: Service, steps: int) -> None:
    """Restart the service after so many steps of its decoder."""
    for _ in range(steps):
        service.worker.run_once(0)
    service.restart()


def assert_undisturbed(service: Service, folder: Path) -> None:
    """Check that all is stored as by a service that was never interrupted."""
    folder.mkdir()
    undisturbed = Service(folder)
    publish(undisturbed)
    undisturbed.run()
    for one, other in zip(service.stored(), undisturbed.stored(), strict=True):
        np.testing.assert_array_equal(one.descriptor.frames, other.descriptor.frames)
        np.testing.assert_array_equal(one.descriptor.timestamps_s, other.descriptor.timestamps_s)
        assert replace(one.row, generation=0, uri="", stamp="") == replace(other.row, generation=0, uri="", stamp="")
    assert [ended.segment_count for ended in service.endings()] == [6]


@pytest.mark.parametrize("can_seek", [True, False])
@pytest.mark.parametrize("steps", range(1, len(FILM)))
def test_a_file_that_was_interrupted_anywhere_has_the_same_segments(
    service: Restarted, tmp_path: Path, steps: int, can_seek: bool
) -> None:
    publish(service)
    interrupt(service, steps)
    service.pool.can_seek = can_seek
    begun = len(service.index.read_rows("default"))
    service.run()
    assert_undisturbed(service, tmp_path / "undisturbed")
    usable = [done for done, before_s in BEFORE.items() if done <= steps and before_s // SEGMENT_S < begun]
    assert service.pool.resumed == ([max(usable) if can_seek else 0] if usable else [])
    assert sum(service.extractor.batches) == 170 - SEGMENT_S * begun


def test_a_file_that_is_interrupted_again_and_again_comes_to_its_end(service: Restarted, tmp_path: Path) -> None:
    publish(service)
    for _ in range(4):
        interrupt(service, 7)  # fewer than it takes without checkpoints
    assert_undisturbed(service, tmp_path / "undisturbed")


def test_without_the_cache_the_file_is_decoded_from_its_start(service: Restarted, tmp_path: Path) -> None:
    publish(service)
    interrupt(service, 9)
    service.cache.discard_progress(next(iter(service.cache._progress)))
    service.run()
    assert service.pool.resumed == []
    assert_undisturbed(service, tmp_path / "undisturbed")


@pytest.mark.parametrize("value", [b"", b"nonsense", b"\x00" * 100])
def test_progress_that_cannot_be_read_is_ignored(service: Restarted, tmp_path: Path, value: bytes) -> None:
    publish(service)
    interrupt(service, 9)
    service.cache.put_progress(next(iter(service.cache._progress)), value)
    service.run()
    assert service.pool.resumed == []
    assert_undisturbed(service, tmp_path / "undisturbed")


def test_progress_beyond_what_is_stored_is_not_used(service: Restarted, tmp_path: Path) -> None:
    publish(service)
    interrupt(service, 10)
    assert len(service.cache._progress) == 1
    service.index.delete("default", "a", before=2**62, from_index=2)
    service.run()
    assert service.pool.resumed == []
    assert_undisturbed(service, tmp_path / "undisturbed")


@pytest.mark.parametrize("end", [End(170), Failure("broken")])
def test_progress_is_forgotten_when_a_file_has_ended(service: Service, end: Step) -> None:
    service.publish(upload(service.write_film("a.mp4", *FILM[:-1], end)))
    while not service.cache._progress:
        service.worker.run_once(0)
    service.run()
    assert not service.cache._progress


def test_progress_is_forgotten_when_an_asset_is_removed(service: Service) -> None:
    publish(service)
    while not service.cache._progress:
        service.worker.run_once(0)
    service.pipeline.abandon(0)
    service.publish(AssetRemoved(asset_id="a"))
    service.run()
    assert not service.cache._progress


def test_the_last_attempt_begins_at_the_start(service: Service) -> None:
    starved = Failure("the decoder was killed", may_pass=True)
    service.publish(upload(service.write_film("a.mp4", *FILM[:9], starved)))
    service.run()
    assert len(service.pool.decoded) == MAX_ATTEMPTS
    assert service.pool.resumed == [8]


def test_short_segments_keep_their_progress(tmp_path: Path) -> None:
    """Several checkpoints may be reached before the segment of the first is stored."""
    service = Service(tmp_path)
    marks = [step for start in range(0, 30, 5) for step in (Mark(start), Shot(start, start + 5))]
    service.publish(upload(service.write_film("a.mp4", *marks, Shot(30, 40), Mark(40), End(41))))
    while not service.cache._progress:
        service.worker.run_once(0)
    assert len(service.index.read_rows("default")) == 1
    job, *_ = service.pipeline._in_flight.jobs
    assert job.reached == []
