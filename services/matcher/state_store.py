"""The states of the owned partitions, kept encoded as in the state topic, which saves memory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import TypeVar

from services.contracts.ports import States
from services.matcher.state import AssetState
from services.matcher.state_codec import UnreadableState, decode, read_head

_T = TypeVar("_T")


@dataclass(slots=True)
class _Partition:
    encoded: dict[str, bytes] = field(default_factory=dict)
    # When each was last touched, oldest first, so that due assets are found without decoding.
    open: dict[str, float] = field(default_factory=dict)
    decided: dict[str, float] = field(default_factory=dict)


class StateStore:
    """Encoded states by partition and key ("tenant/asset_id"); `load` a partition before it is used."""

    def __init__(self) -> None:
        self._partitions: dict[int, _Partition] = {}

    @property
    def partitions(self) -> frozenset[int]:
        return frozenset(self._partitions)

    def load(self, partition: int, states: Mapping[str, bytes]) -> None:
        """Replace the states of a partition. Raises UnreadableState, which names the asset."""
        self._partitions[partition] = _Partition()
        touched = {key: _read(partition, key, read_head, encoded).touched_at for key, encoded in states.items()}
        for key in sorted(states, key=touched.__getitem__):
            self.put(partition, key, states[key])

    def drop(self, partition: int) -> None:
        """Drop a partition that was revoked."""
        self._partitions.pop(partition, None)

    def get(self, partition: int, key: str) -> AssetState | None:
        """The state of an asset, None if there is none. Raises UnreadableState, which names the asset."""
        encoded = self._partitions[partition].encoded.get(key)
        return None if encoded is None else _read(partition, key, decode, encoded)

    def put(self, partition: int, key: str, encoded: bytes | None) -> None:
        """Set the state of an asset; None removes it."""
        held = self._partitions[partition]
        held.open.pop(key, None)
        held.decided.pop(key, None)
        if encoded is None:
            held.encoded.pop(key, None)
            return
        head = read_head(encoded)
        held.encoded[key] = encoded
        (held.decided if head.decided else held.open)[key] = head.touched_at

    def put_all(self, states: States) -> None:
        for partition, changed in states.items():
            for key, encoded in changed.items():
                self.put(partition, key, encoded)

    def touch(self, partition: int, key: str, at: float) -> None:
        """Note an event that changed nothing in the asset's state: the asset is not idle."""
        held = self._partitions[partition]
        for touched in (held.open, held.decided):
            if touched.pop(key, None) is not None:
                touched[key] = at

    def list_open(self, partition: int, before: float, limit: int) -> list[str]:
        """Up to `limit` undecided assets that were not touched after `before`, oldest first."""
        return _list_due(self._partitions[partition].open, before, limit)

    def list_decided(self, partition: int, before: float, limit: int) -> list[str]:
        """Up to `limit` decided assets that were not touched after `before`, oldest first."""
        return _list_due(self._partitions[partition].decided, before, limit)


def _list_due(touched: Mapping[str, float], before: float, limit: int) -> list[str]:
    return list(islice(takewhile(lambda key: touched[key] <= before, touched), limit))


def _read(partition: int, key: str, read: Callable[[bytes], _T], encoded: bytes) -> _T:
    try:
        return read(encoded)
    except UnreadableState as error:
        raise UnreadableState(f"{key}, partition {partition}: {error}") from error
