"""The states of the owned partitions, kept encoded as in the state topic, which saves memory."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice, takewhile

from cachetools import LRUCache

from services.alerter.state import AssetState
from services.alerter.state_codec import Head, UnreadableState, decode, get_asset_key, mark_remnant, read_head

DECODED_ASSETS = 512  # kept decoded as well: the events of an asset come close together


@dataclass(slots=True)
class _Partition:
    encoded: dict[str, dict[str, bytes]] = field(default_factory=lambda: defaultdict(dict))  # by asset and record
    # When each asset was last touched, the oldest first, so that due assets are found without decoding.
    open: dict[str, float] = field(default_factory=dict)
    closed: dict[str, float] = field(default_factory=dict)
    alerted: dict[str, float] = field(default_factory=dict)  # closed, and alerts name them
    remnants: dict[str, float] = field(default_factory=dict)  # forgotten, but not all of their records are


class StateStore:
    """Encoded states by partition and asset key ("tenant/asset_id"); `load` a partition before it is used."""

    def __init__(self) -> None:
        self._partitions: dict[int, _Partition] = {}
        self._decoded: LRUCache[tuple[int, str], AssetState] = LRUCache(DECODED_ASSETS)

    @property
    def partitions(self) -> frozenset[int]:
        return frozenset(self._partitions)

    @property
    def has_remnants(self) -> bool:
        """Whether an asset is forgotten, and a part of its records is not. No event may find it."""
        return any(held.remnants for held in self._partitions.values())

    @property
    def asset_count(self) -> int:
        return sum(len(held.encoded) for held in self._partitions.values())

    def load(self, partition: int, records: Mapping[str, bytes], now: float) -> None:
        """Replace the states of a partition. Raises UnreadableState, which names the record.

        `now`: seconds since the epoch; a state that claims to be touched later was written by a wrong clock.
        """
        self.drop(partition)
        held = self._partitions[partition] = _Partition()
        for key, encoded in records.items():
            held.encoded[get_asset_key(key)][key] = encoded
        heads = {}
        for key, of_asset in held.encoded.items():
            if key not in of_asset:
                raise UnreadableState(f"partition {partition}: the state of {key} is incomplete")
            heads[key] = read_head(of_asset[key])
        for key in sorted(heads, key=lambda key: heads[key].touched_at):
            _note_touched(held, key, heads[key]._replace(touched_at=min(now, heads[key].touched_at)))

    def drop(self, partition: int) -> None:
        """Drop a partition that was revoked."""
        self._partitions.pop(partition, None)
        for place in [place for place in self._decoded if place[0] == partition]:
            del self._decoded[place]

    def get(self, partition: int, key: str) -> AssetState | None:
        """The state of an asset, None if there is none. Raises UnreadableState, which names the record."""
        state = self._decoded.get((partition, key))
        if state is None and (records := self._partitions[partition].encoded.get(key)):
            try:
                state = self._decoded[partition, key] = decode(records)
            except UnreadableState as error:
                raise UnreadableState(f"{key}, partition {partition}: {error}") from error
        return state

    def put(self, partition: int, key: str, records: Mapping[str, bytes | None], state: AssetState | None) -> None:
        """Apply changed records of an asset, which is now in this state; None if it is forgotten, at least in part."""
        held = self._partitions[partition]
        for name, encoded in records.items():
            if encoded is None:
                held.encoded[key].pop(name, None)
            else:
                held.encoded[key][name] = encoded
        head = held.encoded[key].get(key)
        _note_touched(held, key, read_head(head) if head else None)
        if head is None:
            del held.encoded[key]
        if state is None:
            self._decoded.pop((partition, key), None)
        else:
            self._decoded[partition, key] = state

    def touch(self, partition: int, key: str, at: float) -> None:
        """Note an event that changed nothing in the asset's state: the asset is not idle."""
        held = self._partitions[partition]
        if key in held.encoded:
            _note_touched(held, key, read_head(held.encoded[key][key])._replace(touched_at=at))

    def forget(self, partition: int, key: str, limit: int) -> dict[str, bytes | None]:
        """The changed records, one more than `limit` at most, by which an asset is forgotten.

        If it has more, a part of them, and its first record, which stays to the end, says so.
        """
        records = self._partitions[partition].encoded[key]
        gone: dict[str, bytes | None] = dict.fromkeys(islice((name for name in records if name != key), limit))
        return gone | {key: None if len(gone) == len(records) - 1 else mark_remnant(records[key])}

    def list_remnants(self, partition: int) -> list[str]:
        """The forgotten assets that have records left."""
        return list(self._partitions[partition].remnants)

    def list_open(self, partition: int, before: float, limit: int) -> list[str]:
        """Up to `limit` open assets that were not touched after `before`, the oldest first."""
        return _list_due(self._partitions[partition].open, before, limit)

    def list_forgettable(
        self, partition: int, now: float, state_retention_s: float, alert_retention_s: float, limit: int
    ) -> list[str]:
        """Up to `limit` closed assets that were not touched for so long; the second time for those that alerts name."""
        held = self._partitions[partition]
        return [
            *_list_due(held.closed, now - state_retention_s, limit),
            *_list_due(held.alerted, now - alert_retention_s, limit),
        ][:limit]


def _note_touched(held: _Partition, key: str, head: Head | None) -> None:
    """Sort the asset in as the last one touched; None: it is forgotten."""
    for touched in (held.open, held.closed, held.alerted, held.remnants):
        touched.pop(key, None)
    if head is not None and head.is_remnant:
        held.remnants[key] = head.touched_at
    elif head is not None:
        touched = held.open if head.is_open else held.alerted if head.is_alerted else held.closed
        # A clock that was ahead was set back: what it noted would hide all that comes after it.
        for ahead in takewhile(lambda one: touched[one] > head.touched_at, reversed(touched)):
            touched[ahead] = head.touched_at
        touched[key] = head.touched_at


def _list_due(touched: Mapping[str, float], before: float, limit: int) -> list[str]:
    return list(islice(takewhile(lambda key: touched[key] <= before, touched), limit))
