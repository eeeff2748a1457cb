"""Publishes the steps of a plan as an uploader would, with a client that is not the services' own."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaError, Producer

from services.contracts.events import AssetEvent, AssetRemoved, SegmentUploaded, UploadEnded
from services.contracts.topics import VIDEO_SEGMENTS
from tests.chaos.steps import End, Removal, Step, Upload

STEP_HEADER: Final = "chaos_step"  # which step of the plan a record is
_PATIENCE_S: Final = 60.0


class Publisher:
    """`brokers`: addresses without proxies. `films`: the folder where the films are written."""

    def __init__(self, brokers: str, films: Path, started_at: datetime) -> None:
        self._films = films
        self._started_at = started_at
        self._failures: list[str] = []
        self._producer = Producer(
            {
                "bootstrap.servers": brokers,
                "partitioner": "murmur2_random",  # as the services' client
                "enable.idempotence": True,
                "linger.ms": 0,
                "log_level": 0,  # brokers are killed on purpose
            }
        )

    def publish(self, number: int, step: Step) -> None:
        """Begin to publish a step; records of one asset stay in order."""
        event = to_event(step, self._films, self._started_at)
        self._producer.produce(
            VIDEO_SEGMENTS,
            key=event.key.encode(),
            value=event.model_dump_json().encode(),
            headers=[*make_headers(event, {STEP_HEADER: str(number)})],
            on_delivery=self._note,
        )

    def poll(self) -> None:
        """Serve the client, so that it notes what was delivered."""
        self._producer.poll(0)

    def finish(self) -> None:
        """Return when everything is published. Raises RuntimeError if something was not."""
        left = self._producer.flush(_PATIENCE_S)
        if left or self._failures:
            raise RuntimeError(f"{left} records were not published; {self._failures[:3]}")

    def _note(self, error: KafkaError | None, _: Any) -> None:
        if error is not None:
            self._failures.append(str(error))


def write_films(steps: list[Step], folder: Path) -> None:
    """Write the film of every upload, before any of them is fetched: a file that changes is other content."""
    folder.mkdir(parents=True, exist_ok=True)
    for step in steps:
        if isinstance(step, Upload):
            file = folder / step.file_name
            if not file.exists():
                file.write_text(step.film.to_text())


def to_event(step: Step, films: Path, started_at: datetime) -> AssetEvent:
    """The event of a step of a run that began at `started_at`."""
    tenant, asset_id = step.asset
    match step:
        case Removal():
            return AssetRemoved(tenant=tenant, asset_id=asset_id, reason="as planned")
        case End():
            return UploadEnded(tenant=tenant, asset_id=asset_id, segment_count=step.segment_count)
        case Upload():
            is_file = step.segment_index is None
            return SegmentUploaded(
                tenant=tenant,
                asset_id=asset_id,
                uri=str(films / step.file_name),
                role=step.role,
                segment_index=step.segment_index,
                start_s=None if is_file else float(step.start_s),
                last_segment=step.is_last,
                uploaded_at=started_at + timedelta(seconds=step.uploaded_s),
            )


def make_headers(event: AssetEvent, more: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """CloudEvents 1.0 in binary mode, written down here rather than taken from the services."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(uuid.uuid4()),
        "ce_type": f"copydetect.{type(event).__name__}.v1",
        "ce_source": "tests/chaos",
        "ce_time": datetime.now(UTC).isoformat(),
        "content-type": "application/json",
        **more,
    }
    return [(name, value.encode()) for name, value in headers.items()]
