"""`copydetect publish`: publishes uploads to the services."""

import re
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.connection import KafkaConnection
from services.cli.console import console
from services.cli.errors import explain_values
from services.cli.files import asset_id_of, find_videos
from services.contracts import topics
from services.contracts.envelope import to_message
from services.contracts.errors import UsageError
from services.contracts.events import Role, SegmentUploaded, now
from services.runtime.settings import load_settings

SOURCE = "copydetect/publish"
STEM_CHARACTERS = 60  # of a file name, in the id made from it
BATCH = 1000


def publish(
    uploads: Annotated[
        list[str], typer.Argument(help="Video files, folders that are searched for them, and https:// URLs")
    ],
    tenant: Annotated[str, typer.Option(help="Tenant of the uploads; tenants never see each other")] = "default",
    role: Annotated[Role, typer.Option(help="reference: always the reference side; probe: searched but not kept")] = (
        Role.UPLOAD
    ),
    asset_id: Annotated[str | None, typer.Option(help="Id of a single upload; made from its name by default")] = None,
) -> None:
    """Publish uploads to the services.

    Prints the id and the address of each. The services answer with alerts and a verdict for each; the latest
    verdict counts.

    The ingest service opens the files itself: it must see the same paths, below one of its COPYDETECT_FETCH_ROOTS.

    Exit code 0; 1 if Kafka does not answer; 2 for wrong usage.
    """
    uris = _find_uris(uploads)
    if asset_id is not None and len(uris) != 1:
        raise UsageError(f"--asset-id names one upload, not {len(uris)}")
    events = [_event(uri, asset_id or make_id(uri), tenant, role) for uri in uris]
    bus = KafkaBus(KafkaConnection.from_settings(load_settings()))
    for start in range(0, len(events), BATCH):
        part = events[start : start + BATCH]
        bus.publish([to_message(topics.VIDEO_SEGMENTS, event, source=SOURCE) for event in part])
        for event in part:
            console.print(f"{event.asset_id}  {event.uri}", soft_wrap=True)
    bus.close()


def _event(uri: str, asset_id: str, tenant: str, role: Role) -> SegmentUploaded:
    try:
        return SegmentUploaded(asset_id=asset_id, tenant=tenant, uri=uri, role=role, uploaded_at=now())
    except ValidationError as error:
        raise UsageError(f"cannot publish {uri}: {explain_values(error)}") from error


def _find_uris(uploads: list[str]) -> list[str]:
    remote = [upload for upload in uploads if "://" in upload]
    local, empty_folders = find_videos([Path(upload) for upload in uploads if "://" not in upload])
    if empty_folders:
        raise UsageError(f"no videos in {', '.join(empty_folders)}")
    return [file.uri for file in local] + remote


def make_id(uri: str) -> str:
    """An id that people recognise, the same for the same address."""
    stem = Path(uri.split("?", 1)[0]).stem
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', stem)[:STEM_CHARACTERS]}-{asset_id_of(uri)[:8]}"
