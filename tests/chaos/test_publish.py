"""What is published is what an uploader sends: the services' own reader takes it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.contracts.envelope import to_event as read_event
from services.contracts.events import AssetEvent, AssetRemoved, Role, SegmentUploaded, UploadEnded
from services.contracts.ports import Message
from tests.chaos.films import Film, Piece, parse_film
from tests.chaos.publish import STEP_HEADER, make_headers, to_event, write_films
from tests.chaos.steps import Asset, End, Removal, Step, Upload

AT = datetime(2026, 7, 1, 12, tzinfo=UTC)
FILMS = Path("/films")
A = Asset("north", "a")
FILM = Film((Piece(1, 0, 8),), 1)
FILE = Upload(1, A, FILM, 2.5, Role.REFERENCE)
SEGMENT = Upload(1, A, FILM, 3, segment_index=2, start_s=24, is_last=True)


@pytest.mark.parametrize(
    ("step", "event"),
    [
        (
            FILE,
            SegmentUploaded(
                tenant="north",
                asset_id="a",
                uri=f"/films/{FILE.file_name}",
                role=Role.REFERENCE,
                uploaded_at=AT + timedelta(seconds=2.5),
            ),
        ),
        (
            SEGMENT,
            SegmentUploaded(
                tenant="north",
                asset_id="a",
                uri=f"/films/{SEGMENT.file_name}",
                segment_index=2,
                start_s=24,
                last_segment=True,
                uploaded_at=AT + timedelta(seconds=3),
            ),
        ),
        (End(1, A, 3), UploadEnded(tenant="north", asset_id="a", segment_count=3)),
        (Removal(1, A), AssetRemoved(tenant="north", asset_id="a", reason="as planned")),
    ],
)
def test_a_step_is_an_event_that_services_read(step: Step, event: AssetEvent) -> None:
    made = to_event(step, FILMS, AT)
    assert made == event
    headers = {name: value.decode() for name, value in make_headers(made, {STEP_HEADER: "7"})}
    assert read_event(Message("video-segments", made.key, made.model_dump_json().encode(), headers)) == event
    assert headers[STEP_HEADER] == "7"


def test_films_are_written_once(tmp_path: Path) -> None:
    write_films([FILE], tmp_path)
    file = tmp_path / FILE.file_name
    before = file.stat().st_mtime_ns
    write_films([FILE, SEGMENT, Removal(1, A)], tmp_path)
    assert file.stat().st_mtime_ns == before
    assert parse_film(file.read_text()) == FILM
    assert FILE.file_name == SEGMENT.file_name
    assert FILE.file_name != Upload(1, Asset("south", "a"), FILM, 0).file_name
