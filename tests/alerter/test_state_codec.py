"""A state is decoded from its bytes exactly as it was, or not at all."""

import json
import zlib
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services.matcher.state import AssetState
from services.matcher.state_codec import VERSION, UnreadableState, decode, encode, read_head
from tests.matcher.matcher import Matcher, copy, original, upload
from tests.matcher.states import states


@settings(deadline=None)
@given(states)
def test_a_decoded_state_equals_the_encoded_one(state: AssetState) -> None:
    encoded = encode(state)
    assert decode(encoded) == state
    assert encode(decode(encoded)) == encoded
    assert read_head(encoded) == (state.decided, state.touched_at)


@settings(deadline=None)
@given(states, st.data())
def test_damaged_bytes_are_refused_or_decode_to_the_same_state(state: AssetState, data: st.DataObject) -> None:
    encoded = bytearray(encode(state))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    with suppress(UnreadableState):
        assert decode(bytes(encoded)) == state, "a changed flag byte may still be true"


@pytest.mark.parametrize("cut", [0, 1, 9, 10, 30])
def test_truncated_bytes_are_refused(cut: int) -> None:
    with pytest.raises(UnreadableState, match="damaged"):
        decode(encode(AssetState("t", "a"))[:cut])


def test_another_version_is_refused_with_what_to_do() -> None:
    encoded = bytes([VERSION + 1]) + encode(AssetState("t", "a"))[1:]
    for read in (decode, read_head):
        with pytest.raises(UnreadableState, match=f"format {VERSION + 1}, this matcher reads up to {VERSION}"):
            read(encoded)


def test_a_state_of_version_1_is_decoded() -> None:
    matcher = Matcher()
    matcher.store(original(), copy())
    matcher.process(*upload(copy()))
    body = _body(encode(matcher.state()))
    for pair in body["pairs"].values():
        for segment in pair["evidence"].values():
            for match in segment["matches"]:
                match["score"] = match.pop("similarity")
    head = encode(matcher.state())[1:10]
    assert decode(bytes([1]) + head + zlib.compress(json.dumps(body).encode())) == matcher.state()


def _body(encoded: bytes) -> Any:
    return json.loads(zlib.decompress(encoded[10:]))


def test_a_missing_field_is_refused() -> None:
    encoded = encode(AssetState("t", "a"))
    with pytest.raises(UnreadableState, match="asset_id"):
        decode(encoded[:10] + zlib.compress(b'{"tenant": "t"}'))


def test_a_stored_state_is_small_and_decodes_to_the_same_state() -> None:
    matcher = Matcher()
    matcher.store(original(), copy())
    matcher.process(*upload(copy()))
    [encoded] = matcher.bus.states().values()
    assert decode(encoded) == matcher.state()
    assert matcher.state().pairs["original"].alert == matcher.alerts()[0]
    assert len(encoded) < 2000
