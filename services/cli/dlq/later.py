"""Finds what a replay would undo: a replayed record counts as the newest of its asset, whatever came after it.

Only uploads, their ends and removals are like that. What the services tell each other carries the generation of the
record that caused it.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from services.cli.console import progress_bar
from services.cli.dlq.letters import LetterBus
from services.contracts import topics
from services.contracts.dead_letters import DeadLetter, Place, to_replay
from services.contracts.envelope import read_event, to_event
from services.contracts.errors import InvalidMessage
from services.contracts.event_types import OF_UPLOADERS
from services.contracts.events import AssetRemoved, Event, SegmentUploaded, UploadEnded
from services.contracts.ports import Record


class Original(NamedTuple):
    """The record of a letter: where it came from, and its asset (tenant/asset_id); `event` if it can be parsed."""

    place: Place
    asset: str
    event: Event | None


def read_original(letter: DeadLetter) -> Original | None:
    """The upload, end or removal that the letter holds; None if it is something else, or of no known place or asset."""
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,18})", letter.origin_place)
    if letter.origin != topics.VIDEO_SEGMENTS or not letter.asset_id or not found:
        return None
    event = None
    with suppress(InvalidMessage):
        event = to_event(to_replay(letter), OF_UPLOADERS)
    return Original(Place(int(found[1]), int(found[2])), letter.asset, event)


def find_later(bus: LetterBus, originals: Iterable[Original | None]) -> dict[Place, str]:
    """The places of those that a later record of their topic outdates, with the type of the last one that does.

    Each partition is read once, from the first of these records on, with a progress bar. What retention removed is not
    known.
    """
    of_asset: defaultdict[tuple[int, str], list[Original]] = defaultdict(list)
    starts: dict[int, int] = {}
    for one in filter(None, originals):
        of_asset[one.place.partition, one.asset].append(one)
        starts[one.place.partition] = min(one.place.offset + 1, starts.get(one.place.partition, 2**63))
    later: dict[Place, str] = {}
    if starts:
        with progress_bar() as progress:
            task = progress.add_task("looking for later records", total=None, rate="")
            for record in bus.read([topics.VIDEO_SEGMENTS], starts=starts):
                later |= _compare(record, of_asset)
                progress.advance(task)
    return later


def _compare(record: Record, of_asset: Mapping[tuple[int, str], Sequence[Original]]) -> dict[Place, str]:
    """The places of the originals that this record outdates, with its type."""
    try:
        event = read_event(record, OF_UPLOADERS)
    except InvalidMessage:
        return {}  # it changes nothing
    earlier = [one for one in of_asset.get((record.partition, event.key), ()) if one.place.offset < record.offset]
    return {one.place: type(event).__name__ for one in earlier if is_outdated(one.event, event)}


def is_outdated(event: Event | None, later: Event) -> bool:
    """Whether an event of an asset, if it was published again, would undo what a later one says; None: of any kind.

    A segment file lacks beside the others of its upload: only the same segment, a whole file, a removal, or an end
    before it outdates it.
    """
    if not isinstance(event, SegmentUploaded) or event.segment_index is None or isinstance(later, AssetRemoved):
        return True
    if isinstance(later, UploadEnded):
        return later.segment_count <= event.segment_index
    assert isinstance(later, SegmentUploaded)
    if later.segment_index is None or later.segment_index == event.segment_index:
        return True
    return later.last_segment and later.segment_index < event.segment_index
