"""`copydetect publish`: announces uploads to the services."""

import re
from pathlib import Path
from typing import Annotated

import typer

from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.connection import KafkaConnection
from services.cli.console import console
from services.cli.files import asset_id_of, find_videos
from services.contracts import topics
from services.contracts.envelope import to_message
from services.contracts.errors import UsageError
from services.contracts.events import Role, SegmentUploaded, now
from services.runtime.settings import load_settings

SOURCE = "copydetect/publish"
STEM_CHARACTERS = 60  # of a file name, in the id that is made of it
BATCH = 1000


def publish(
    uploads: Annotated[
        list[str], typer.Argument(help="Video files, folders that are searched for them, https:// URLs")
    ],
    tenant: Annotated[str, typer.Option(help="Whose uploads these are; tenants never see each other")] = "default",
    role: Annotated[Role, typer.Option(help="reference: always the reference side; probe: searched, not kept")] = (
        Role.UPLOAD
    ),
    asset_id: Annotated[str | None, typer.Option(help="Id of the only upload; made of its name by default")] = None,
) -> None:
    """Publish uploads; the services answer with alerts and one verdict an upload. Prints id and address of each.

    The ingest service opens the files itself: it must see the same paths, below one of its COPYDETECT_FETCH_ROOTS.
    """
    uris = _uris(uploads)
    if asset_id is not None and len(uris) != 1:
        raise UsageError(f"--asset-id names one upload, not {len(uris)}")
    events = [_event(uri, asset_id or made_id(uri), tenant, role) for uri in uris]
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
    except ValueError as error:
        raise UsageError(f"cannot publish {uri}: ids are made of letters, digits, '_', '.', '-' ({error})") from error


def _uris(uploads: list[str]) -> list[str]:
    remote = [upload for upload in uploads if "://" in upload]
    local, barren = find_videos([Path(upload) for upload in uploads if "://" not in upload])
    if barren:
        raise UsageError(f"no videos in {', '.join(barren)}")
    return [file.uri for file in local] + remote


def made_id(uri: str) -> str:
    """An id that people recognise, and that stays the same for the same address."""
    stem = Path(uri.split("?", 1)[0]).stem
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', stem)[:STEM_CHARACTERS]}-{asset_id_of(uri)[:8]}"
