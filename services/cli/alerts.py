"""`copydetect alerts`: reads what the services found."""

from collections.abc import Iterable, Iterator
from typing import Annotated

import typer

from services.backends.kafka_bus import KafkaBus
from services.backends.kafka_connection import KafkaConnection
from services.cli.console import console, error_console
from services.cli.results import intervals_text
from services.contracts import topics
from services.contracts.envelope import to_event
from services.contracts.errors import InvalidMessage
from services.contracts.events import AssetVerdict, DuplicateAlert
from services.contracts.ports import Record
from services.runtime.settings import load_settings


def alerts(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on, and show each revision as it comes")] = False,
    new: Annotated[bool, typer.Option("--new", help="With --follow: only what comes from now on")] = False,
    verdicts: Annotated[bool, typer.Option("--verdicts", help="Also the verdict on each upload")] = False,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, as it lies in the topic")] = False,
) -> None:
    """Show duplicate alerts: without --follow the newest revision of each, with it every revision as it comes.

    Ends when what was published so far is shown, or with --follow by Ctrl-C.
    """
    wanted = [topics.DUPLICATE_ALERTS, *([topics.ASSET_VERDICTS] if verdicts else [])]
    bus = KafkaBus(KafkaConnection.from_settings(load_settings()))
    said = _said(bus.read(wanted, from_start=not new, follow=follow), tenant)
    for event in said if follow else _newest(said):
        console.print(event.model_dump_json() if as_json else in_words(event), soft_wrap=True)


def _said(records: Iterable[Record], tenant: str | None) -> Iterator[DuplicateAlert | AssetVerdict]:
    for record in records:
        try:
            event = to_event(record.message)
        except InvalidMessage as error:  # somebody else's, or a newer version's
            error_console.print(f"skipped a message of {record.message.topic}: {error}", soft_wrap=True)
            continue
        if isinstance(event, DuplicateAlert | AssetVerdict) and tenant in (None, event.tenant):
            yield event


def _newest(events: Iterable[DuplicateAlert | AssetVerdict]) -> list[DuplicateAlert | AssetVerdict]:
    """The highest revision of each alert, then the last verdict on each upload."""
    newest: dict[str, DuplicateAlert] = {}
    verdicts: dict[str, AssetVerdict] = {}
    for event in events:
        if isinstance(event, AssetVerdict):
            verdicts[event.key] = event
        elif event.alert_id not in newest or newest[event.alert_id].revision < event.revision:
            newest[event.alert_id] = event
    return [
        *sorted(newest.values(), key=lambda alert: alert.detected_at),
        *sorted(verdicts.values(), key=lambda verdict: verdict.decided_at),
    ]


def in_words(event: DuplicateAlert | AssetVerdict) -> str:
    """The event in a line for people."""
    if isinstance(event, AssetVerdict):
        reason = f" ({event.reason})" if event.reason else ""
        return (
            f"{event.decided_at:%Y-%m-%d %H:%M:%S}Z  verdict  {_named(event, event.asset_id)}: {event.verdict}{reason}"
        )
    copied = intervals_text(event.intervals).replace("\n", ", ") or "nothing any more"
    return (
        f"{event.detected_at:%Y-%m-%d %H:%M:%S}Z  alert    {_named(event, event.query.asset_id)} copies "
        f"{event.reference.asset_id}  "
        f"score {event.score:.3f}  {copied}  ({event.status}, revision {event.revision})"
    )


def _named(event: DuplicateAlert | AssetVerdict, asset_id: str) -> str:
    return asset_id if event.tenant == "default" else f"{event.tenant}/{asset_id}"
