"""Uploads of the asset "a" that replace each other, and what is stored of it."""

from services.contracts.segments import SegmentRow
from tests.ingest.fakes import End, Shot
from tests.ingest.service import Service, upload


def publish_film(service: Service, name: str, seconds: int) -> None:
    """Publish a whole file as the asset "a"."""
    service.publish(upload(service.write_film(name, Shot(0, seconds), End(seconds))))


def publish_files(service: Service, name: str, *indexes: int, last: int | None = None) -> None:
    """Publish segment files of 9 s as segments of the asset "a"; `last` ends it."""
    for index in indexes:
        uri = service.write_film(f"{name}{index}.ts", Shot(0, 9), End(9))
        service.publish(upload(uri, segment_index=index, start_s=9 * index, last_segment=index == last))


def rows(service: Service) -> list[SegmentRow]:
    return service.index.read_rows("default", ["a"])


def files(service: Service) -> list[str]:
    """The names of the files that the stored segments of the asset "a" come from, in the order of the segments."""
    return [row.uri.rsplit("/", 1)[1] for row in rows(service)]


def run_until_ended(service: Service, count: int) -> None:
    """Run until so many assets have ended, and not one step longer."""
    while len(service.endings()) < count:
        service.worker.run_once(0)
