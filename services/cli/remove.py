"""`copydetect remove`: takes assets down."""

from typing import Annotated

import typer
from pydantic import ValidationError

from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.connection import KafkaConnection
from services.cli.console import console
from services.cli.errors import explain_values
from services.cli.publish import SOURCE
from services.contracts import topics
from services.contracts.envelope import to_message
from services.contracts.errors import UsageError
from services.contracts.events import AssetRemoved
from services.runtime.settings import load_settings


def remove(
    asset_ids: Annotated[list[str], typer.Argument(help="Ids of uploads or references")],
    tenant: Annotated[str, typer.Option(help="Their tenant")] = "default",
    reason: Annotated[str | None, typer.Option(help="Why; it is repeated in the acknowledgement")] = None,
) -> None:
    """Take assets down.

    Ingest deletes their descriptors, and every alert that names one of them is withdrawn. Then the services acknowledge
    each by an event that `copydetect alerts --verdicts` prints. The same id can be uploaded again.

    Exit code 0; 1 if Kafka does not answer; 2 for wrong usage.
    """
    try:
        events = [AssetRemoved(asset_id=asset_id, tenant=tenant, reason=reason) for asset_id in asset_ids]
    except ValidationError as error:
        raise UsageError(f"cannot remove: {explain_values(error)}") from error
    bus = KafkaBus(KafkaConnection.from_settings(load_settings()))
    bus.publish([to_message(topics.VIDEO_SEGMENTS, event, source=SOURCE) for event in events])
    bus.close()
    for event in events:
        console.print(f"asked to remove {event.asset_id}", soft_wrap=True)
