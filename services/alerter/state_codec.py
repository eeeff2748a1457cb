"""The state of an asset as records of the state topic, and back.

    tenant/asset                the asset itself; a head stands before its JSON
    tenant/asset#7              its segment 7
    tenant/asset>other          the pair with a reference, and the last alert about it
    tenant/asset>other#q3, #r5  evidence of the pair: from query segment 3, from reference segment 5
    tenant/asset<other          an alert of another asset that names it as its reference

An event changes few of them, and only these are written: the states of long videos stay cheap to update. The head of
the first record repeats what is needed of all assets at once, so that they need not be decoded for it. All values are
JSON behind a version byte; unknown fields are ignored, since a newer release may have written them.
"""

import math
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from pydantic import TypeAdapter

from services.alerter.pair import Pair, SideName, Unit, UnitKey
from services.alerter.state import AssetState, SegmentState
from services.contracts.errors import CopydetectError

VERSION = 1

_HEAD = struct.Struct(">B??d")
_PARTS = re.compile(r"(?P<asset>[^#<>]+)(?:#(?P<segment>\d+)|<(?P<query>.+)|>(?P<other>[^#]+)(?:#(?P<unit>[qr]\d+))?)?")
_SIDES: Mapping[str, SideName] = {"q": "query", "r": "reference"}

K = TypeVar("K")
V = TypeVar("V")

_ASSET = TypeAdapter(AssetState)
_SEGMENT = TypeAdapter(SegmentState)
_PAIR = TypeAdapter(Pair)
_UNIT = TypeAdapter(Unit)
_LINK = TypeAdapter(str)


class UnreadableState(CopydetectError):
    """A state that this version cannot read. The process must stop: going on would lose the alerts it published."""


class Head(NamedTuple):
    """What can be read from the first record of an asset without decoding it."""

    is_open: bool
    is_alerted: bool  # alerts name it
    touched_at: float

    @property
    def is_remnant(self) -> bool:
        """Whether the asset is forgotten, and only a part of its records is left."""
        return self.touched_at == -math.inf


@dataclass(slots=True)
class _Decoded:
    """The records of an asset while they are put together."""

    asset: AssetState | None = None
    segments: dict[int, SegmentState] = field(default_factory=dict)
    pairs: dict[str, Pair] = field(default_factory=dict)
    units: dict[str, dict[UnitKey, Unit]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


def encode_changes(before: AssetState | None, after: AssetState | None) -> dict[str, bytes | None]:
    """The records that differ between two states of an asset, by key; None for those that are gone.

    What is the same object in both states counts as unchanged without a look at it.
    """
    state = after or before
    assert state is not None
    nothing = AssetState(state.tenant, state.asset_id)
    old, new = before or nothing, after or nothing
    changed: dict[str, bytes | None] = {state.key: None if after is None else _encode_asset(after)}
    for index, segment in _find_changes(old.segments, new.segments):
        changed[f"{state.key}#{index}"] = None if segment is None else _encode(_SEGMENT, segment)
    for query, alert_id in _find_changes(old.links, new.links):
        changed[f"{state.key}<{query}"] = None if alert_id is None else _encode(_LINK, alert_id)
    for other, pair in _find_changes(old.pairs, new.pairs):
        name = f"{state.key}>{other}"
        changed[name] = None if pair is None else _encode(_PAIR, pair, without="units")
        old_pair = old.pairs.get(other)
        for key, unit in _find_changes(old_pair.units if old_pair else {}, pair.units if pair else {}):
            changed[f"{name}#{key.side[0]}{key.segment_index}"] = None if unit is None else _encode(_UNIT, unit)
    return changed


def _find_changes(old: Mapping[K, V], new: Mapping[K, V]) -> Iterator[tuple[K, V | None]]:
    if old is new:
        return
    yield from ((key, None) for key in old if key not in new)
    yield from ((key, value) for key, value in new.items() if old.get(key) is not value)


def _encode_asset(state: AssetState) -> bytes:
    bare = replace(state, segments={}, pairs={}, links={})
    return _HEAD.pack(VERSION, state.is_open, state.is_alerted, state.touched_at) + _ASSET.dump_json(bare)


def _encode(kind: TypeAdapter[Any], value: object, *, without: str = "") -> bytes:
    return bytes([VERSION]) + kind.dump_json(value, exclude={without})


def read_head(encoded: bytes) -> Head:
    """What the first record of an asset begins with. Raises UnreadableState for one of another format."""
    _check_version(encoded, _HEAD.size)
    _, *head = _HEAD.unpack_from(encoded)
    return Head(*head)


def mark_remnant(encoded: bytes) -> bytes:
    """The first record of an asset, which now says that the asset is forgotten, and its records are not yet."""
    head = read_head(encoded)
    return _HEAD.pack(VERSION, head.is_open, head.is_alerted, -math.inf) + encoded[_HEAD.size :]


def get_asset_key(key: str) -> str:
    """The key of the asset that a record belongs to."""
    return re.split("[#<>]", key, maxsplit=1)[0]


def decode(records: Mapping[str, bytes]) -> AssetState:
    """The state in the records of one asset. Raises UnreadableState for damaged ones and those of another format."""
    decoded = _Decoded()
    for key, encoded in records.items():
        try:
            _decode_record(key, encoded, decoded)
        except ValueError as error:
            raise UnreadableState(f"the alerter's state {key} is damaged: {error}") from error
    if decoded.asset is None:
        raise UnreadableState(f"the alerter's state is incomplete: only {', '.join(records)}")
    pairs = {other: replace(pair, units=decoded.units.get(other, {})) for other, pair in decoded.pairs.items()}
    return replace(decoded.asset, segments=decoded.segments, pairs=pairs, links=decoded.links)


def _decode_record(key: str, encoded: bytes, decoded: _Decoded) -> None:
    parts = _PARTS.fullmatch(key)
    if parts is None:
        raise ValueError("its key has another form")
    if key == parts["asset"]:
        _check_version(encoded, _HEAD.size)
        decoded.asset = _ASSET.validate_json(encoded[_HEAD.size :])
        return
    _check_version(encoded, 1)
    body = encoded[1:]
    if parts["segment"]:
        decoded.segments[int(parts["segment"])] = _SEGMENT.validate_json(body)
    elif parts["query"]:
        decoded.links[parts["query"]] = _LINK.validate_json(body)
    elif parts["unit"]:
        name = parts["unit"]
        units = decoded.units.setdefault(parts["other"], {})
        units[UnitKey(_SIDES[name[0]], int(name[1:]))] = _UNIT.validate_json(body)
    else:
        decoded.pairs[parts["other"]] = _PAIR.validate_json(body)


def _check_version(encoded: bytes, shortest: int) -> None:
    if len(encoded) < shortest:
        raise UnreadableState(f"a state of the alerter is damaged: {len(encoded)} bytes are too few")
    if encoded[0] != VERSION:
        raise UnreadableState(
            f"a state of the alerter has format {encoded[0]}, this alerter reads {VERSION}: "
            "run the version that wrote it, or a newer one"
        )
