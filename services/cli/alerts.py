"""`copydetect alerts`: prints what the services found."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import typer
from rich.text import Text

from services.backends.kafka.bus import KafkaBus
from services.backends.kafka.connection import KafkaConnection
from services.cli.console import console, error_console
from services.cli.results import intervals_text
from services.contracts import topics
from services.contracts.envelope import read_event
from services.contracts.errors import InvalidMessage
from services.contracts.events import AssetRemovedAck, AssetVerdict, DuplicateAlert, Event
from services.contracts.ports import Record
from services.runtime.settings import load_settings

Result: TypeAlias = DuplicateAlert | AssetVerdict | AssetRemovedAck

COLOURS = {
    **{"new": "bold red", "grown": "yellow", "final": "bold", "withdrawn": "green"},
    **{"copies": "bold red", "failed": "bold magenta", "undecidable": "yellow", "unique": "green"},
}


def alerts(
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep running, and print each revision as it arrives")
    ] = False,
    new: Annotated[bool, typer.Option("--new", help="With --follow: only what is published after the start")] = False,
    verdicts: Annotated[bool, typer.Option("--verdicts", help="Also print verdicts on uploads, and removals")] = False,
    tenant: Annotated[str | None, typer.Option(help="Only events of this tenant")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line, as it is in the topic")
    ] = False,
) -> None:
    """Print duplicate alerts.

    Without --follow it prints the newest revision of each alert that was published so far; with it, every revision as
    it arrives, until Ctrl-C. A revision is new, grown, final (its upload has ended) or withdrawn (content of one side
    was replaced or removed). In a pipe every event is one line.

    Exit code 0; 1 if Kafka does not answer; 2 for wrong usage.
    """
    wanted = [topics.DUPLICATE_ALERTS, *([topics.ASSET_VERDICTS] if verdicts else [])]
    bus = KafkaBus(KafkaConnection.from_settings(load_settings()))
    events = read_events(bus.read(wanted, from_start=not new, follow=follow), tenant)
    for event in events if follow else newest_revisions(events):
        print_event(event, as_json=as_json)


def print_event(event: Result, *, as_json: bool) -> None:
    """Print the event: in one line in a pipe, in colour on a terminal."""
    if as_json:
        console.print(event.model_dump_json(), soft_wrap=True)
    else:
        console.print(to_text(event) if console.is_terminal else to_line(event), soft_wrap=True)


def read_events(records: Iterable[Record], tenant: str | None) -> Iterator[Result]:
    """The alerts, verdicts and removals of a tenant, or of all; reports messages that cannot be read."""
    for record in records:
        try:
            event = read_event(record)
        except InvalidMessage as error:  # of another program or a newer version
            error_console.print(f"skipped a message of {record.message.topic}: {error}", soft_wrap=True)
            continue
        if isinstance(event, Result) and tenant in (None, event.tenant):
            yield event


def newest_revisions(events: Iterable[Result]) -> list[Result]:
    """The highest revision of each alert, then of the verdict on each upload."""
    newest: dict[str, DuplicateAlert] = {}
    verdicts: dict[str, AssetVerdict | AssetRemovedAck] = {}
    for event in events:
        if isinstance(event, AssetVerdict | AssetRemovedAck):
            verdicts[event.key] = event  # in the order of revisions
        elif event.alert_id not in newest or newest[event.alert_id].revision < event.revision:
            newest[event.alert_id] = event
    return [
        *sorted(newest.values(), key=lambda alert: alert.detected_at),
        *sorted(verdicts.values(), key=_decided_at),
    ]


def to_line(event: Result) -> str:
    """The event in one line, for logs and grep."""
    if isinstance(event, AssetRemovedAck):
        return f"{_time(event.removed_at)}  removed     {_qualify(event, event.asset_id)}{_reason(event)}"
    if isinstance(event, AssetVerdict):
        name = _qualify(event, event.asset_id)
        return f"{_time(event.decided_at)}  verdict     {name}: {event.verdict}{_copies(event)}{_reason(event)}"
    copied = intervals_text(event.intervals).replace("\n", ", ") or "no interval"
    return (
        f"{_time(event.detected_at)}  {kind(event):10}  {_qualify(event, event.query.asset_id)} copies "
        f"{_qualify(event, event.reference.asset_id)}  {_scores(event)}  {copied}  "
        f"{event.query_coverage:.0%} of the query, {event.reference_coverage:.0%} of the reference  {_history(event)}"
    )


def to_text(event: Result) -> Text:
    """The event in a few coloured lines, for a terminal. Nothing is truncated, however narrow it is."""
    if isinstance(event, AssetRemovedAck):
        return Text(to_line(event))
    if isinstance(event, AssetVerdict):
        return Text.assemble(
            (_time(event.decided_at), "dim"),
            f"  verdict on {_qualify(event, event.asset_id)}: ",
            (event.verdict, COLOURS[event.verdict]),
            _copies(event),
            _reason(event),
        )
    revision = kind(event)
    return Text.assemble(
        (_time(event.detected_at), "dim"),
        "  ",
        (revision, COLOURS[revision]),
        (f"  {_scores(event)}", "bold"),
        (f"  {_history(event)}", "dim"),
        ("\n  query      ", "dim"),
        (_qualify(event, event.query.asset_id), "bold"),
        (f"  {event.query_coverage:.0%} copied", "dim"),
        ("\n  reference  ", "dim"),
        (_qualify(event, event.reference.asset_id), "bold"),
        (f"  {event.reference_coverage:.0%} copied", "dim"),
        ("\n  copied     ", "dim"),
        intervals_text(event.intervals).replace("\n", "\n             ") or "no interval",
    )


def kind(alert: DuplicateAlert) -> str:
    """What this revision means to a reader: new, grown, final or withdrawn."""
    if not alert.is_live:
        return "withdrawn"
    if alert.status == "final":
        return "final"
    return "new" if alert.is_first else "grown"


def _scores(alert: DuplicateAlert) -> str:
    """The probability with the joined score; only one score if the bundle is not calibrated.

    Then both are the same number. At 1 they are so for the exact copies of a calibrated bundle, too.
    """
    if alert.joined_score is None or alert.joined_score == alert.score < 1:
        return f"score {alert.score:.3f}"
    return f"probability {alert.score:.3f} (joined score {alert.joined_score:.3f})"


def _history(alert: DuplicateAlert) -> str:
    return f"(first seen {_time(alert.first_detected_at)})"


def _decided_at(event: AssetVerdict | AssetRemovedAck) -> datetime:
    return event.removed_at if isinstance(event, AssetRemovedAck) else event.decided_at


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def _copies(verdict: AssetVerdict) -> str:
    return f", copied by {verdict.copied_by}" if verdict.copied_by else ""


def _reason(verdict: AssetVerdict | AssetRemovedAck) -> str:
    """The reason in one line, without control characters: it may quote an uploaded file, and terminals obey them."""
    return f" ({''.join(c if c.isprintable() else '?' for c in verdict.reason)})" if verdict.reason else ""


def _qualify(event: Event, asset_id: str) -> str:
    return asset_id if event.tenant == "default" else f"{event.tenant}/{asset_id}"
