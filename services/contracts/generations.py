"""Which content of an asset is current: generations, which order the uploads of an asset.

A generation names the record on video-segments that caused something, and rises from record to record of an asset.
Everything that follows from a record carries its generation, so that what a delayed process still writes or publishes
for an earlier upload is never taken for what replaced it.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol, TypeVar

from services.contracts.ports import Record

# A generation is the timestamp of the record in milliseconds, shifted by these bits, plus the low bits of its offset.
# The timestamp, which the bus never lets go back within a partition, keeps it rising when a topic is made again and
# offsets start at 0; the offset tells apart the records that share a timestamp.
OFFSET_BITS = 20


class Content(Protocol):
    """One segment of an asset, with what decides whether it is current."""

    @property
    def segment_index(self) -> int: ...

    @property
    def generation(self) -> int: ...

    @property
    def content(self) -> str | None:
        """Equal for equal content; all segments of one whole file have the same."""

    @property
    def is_whole_file(self) -> bool:
        """Whether it was cut from a whole file; False for a segment file."""


ContentT = TypeVar("ContentT", bound=Content)


def generation_of(record: Record) -> int:
    """The generation of what follows from a record of video-segments."""
    return (max(0, record.timestamp_ms or 0) << OFFSET_BITS) + record.offset % (1 << OFFSET_BITS)


def published_s(generation: int) -> float:
    """When the record of this generation was published, in seconds since the epoch, by the broker's clock."""
    return (generation >> OFFSET_BITS) / 1000


def is_superseded(old: Content, new: Content) -> bool:
    """Whether the later upload `new` replaces `old`, of the same asset.

    Other content of a whole file replaces everything, and is replaced by anything; a segment file replaces only the
    same segment of others.
    """
    if new.generation <= old.generation or new.content == old.content:
        return False
    return new.is_whole_file or old.is_whole_file or new.segment_index == old.segment_index


def select_current(stored: Iterable[ContentT]) -> list[ContentT]:
    """Those of an asset's segments, in any order, that no other of them supersedes; the latest of equal content."""
    latest: dict[tuple[int, str | None], ContentT] = {}
    for one in sorted(stored, key=lambda one: one.generation):
        latest[one.segment_index, one.content] = one
    by_index: defaultdict[int, list[ContentT]] = defaultdict(list)
    for one in latest.values():
        by_index[one.segment_index].append(one)
    # Whatever supersedes a segment is, or is no later than, one of the two latest contents of its kind.
    whole = _find_two_latest(one for one in latest.values() if one.is_whole_file)
    newest = _find_two_latest(latest.values())
    of_index = {index: _find_two_latest(those) for index, those in by_index.items()}
    return [
        one
        for one in latest.values()
        if not any(is_superseded(one, other) for other in (*whole, *newest, *of_index[one.segment_index]))
    ]


def _find_two_latest(stored: Iterable[ContentT]) -> list[ContentT]:
    """The latest two of different content."""
    found: list[ContentT] = []
    for one in sorted(stored, key=lambda one: one.generation, reverse=True):
        if not found or one.content != found[0].content:
            found.append(one)
        if len(found) == 2:
            break
    return found
