"""An asset's state as bytes, and back: the format of the state topic and of the matcher's memory.

    byte 0       version of the format
    byte 1       1 if the asset is decided
    bytes 2-9    touched_at, a big-endian double
    the rest     the state as JSON, compressed by zlib, whose checksum covers it

The head repeats what is needed of all states at once, so that they need not be decoded for it.
"""

import json
import struct
import zlib
from typing import NamedTuple

from pydantic import TypeAdapter

from services.contracts.errors import CopydetectError
from services.matcher.state import AssetState

VERSION = 2
READABLE = (1, VERSION)  # version 1 called the similarity of a match its score

_HEAD = struct.Struct(">B?d")
_BODY = TypeAdapter(AssetState)


class UnreadableState(CopydetectError):
    """A state that this version cannot read. The process must stop: going on would lose the alerts it published."""


class Head(NamedTuple):
    """What can be read from an encoded state without decoding it."""

    decided: bool
    touched_at: float


def encode(state: AssetState) -> bytes:
    """The state as bytes."""
    return _HEAD.pack(VERSION, state.decided, state.touched_at) + zlib.compress(_BODY.dump_json(state))


def decode(encoded: bytes) -> AssetState:
    """The state in these bytes. Raises UnreadableState for bytes of another version and for damaged ones."""
    head = read_head(encoded)
    try:
        body = zlib.decompress(encoded[_HEAD.size :])
        state = _BODY.validate_json(body if encoded[0] == VERSION else _upgrade(body))
    except (zlib.error, ValueError, KeyError) as error:
        raise UnreadableState(f"the matcher's state of an asset is damaged: {error}") from error
    if head != Head(state.decided, state.touched_at):
        raise UnreadableState(f"the matcher's state of {state.key} is damaged: its head contradicts its body")
    return state


def read_head(encoded: bytes) -> Head:
    """The head alone. Raises UnreadableState as `decode` does."""
    if len(encoded) < _HEAD.size:
        raise UnreadableState(f"the matcher's state of an asset is damaged: {len(encoded)} bytes are too few")
    version, decided, touched_at = _HEAD.unpack_from(encoded)
    if version not in READABLE:
        raise UnreadableState(
            f"the matcher's state of an asset has format {version}, this matcher reads up to {VERSION}: "
            "run the version that wrote it, or a newer one"
        )
    return Head(decided, touched_at)


def _upgrade(body: bytes) -> bytes:
    """Convert the JSON of version 1 to version 2."""
    state = json.loads(body)
    for pair in state["pairs"].values():
        for segment in pair["evidence"].values():
            for match in segment["matches"]:
                match["similarity"] = match.pop("score")
    return json.dumps(state).encode()
