"""Dead letters in lines: for people, for grep and as JSON; and what they have in common."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from services.cli.dlq.redaction import redact, to_one_line, to_word
from services.contracts.dead_letters import DeadLetter, find_obstacle
from services.contracts.envelope import LONGEST_KEY

_KIND_CHARACTERS = 100


def to_line(letter: DeadLetter) -> str:
    """The letter in one line: topic, place, time, stage, asset, reason; two spaces or more between them."""
    return "  ".join(
        [
            letter.topic,
            f"{letter.place!s:7}",
            f"{time_text(letter.written_at):20}",
            f"{to_word(letter.stage):6}",
            to_word(letter.asset[:LONGEST_KEY]),  # whatever the record's key is
            (to_one_line(letter.reason) or "no reason") + (f"  (replays {letter.replays})" if letter.replays else ""),
        ]
    )


def to_json(letter: DeadLetter) -> str:
    """The letter as a JSON object in one line, without key, value and headers."""
    return json.dumps(
        {
            "topic": letter.topic,
            "partition": letter.place.partition,
            "offset": letter.place.offset,
            "written_at": letter.written_at and letter.written_at.isoformat(),
            "stage": letter.stage or None,
            "reason": redact(letter.reason) or None,
            "tenant": letter.tenant or None,
            "asset_id": letter.asset_id or None,
            "came_from": f"{letter.origin} {letter.origin_place}" if letter.origin else None,
            "replays": letter.replays,
            "replay_of": letter.replay_of or None,
            "value_bytes": len(letter.original.value or b""),
            "obstacle": find_obstacle(letter),
        }
    )


def summarize(kinds: Counter[tuple[str, str]]) -> Iterator[str]:
    """The number of letters, and of each stage and kind of reason, in lines; the most frequent first."""
    yield f"{count_letters(kinds.total())}{':' if kinds else ''}"
    for (stage, kind), count in sorted(kinds.items(), key=lambda item: (-item[1], item[0])):
        yield f"{count:7}  {stage:6}  {kind}"


def kind_of(letter: DeadLetter) -> tuple[str, str]:
    """The stage, and the reason without what differs from upload to upload: paths, addresses, quotes and numbers."""
    kind = re.sub(r"'[^']*'|\"[^\"]*\"", "'...'", to_one_line(letter.reason))
    kind = re.sub(r"\S*/\S*?(?=[:;,)]*(?:\s|$))", "...", kind)
    kind = re.sub(r"\.\.\.(?: \.\.\.)+", "...", kind)
    kind = re.sub(r"\w*\d\w*", "N", re.sub(r"\d+(?:[.,]\d+)+", "N", kind))
    shown = kind if len(kind) <= _KIND_CHARACTERS else f"{kind[:_KIND_CHARACTERS].rstrip()} ..."
    return to_word(letter.stage), shown or "no reason"


def count_letters(count: int) -> str:
    """`1 dead letter`, `2 dead letters`."""
    return f"{count:,} dead letter{'' if count == 1 else 's'}"


def time_text(at: datetime | None) -> str:
    """The time in UTC to the second, as `copydetect alerts` prints it; `-` if it is not known."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z" if at else "-"
