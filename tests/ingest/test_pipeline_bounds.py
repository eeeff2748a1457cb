"""How much is in work at once, in which order it ends, and what is dropped."""

from pathlib import Path

import pytest

from services.contracts import topics
from services.contracts.envelope import to_event, to_message
from services.contracts.events import AssetEnded, SegmentUploaded
from services.contracts.ports import Record
from services.ingest.fetch.media import Media
from services.ingest.fetch.pool import FetchFinished
from tests.ingest.fakes import End, Failure, Pause, Shot, Step
from tests.ingest.service import Service, stable_fields, upload
from tests.metric_values import metric_value


def test_an_offset_is_committed_when_all_records_before_it_are_done(tmp_path: Path) -> None:
    service = Service(tmp_path, workers=3)
    service.publish(upload(service.write_film("slow", *[Pause()] * 4, Shot(0, 3), End(3)), "slow"))
    service.publish(upload(service.write_film("fast", Shot(0, 3), End(3)), "fast"))
    service.publish(upload(service.write_film("middle", Pause(), Shot(0, 3), End(3)), "middle"))
    commits = []
    for _ in range(6):
        service.worker.run_once(0)
        ended = [event.asset_id for event in service.events() if isinstance(event, AssetEnded)]
        commits.append((ended, service.committed_offset()))
    assert commits[1] == (["fast"], 0)
    assert commits[2] == (["fast", "middle"], 0)
    assert commits[-1] == (["fast", "middle", "slow"], 3)
    assert not service.worker.run_once(0)


def test_no_more_records_are_consumed_than_there_is_room_for(tmp_path: Path) -> None:
    service = Service(tmp_path, workers=1)
    for name in "abc":
        service.publish(upload(service.write_film(name, Shot(0, 3), End(3)), name))
    service.worker.run_once(0)
    assert service.pool.decoded == ["a"]
    service.run()
    assert service.pool.decoded == ["a", "b", "c"]
    assert service.committed_offset() == 3


def test_a_fetched_file_waits_for_a_free_decoder_while_others_are_fetched(tmp_path: Path) -> None:
    service = Service(tmp_path, workers=1, max_files=3)
    for name in "abcd":
        service.publish(upload(service.write_film(name, Shot(0, 3), Shot(3, 5), End(5)), name))
    service.worker.run_once(0)
    assert service.pool.decoded == ["a"]
    assert names_of(service.fetches.polled) == {"0", "1", "2"}, "there is no room for the fourth"
    assert service.pipeline.in_flight_records == 3
    service.run()
    assert service.pool.decoded == ["a", "b", "c", "d"]
    assert service.pipeline.in_flight_records == service.pipeline.in_flight_bytes == 0
    assert service.committed_offset() == 4


def test_a_slow_fetch_delays_no_other_upload(service: Service) -> None:
    service.publish(upload(service.write_film("slow", Shot(0, 3), End(3)), "slow"))
    service.publish(upload(service.write_film("fast", Shot(0, 3), End(3)), "fast"))
    service.fetches.held.add("slow")
    for _ in range(4):
        service.worker.run_once(0)
    assert [event.key for event in service.events()] == ["default/fast"] * 2
    assert service.committed_offset() == 0
    service.fetches.held.clear()
    service.run()
    assert service.committed_offset() == 2


def test_no_record_is_accepted_while_fetches_have_no_room(tmp_path: Path) -> None:
    service = Service(tmp_path, workers=4)
    for name in "abc":
        service.publish(upload(service.write_film(name, Shot(0, 3), End(3)), name))
    service.fetches.is_full = True
    service.worker.run_once(0)
    assert service.pipeline.is_idle
    assert metric_value("copydetect_consumption_paused") == 1
    service.fetches.is_full = False
    service.run()
    assert metric_value("copydetect_consumption_paused") == 0
    assert service.committed_offset() == 3


