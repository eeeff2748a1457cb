"""`copydetect alerts`: reads what the services found."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.connection import KafkaConnection
from services.cli.console import console, error_console
from services.cli.results import intervals_text
from services.contracts import topics
from services.contracts.envelope import to_event
from services.contracts.errors import InvalidMessage
from services.contracts.events import AssetVerdict, DuplicateAlert
from services.contracts.ports import Record
from services.runtime.settings import load_settings

COLOURS = {
    **{"new": "bold red", "grown": "yellow", "final": "bold", "taken back": "green"},
    **{"copies": "bold red", "failed": "bold magenta", "undecidable": "yellow", "unique": "green"},
}


def alerts(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on, and show each revision as it comes")] = False,
    new: Annotated[bool, typer.Option("--new", help="With --follow: only what comes from now on")] = False,
    verdicts: Annotated[bool, typer.Option("--verdicts", help="Also the verdict on each upload")] = False,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, as it lies in the topic")] = False,
) -> None:
    """Show duplicate alerts: without --follow the newest revision of each, with it every revision as it comes.

    Each is new, grown, final (its upload is through) or taken back (what was uploaded was replaced). In a pipe an event
    is one line.

    Ends when what was published so far is shown, or with --follow by Ctrl-C.
    """
    wanted = [topics.DUPLICATE_ALERTS, *([topics.ASSET_VERDICTS] if verdicts else [])]
    bus = KafkaBus(KafkaConnection.from_settings(load_settings()))
    said = _said(bus.read(wanted, from_start=not new, follow=follow), tenant)
    for event in said if follow else _newest(said):
        show(event, as_json=as_json)


def show(event: DuplicateAlert | AssetVerdict, *, as_json: bool) -> None:
    """Print the event: in a pipe one line, on a terminal in colour."""
    if as_json:
        console.print(event.model_dump_json(), soft_wrap=True)
    else:
        console.print(in_colour(event) if console.is_terminal else in_words(event), soft_wrap=True)


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
    """The event in a line, for people who read it in a log or look for it with grep."""
    if isinstance(event, AssetVerdict):
        return (
            f"{_time(event.decided_at)}  verdict     {_named(event, event.asset_id)}: {event.verdict}{_reason(event)}"
        )
    copied = intervals_text(event.intervals).replace("\n", ", ") or "no interval"
    return (
        f"{_time(event.detected_at)}  {kind(event):10}  {_named(event, event.query.asset_id)} copies "
        f"{_named(event, event.reference.asset_id)}  score {event.score:.3f}  {copied}  "
        f"{event.query_coverage:.0%} of the query, {event.reference_coverage:.0%} of the reference  {_history(event)}"
    )


def in_colour(event: DuplicateAlert | AssetVerdict) -> Text:
    """The event in a few lines, for a terminal; nothing is cut, however narrow it is."""
    if isinstance(event, AssetVerdict):
        return Text.assemble(
            (_time(event.decided_at), "dim"),
            f"  verdict on {_named(event, event.asset_id)}: ",
            (event.verdict, COLOURS[event.verdict]),
            _reason(event),
        )
    told = kind(event)
    return Text.assemble(
        (_time(event.detected_at), "dim"),
        "  ",
        (told, COLOURS[told]),
        ("  score ", "dim"),
        (f"{event.score:.3f}", "bold"),
        (f"  {_history(event)}", "dim"),
        ("\n  query      ", "dim"),
        (_named(event, event.query.asset_id), "bold"),
        (f"  {event.query_coverage:.0%} copied", "dim"),
        ("\n  reference  ", "dim"),
        (_named(event, event.reference.asset_id), "bold"),
        (f"  {event.reference_coverage:.0%} copied", "dim"),
        ("\n  copied     ", "dim"),
        intervals_text(event.intervals).replace("\n", "\n             ") or "no interval",
    )


def kind(alert: DuplicateAlert) -> str:
    """What this revision means to somebody who follows: new, grown, final or taken back."""
    if not alert.intervals and not alert.score:
        return "taken back"
    if alert.status == "final":
        return "final"
    return "new" if alert.revision == 1 else "grown"


def _history(alert: DuplicateAlert) -> str:
    return f"(revision {alert.revision}, first seen {_time(alert.first_detected_at)})"


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def _reason(verdict: AssetVerdict) -> str:
    """The reason in one line: it may quote what somebody uploaded, and a terminal obeys control characters."""
    return f" ({''.join(c if c.isprintable() else '?' for c in verdict.reason)})" if verdict.reason else ""


def _named(event: DuplicateAlert | AssetVerdict, asset_id: str) -> str:
    return asset_id if event.tenant == "default" else f"{event.tenant}/{asset_id}"
