"""What an upload replaces is deleted after the new content was announced, and nothing else is."""

from collections.abc import Sequence

import numpy as np
import pytest

from services.contracts.events import AssetEnded, Role, SegmentStatus
from services.contracts.generations import select_current
from services.contracts.ports import Message
from tests.ingest.fakes import End, Failure, Shot, Step, describe_film
from tests.ingest.replacing import files, publish_film, rows, run_until_ended
from tests.ingest.service import Service, stable_fields, upload


def test_other_content_replaces_the_asset_completely(service: Service) -> None:
    service.publish(upload(service.write_film("a.mp4", Shot(0, 70, tag=10), End(70), content="long")))
    service.publish(upload(service.write_film("b.mp4", Shot(0, 40), End(40)), "b"))
    service.run()
    before = len(service.events())
    service.publish(upload(service.write_film("a.mp4", Shot(0, 20, tag=250), End(20), content="short")))
    service.run()
    assert service.pool.decoded == ["a.mp4", "b.mp4", "a.mp4"]
    assert [stable_fields(event) for event in service.events(since=before)] == [
        ("a:0", Role.UPLOAD, 0, 20, SegmentStatus.DESCRIBED, 20),
        ("a", 1, 20, "complete"),
    ]
    assert [row.segment_id for row in service.index.read_rows("default")] == ["a:0", "b:0", "b:1"]
    for [found] in (service.stored(), service.cached()):
        np.testing.assert_allclose(found.descriptor.frames, describe_film(250, 20), atol=1e-3)


def test_nothing_is_deleted_before_all_new_content_is_announced(service: Service) -> None:
    publish_film(service, "old", 40)
    service.run()
    service.index.log.clear()
    service.publish(upload(service.write_film("new", Shot(0, 40), Shot(40, 70), End(70))))
    service.run()
    wrote = [f"{what} a:{index}" for index in range(3) for what in ("stored", "announced")]
    assert service.index.log == [*wrote, "deleted a"]


def test_nothing_is_deleted_if_the_events_cannot_be_published(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_film(service, "old", 20)
    service.run()
    publish = service.bus.publish

    def refuse(messages: Sequence[Message]) -> None:
        raise ConnectionError(f"{len(messages)} messages were not acknowledged")

    with monkeypatch.context() as cut_off:
        publish_film(service, "new", 20)
        cut_off.setattr(service.bus, "publish", refuse)
        with pytest.raises(ConnectionError):
            service.run()
    assert files(service) == ["old", "new"]
    service.bus.publish = publish  # type: ignore[method-assign]
    service.restart()
    service.run()
    assert files(service) == ["new"]


def test_what_a_crash_kept_from_being_deleted_is_not_current_and_is_deleted_after_the_restart(service: Service) -> None:
    publish_film(service, "old", 70)
    service.run()
    publish_film(service, "new", 40)
    run_until_ended(service, 2)
    assert sorted(files(service)) == ["new", "new", "old", "old", "old"]
    assert {row.uri.rsplit("/", 1)[1] for row in select_current(rows(service))} == {"new"}
    assert service.committed_offset() == 1
    service.restart()
    service.run()
    assert files(service) == ["new", "new"]
    assert service.committed_offset() == 2


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        ([Failure("broken")], ["old"]),
        ([Shot(0, 20), Failure("broken")], ["old"]),
        ([Shot(0, 40), Failure("broken")], ["new"]),
    ],
    ids=["at once", "in the first segment", "later"],
)
def test_a_file_that_fails_replaces_the_old_content_only_if_something_of_it_is_stored(
    service: Service, steps: list[Step], left: list[str]
) -> None:
    publish_film(service, "old", 20)
    service.run()
    service.publish(upload(service.write_film("new", *steps)))
    service.run()
    assert files(service) == left
    ended = service.endings()[-1]
    assert (ended.status, ended.generation) == ("failed", service.generations()[1])


def test_a_file_that_cannot_be_fetched_replaces_nothing(service: Service) -> None:
    publish_film(service, "old", 20)
    service.run()
    service.publish(upload(str(service.folder / "none")))
    service.run()
    assert files(service) == ["old"]
    assert service.endings()[-1].generation == service.generations()[1]


def test_what_any_attempt_stored_counts(service: Service) -> None:
    publish_film(service, "old", 20)
    service.run()
    starved = Failure("the decoder was killed", may_pass=True)
    path = service.write_film("new", Shot(0, 40), starved)
    service.publish(upload(path))
    while service.pool.decoded != ["old", "new"]:
        service.worker.run_once(0)
    service.scripts[path] = [starved]
    service.run()
    assert service.pool.decoded == ["old", "new", "new", "new"]
    ended = service.endings()[-1]
    assert (ended.status, ended.segment_count) == ("failed", 1)
    assert files(service) == ["new"]


def test_a_worker_that_was_stopped_in_the_middle_of_old_content_does_no_harm(service: Service) -> None:
    old = service.write_film("old", Shot(0, 40, tag=9), Shot(40, 70, tag=9), End(70))
    service.publish(upload(old))
    service.worker.run_once(0)
    stopped = service.worker

    service.restart()
    service.run()
    publish_film(service, "new", 70)
    service.run()
    new = rows(service)
    assert {row.uri.rsplit("/", 1)[1] for row in new} == {"new"}
    before = len(service.events())

    while stopped.drain(0):  # its partition was revoked, but it has not been told
        pass
    assert files(service).count("old") == 2, "otherwise this tests nothing"
    assert [one.row for one in service.stored()] == new
    first, second = service.generations()
    assert {event.generation for event in service.segments(since=before)} == {first}
    assert {row.generation for row in new} == {second}
    assert service.cached()[0].row == new[0]


def test_a_moved_partition_takes_its_deletions_along(service: Service) -> None:
    publish_film(service, "old", 20)
    service.run()
    publish_film(service, "new", 20)
    run_until_ended(service, 2)
    service.pipeline.abandon(0)
    assert service.pipeline.is_idle
    assert sorted(files(service)) == ["new", "old"]
    assert isinstance(service.events()[-1], AssetEnded)
