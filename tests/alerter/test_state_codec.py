"""A state is decoded from its records exactly as it was, or not at all; only what changed is written."""

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.alerter.state import AssetState
from services.alerter.state_codec import (
    VERSION,
    UnreadableState,
    decode,
    encode_changes,
    get_asset_key,
    read_head,
)
from services.contracts.evidence import PairLinked
from tests.alerter.by_hand import after, ended, make_finding, searched, three_segments
from tests.alerter.stages import Stages, copy, original, segment_events, upload
from tests.alerter.states import state_pairs, states
from tests.descriptors import UPLOADED_AT, cut, work
from tests.newer_release import add_fields

HEAD_BYTES = 11


def encode(state: AssetState) -> dict[str, bytes]:
    """All records of a state."""
    return {key: value for key, value in encode_changes(None, state).items() if value is not None}


def changed_names(before: AssetState, after: AssetState) -> set[str]:
    """The records that are written, without the name of the asset."""
    return {key.removeprefix(after.key) for key in encode_changes(before, after)}


@settings(deadline=None)
@given(states)
def test_a_decoded_state_equals_the_encoded_one(state: AssetState) -> None:
    records = encode(state)
    assert decode(records) == state
    assert encode(decode(records)) == records
    assert read_head(records[state.key]) == (state.is_open, state.is_alerted, state.touched_at)
    assert {get_asset_key(name) for name in records} == {state.key}


@settings(deadline=None)
@given(state_pairs)
def test_the_changes_between_two_states_lead_from_one_to_the_other(two: tuple[AssetState, AssetState]) -> None:
    before, after = two
    records: dict[str, bytes | None] = {**encode(before), **encode_changes(before, after)}
    assert decode({key: value for key, value in records.items() if value is not None}) == after
    gone = {**records, **encode_changes(after, None)}
    assert set(gone.values()) == {None}


def test_an_event_writes_only_what_it_changes() -> None:
    whole = three_segments()
    state = after(*whole)
    assert changed_names(state, replace(state, touched_at=7.0)) == {""}
    assert changed_names(state, after(ended(3), state=state)) == {""}
    assert changed_names(after(*whole[:2]), state) >= {"", "#2"}
    longer = after(searched(3, make_finding(other="one", segment_index=3)), state=state)
    assert changed_names(state, longer) == {"", "#3", ">one", ">one#q3"}
    linked = after(PairLinked(asset_id="a", query_id="q", alert_id="1", is_live=True), state=state)
    assert changed_names(state, linked) == {"", "<q"}
    again = after(whole[0].model_copy(update={"generation": 2}), state=state)
    assert changed_names(state, again) == {"", "#0", ">one", ">one#q0", ">two", ">two#q0"}


def test_the_stages_write_as_little_for_the_last_segment_of_a_long_video_as_for_the_first() -> None:
    stages, segments = Stages(), cut("copy", work(1, 0, 256), uploaded_at=UPLOADED_AT + 60)
    stages.store(cut("original", work(1, 0, 256)), segments)
    written = []
    for event in segment_events(segments):
        done = len(stages.bus.commits)
        stages.process(event)
        written.append({name for *_, states in stages.bus.commits[done:] for name in states.get(0, {})})
    names = {"default/copy", "default/copy>original"}
    for index, changed in enumerate(written):
        own = {name for name in changed if get_asset_key(name) == "default/copy"}
        assert own - names == {f"default/copy#{index}", f"default/copy>original#q{index}"}, index


@settings(deadline=None)
@given(states, st.data())
def test_damaged_bytes_are_refused_or_decoded(state: AssetState, data: st.DataObject) -> None:
    """Never another error. A letter of a text may be damaged unseen."""
    records = encode(state)
    name = data.draw(st.sampled_from(sorted(records)))
    damaged = bytearray(records[name])
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(UnreadableState):
        assert decode({**records, name: bytes(damaged)}).key


@pytest.mark.parametrize("length", [0, 1, HEAD_BYTES - 1, HEAD_BYTES, HEAD_BYTES + 20])
def test_truncated_bytes_are_refused(length: int) -> None:
    with pytest.raises(UnreadableState, match="damaged"):
        decode({"t/a": encode(AssetState("t", "a"))["t/a"][:length]})


@pytest.mark.parametrize("name", ["t/a#0", "t/a>other", "t/a>other#q0"])
def test_truncated_parts_are_refused_by_name(name: str) -> None:
    records = encode(after(searched(0, make_finding()), state=AssetState("t", "a")))
    for length in (0, 1, 20):
        with pytest.raises(UnreadableState, match="damaged"):
            decode({**records, name: records[name][:length]})


def test_parts_without_their_asset_are_refused() -> None:
    records = encode(after(searched(0), state=AssetState("t", "a")))
    del records["t/a"]
    with pytest.raises(UnreadableState, match="incomplete: only t/a#0"):
        decode(records)


def test_a_record_with_a_strange_name_is_refused() -> None:
    with pytest.raises(UnreadableState, match=r"t/a#x is damaged: its key has another form"):
        decode({**encode(AssetState("t", "a")), "t/a#x": b"\x01{}"})


def test_another_version_is_refused_with_what_to_do() -> None:
    records = encode(after(searched(0), state=AssetState("t", "a")))
    for name in records:
        encoded = bytes([VERSION + 1]) + records[name][1:]
        wanted = f"format {VERSION + 1}, this alerter reads {VERSION}: run the version that wrote it, or a newer one"
        with pytest.raises(UnreadableState, match=wanted):
            decode({**records, name: encoded})
    with pytest.raises(UnreadableState, match=f"format {VERSION + 1}"):
        read_head(bytes([VERSION + 1]) + records["t/a"][1:])


def test_fields_of_a_newer_release_are_ignored() -> None:
    stages = Stages()
    stages.store(original(), copy())
    stages.process(*upload(copy()))
    state = stages.state()
    records = encode(state)
    newer = {}
    for name, encoded in records.items():
        head = HEAD_BYTES if name == state.key else 1
        newer[name] = encoded[:head] + json.dumps(add_fields(json.loads(encoded[head:]))).encode()
    assert decode(newer) == state


def test_a_missing_field_is_refused() -> None:
    records = encode(AssetState("t", "a"))
    with pytest.raises(UnreadableState, match=r"t/a is damaged: .*\nasset_id"):
        decode({"t/a": records["t/a"][:HEAD_BYTES] + b'{"tenant": "t"}'})


def test_what_is_committed_decodes_to_the_state_and_is_small() -> None:
    stages = Stages()
    stages.store(original(), copy())
    stages.process(*upload(copy()))
    records = {name: encoded for name, encoded in stages.bus.states().items() if get_asset_key(name) == "default/copy"}
    assert decode(records) == stages.state()
    assert stages.state().pairs["original"].alert == stages.alerts()[0]
    assert sum(map(len, records.values())) < 6000
