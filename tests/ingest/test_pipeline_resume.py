"""A whole file that was interrupted goes on behind its last stored segment, with the result of an undisturbed run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from services.contracts.events import SegmentEncoded
from services.contracts.segments import DescribedSegment
from tests.ingest.fakes import End, Failure, Shot, Step
from tests.ingest.service import SEGMENT_S, Service, stable_fields, upload

# A still picture lies across a border: its first frame is the only one that is described.
FILM: list[Step] = [
    *[Shot(start, start + 10, tag=start) for start in (0, 10, 20)],
    Shot(30, 40, tag=30, still=True),
    *[Shot(start, start + 10, tag=start) for start in range(40, 130, 10)],
    End(130),
]


def publish(service: Service, content: str = "film") -> None:
    service.publish(upload(service.write_film("a.mp4", *FILM, content=content)))


def stored_undisturbed(folder: Path) -> list[DescribedSegment]:
    folder.mkdir()
    service = Service(folder)
    publish(service)
    service.run()
    return service.stored()


@pytest.mark.parametrize("steps", range(len(FILM)))
def test_a_file_that_was_interrupted_anywhere_is_described_as_if_it_was_not(tmp_path: Path, steps: int) -> None:
    expected = stored_undisturbed(tmp_path / "undisturbed")
    service = Service(tmp_path)
    publish(service)
    for _ in range(steps):
        service.worker.run_once(0)
    begun = len(service.index.read_rows("default"))
    assert len(service.segments()) == begun
    service.restart()
    service.run()

    assert len(service.stored()) == len(expected) == 5
    for one, other in zip(service.stored(), expected, strict=True):
        np.testing.assert_array_equal(one.descriptor.frames, other.descriptor.frames)
        np.testing.assert_array_equal(one.descriptor.timestamps_s, other.descriptor.timestamps_s)
        np.testing.assert_array_equal(one.vector, other.vector)
        assert replace(one.row, generation=0, uri="", stamp="") == replace(other.row, generation=0, uri="", stamp="")
    assert sum(service.extractor.batches) == 130 - SEGMENT_S * begun, "only what was not stored"
    assert [event.segment_index for event in service.segments()] == [*range(begun), *range(5)]
    [ended] = service.endings()
    assert stable_fields(ended) == ("a", 5, 130, "complete")
    assert service.committed_offset() == 1


def test_what_is_stored_is_announced_before_the_rest_is_decoded(service: Service) -> None:
    publish(service)
    for _ in range(8):
        service.worker.run_once(0)
    service.restart()
    before = len(service.events())
    service.worker.run_once(0)
    assert [stable_fields(event)[0] for event in service.events(since=before)] == ["a:0", "a:1"]
    assert service.committed_offset() == 0


def test_a_file_that_failed_in_the_middle_goes_on_with_the_generation_of_its_next_upload(service: Service) -> None:
    event = upload(service.write_film("a.mp4", *FILM[:8], Failure("broken")))
    service.publish(event)
    service.run()
    assert [ended.segment_count for ended in service.endings()] == [2]
    service.scripts[event.uri] = list(FILM)
    service.publish(event)
    service.run()
    assert [one.row.generation for one in service.stored()] == [service.generations()[1]] * 5
    assert [ended.segment_count for ended in service.endings()] == [2, 5]
    assert sum(service.extractor.batches) == 80 + 130 - 2 * SEGMENT_S


def test_other_content_is_described_from_its_start(service: Service) -> None:
    publish(service)
    for _ in range(8):
        service.worker.run_once(0)
    service.restart()
    publish(service, content="other")
    while len(service.endings()) < 2:
        service.worker.run_once(0)
    described = service.segments()[-5:]
    assert [segment.segment_index for segment in described] == list(range(5))
    assert {segment.generation for segment in described} == {service.generations()[1]}
    assert sum(service.extractor.batches) >= 130


def test_segments_behind_a_missing_one_are_described_again(service: Service) -> None:
    publish(service)
    for _ in range(12):
        service.worker.run_once(0)
    assert len(service.index.read_rows("default")) == 3
    service.index.delete("default", "a", before=2**62, from_index=1, to_index=2)
    service.restart()
    service.run()
    assert len(service.stored()) == 5
    assert sum(service.extractor.batches) == 130 - SEGMENT_S


def test_a_file_that_is_decoded_again_after_a_kill_goes_on(service: Service) -> None:
    path = service.write_film("a.mp4", *FILM[:8], Failure("the decoder was killed", may_pass=True))
    service.publish(upload(path))
    while service.pool.decoded.count("a.mp4") < 2:
        service.worker.run_once(0)
        service.scripts[path] = list(FILM)
    service.run()
    assert sum(service.extractor.batches) == 80 + 130 - 2 * SEGMENT_S
    assert isinstance(service.events()[-2], SegmentEncoded)
    assert [ended.segment_count for ended in service.endings()] == [5]