@pytest.mark.parametrize("steps", [[Shot(0, 3), Pause(), End(3)], [Pause(), Failure("broken")]])
def test_the_bytes_of_a_file_are_released_when_it_is_decoded_or_fails(service: Service, steps: list[Step]) -> None:
    service.pipeline.accept(record(upload(service.write_film("a", *steps, content="x" * 100)), partition=0, offset=0))
    service.pipeline.advance(0)
    while not service.pipeline.is_idle:
        assert service.pipeline.in_flight_bytes == 100, "the decoder has the file open"
        service.pipeline.advance(0)
    assert service.pipeline.in_flight_bytes == 0


def test_the_bytes_of_a_file_that_is_stored_already_are_released(service: Service) -> None:
    film = upload(service.write_film("a", Shot(0, 3), End(3)))
    service.publish(film)
    service.run()
    service.pipeline.accept(record(film, partition=0, offset=7))
    [outcome] = service.pipeline.advance(0)
    assert outcome.done
    assert service.pool.decoded == ["a"]
    assert service.pipeline.in_flight_bytes == 0


def test_a_defect_leaves_no_bytes_reserved_when_its_partition_is_abandoned(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a defect")

    for offset, name in enumerate("ab"):
        film = service.write_film(name, Shot(0, 3), End(3))
        service.pipeline.accept(record(upload(film, name), partition=0, offset=offset))
    monkeypatch.setattr(service.pipeline, "_announce_stored", fail)
    with pytest.raises(RuntimeError, match="a defect"):
        service.pipeline.advance(0)
    service.pipeline.abandon(0)
    assert service.pipeline.in_flight_bytes == 0


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_an_abandoned_partition_leaves_nothing_and_its_records_can_come_again(service: Service, steps: int) -> None:
    uri = service.write_film("a", Shot(0, 40), Shot(40, 50), End(50))
    film = upload(uri)
    again = record(film, partition=1, offset=0)
    for each in (again, record(film, partition=1, offset=1)):
        assert not service.pipeline.accept(each).done
    for _ in range(steps):
        service.pipeline.advance(0)
    service.pipeline.abandon(1)
    assert service.pipeline.is_idle
    assert service.pipeline.in_flight_bytes == 0
    assert service.pool.free == 2
    assert service.pipeline.advance(0) == []

    service.pipeline.accept(again)
    outcomes = [outcome for _ in range(4) for outcome in service.pipeline.advance(0)]
    announced = [to_event(message) for outcome in outcomes for message in outcome.messages]
    assert [stable_fields(event)[0] for event in announced] == ["a:0", "a:1", "a"]
    assert outcomes[-1].done


def test_abandoning_a_partition_does_not_affect_the_others(service: Service) -> None:
    for partition, name in enumerate("ab"):
        service.pipeline.accept(record(upload(service.write_film(name, Shot(0, 3), End(3)), name), partition, offset=7))
    service.pipeline.advance(0)
    service.pipeline.abandon(0)
    outcomes = service.pipeline.advance(0)
    assert [(outcome.record.partition, outcome.done) for outcome in outcomes] == [(1, True)]


def test_a_fetched_file_of_an_abandoned_partition_is_closed(tmp_path: Path) -> None:
    service = Service(tmp_path, workers=1, max_files=2)
    for offset, name in enumerate("ab"):
        service.pipeline.accept(record(upload(service.write_film(name, Pause(), End(3)), name), 0, offset))
    service.pipeline.advance(0)
    media = [fetched.result for fetched in service.fetches.polled]
    assert service.pipeline.in_flight_bytes == 2 * len("film")
    service.pipeline.abandon(0)
    assert all(isinstance(one, Media) and one.file.closed for one in media)
    assert service.pipeline.in_flight_bytes == 0


def record(event: SegmentUploaded, partition: int, offset: int) -> Record:
    return Record(to_message(topics.VIDEO_SEGMENTS, event, source="test"), partition, offset)


def names_of(fetched: list[FetchFinished]) -> set[str]:
    """The offsets of the records whose files were fetched."""
    return {one.job.rsplit("/", 1)[1] for one in fetched}
