"""A state comes back from its bytes exactly as it was, or not at all."""

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
def test_a_state_comes_back_exactly_as_it_was(state: AssetState) -> None:
    encoded = encode(state)
    assert decode(encoded) == state
    assert encode(decode(encoded)) == encoded
    assert read_head(encoded) == (state.decided, state.touched_at)


@settings(deadline=None)
@given(states, st.data())
def test_damaged_bytes_are_told_and_never_read_as_another_state(state: AssetState, data: st.DataObject) -> None:
    encoded = bytearray(encode(state))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    with suppress(UnreadableState):
        assert decode(bytes(encoded)) == state, "a flag that is another byte, and no less true"


@pytest.mark.parametrize("cut", [0, 1, 9, 10, 30])
def test_bytes_that_are_cut_off_are_told(cut: int) -> None:
    with pytest.raises(UnreadableState, match="damaged"):
        decode(encode(AssetState("t", "a"))[:cut])


def test_another_version_is_told_with_what_to_do() -> None:
    encoded = bytes([VERSION + 1]) + encode(AssetState("t", "a"))[1:]
    for read in (decode, read_head):
        with pytest.raises(UnreadableState, match=f"form {VERSION + 1}, this matcher reads {VERSION}: run the version"):
            read(encoded)


def test_a_state_of_the_first_form_is_read() -> None:
    matcher = Matcher()
    matcher.store(original(), copy())
    matcher.tell(*upload(copy()))
    body = _body(encode(matcher.state()))
    for pair in body["pairs"].values():
        for segment in pair["evidence"].values():
            for match in segment["matches"]:
                match["score"] = match.pop("similarity")
    head = encode(matcher.state())[1:10]
    assert decode(bytes([1]) + head + zlib.compress(json.dumps(body).encode())) == matcher.state()


def _body(encoded: bytes) -> Any:
    return json.loads(zlib.decompress(encoded[10:]))


def test_a_field_that_is_missing_is_told() -> None:
    encoded = encode(AssetState("t", "a"))
    with pytest.raises(UnreadableState, match="asset_id"):
        decode(encoded[:10] + zlib.compress(b'{"tenant": "t"}'))


def test_what_the_matcher_holds_comes_back_and_is_small() -> None:
    matcher = Matcher()
    matcher.store(original(), copy())
    matcher.tell(*upload(copy()))
    [encoded] = matcher.bus.states().values()
    assert decode(encoded) == matcher.state()
    assert matcher.state().pairs["original"].alert == matcher.alerts()[0]
    assert len(encoded) < 2000
