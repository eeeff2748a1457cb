"""An asset's state as bytes, and back: what the state topic holds, and the matcher's memory.

    byte 0       version of the form
    byte 1       1 when the asset is decided on
    bytes 2-9    touched_at, a big-endian double
    the rest     the state as JSON, compressed by zlib, whose checksum covers it

The head repeats what has to be known of every state at once, so that none is decoded for it.
"""

import json
import struct
import zlib
from typing import NamedTuple

from pydantic import TypeAdapter

from services.contracts.errors import CopydetectError
from services.matcher.state import AssetState

VERSION = 2
READABLE = (1, VERSION)  # form 1 called the similarity of a match its score

_HEAD = struct.Struct(">B?d")
_BODY = TypeAdapter(AssetState)


class UnreadableState(CopydetectError):
    """A state that this version cannot read: the process must stop, since going on would forget what it said."""


class Head(NamedTuple):
    """What can be told of an encoded state at once."""

    decided: bool
    touched_at: float


def encode(state: AssetState) -> bytes:
    """The state in its compact form."""
    return _HEAD.pack(VERSION, state.decided, state.touched_at) + zlib.compress(_BODY.dump_json(state))


def decode(encoded: bytes) -> AssetState:
    """The state that was encoded. Raises UnreadableState for another version's and for damaged bytes."""
    head = read_head(encoded)
    try:
        body = zlib.decompress(encoded[_HEAD.size :])
        state = _BODY.validate_json(body if encoded[0] == VERSION else _upgrade(body))
    except (zlib.error, ValueError, KeyError) as error:
        raise UnreadableState(f"the matcher's state of an asset is damaged: {error}") from error
    if head != Head(state.decided, state.touched_at):
        raise UnreadableState(f"the matcher's state of {state.key} is damaged: its head says otherwise than its body")
    return state


def read_head(encoded: bytes) -> Head:
    """The head alone. Raises UnreadableState as `decode` does."""
    if len(encoded) < _HEAD.size:
        raise UnreadableState(f"the matcher's state of an asset is damaged: {len(encoded)} bytes are no state")
    version, decided, touched_at = _HEAD.unpack_from(encoded)
    if version not in READABLE:
        raise UnreadableState(
            f"the matcher's state of an asset has form {version}, this matcher reads {VERSION}: "
            "run the version that wrote it, or one that is newer"
        )
    return Head(decided, touched_at)


def _upgrade(body: bytes) -> bytes:
    """The JSON of form 1 as form 2 has it."""
    state = json.loads(body)
    for pair in state["pairs"].values():
        for segment in pair["evidence"].values():
            for match in segment["matches"]:
                match["similarity"] = match.pop("score")
    return json.dumps(state).encode()
