"""The options that the commands share, and how their values are read."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeAlias

import typer

from services.contracts import topics
from services.contracts.dead_letters import Place
from services.contracts.errors import Stage
from services.contracts.events import now

TOPICS: Final = (topics.VIDEO_SEGMENTS, topics.ENCODED_SEGMENTS, topics.MATCH_EVIDENCE)
NAMES: Final = f"{', '.join(TOPICS[:-1])} or {TOPICS[-1]}"
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_since(text: str) -> datetime:
    """The time that an age (7d, 12h) or a date with or without a time means; without a zone it is UTC."""
    try:
        if age := re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text):
            return now() - timedelta(**{_UNITS[age[2]]: float(age[1])})
        time = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is neither an age such as 7d or 12h nor a date such as 2026-11-24"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def parse_place(text: str) -> Place:
    """The place that partition/offset names, as `dlq list` prints it."""
    if not (found := re.fullmatch(r"([0-9]{1,9})/([0-9]{1,18})", text)):
        raise typer.BadParameter(f"{text!r} is no partition/offset such as 0/12, as `copydetect dlq list` prints it")
    return Place(int(found[1]), int(found[2]))


def parse_rate(text: str) -> float:
    """Letters per second, from 10/s or 10."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(?:/s)?", text)
    if not found or not float(found[1]):
        raise typer.BadParameter(f"{text!r} is no rate such as 10/s")
    return float(found[1])


def dead_letter_topics(topic: str | None) -> list[str]:
    """The dead-letter topic that --topic means, with or without its suffix; without --topic all of them."""
    names = TOPICS if topic is None else (topic.removesuffix(topics.DEAD_LETTER_SUFFIX),)
    return [name + topics.DEAD_LETTER_SUFFIX for name in names]


TopicOption: TypeAlias = Annotated[str | None, typer.Option("--topic", help=f"Only letters from this topic: {NAMES}")]
StageOption: TypeAlias = Annotated[Stage | None, typer.Option("--stage", help="Only letters that failed at this stage")]
ReasonOption: TypeAlias = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Only letters whose reason contains this, in any case")
]
AssetOption: TypeAlias = Annotated[
    str | None, typer.Option("--asset", metavar="ID", help="Only letters of this asset (asset_id, or tenant/asset_id)")
]
TenantOption: TypeAlias = Annotated[str | None, typer.Option("--tenant", help="Only letters of this tenant")]
SinceOption: TypeAlias = Annotated[
    datetime | None,
    typer.Option(
        "--since",
        parser=parse_since,
        metavar="TIME",
        help="Only letters written since then: an age (7d, 12h, 30m) or a date or time (2026-11-24T12:00, in UTC)",
    ),
]
