"""States are kept encoded, by partition; due assets are found without decoding."""

from typing import Any

import pytest

from services.alerter import state_store
from services.alerter.state import AssetState
from services.alerter.state_codec import UnreadableState, encode_changes
from services.alerter.state_store import StateStore
from tests.alerter.by_hand import ended

NOW = 100.0
OPEN: dict[str, Any] = {"ended": ended(1)}
ALERTED: dict[str, Any] = {"links": {"query": "alert"}}


def make_state(asset_id: str, touched_at: float = 0.0, **fields: Any) -> AssetState:
    return AssetState("t", asset_id, touched_at=touched_at, **fields)


def encode(*assets: AssetState) -> dict[str, bytes]:
    records = (item for state in assets for item in encode_changes(None, state).items())
    return {name: encoded for name, encoded in records if encoded is not None}


def store(now: float = NOW, **touched_at: float) -> StateStore:
    """A store of open assets."""
    states = StateStore()
    states.load(0, encode(*(make_state(asset_id, at, **OPEN) for asset_id, at in touched_at.items())), now)
    return states


def put(states: StateStore, state: AssetState, before: AssetState | None = None) -> None:
    states.put(0, state.key, encode_changes(before, state), state)


def forget(states: StateStore, state: AssetState) -> None:
    states.put(0, state.key, encode_changes(state, None), None)


def list_open(states: StateStore, before: float = NOW, limit: int = 9) -> list[str]:
    return [key.removeprefix("t/") for key in states.list_open(0, before, limit)]


def list_forgettable(states: StateStore, now: float, limit: int = 9) -> list[str]:
    """With a retention of 10 s, and of 30 s for assets that alerts name."""
    return [key.removeprefix("t/") for key in states.list_forgettable(0, now, 10, 30, limit)]


def test_partitions_are_separate_and_dropped_as_a_whole() -> None:
    states = store(a=1)
    states.load(1, encode(make_state("b")), NOW)
    assert states.get(0, "t/a") == make_state("a", 1, **OPEN)
    assert states.get(0, "t/b") is None
    assert states.partitions == {0, 1}
    assert states.asset_count == 2
    states.drop(0)
    assert states.partitions == {1}
    with pytest.raises(KeyError):
        states.get(0, "t/a")
    states.load(1, {}, NOW)
    assert states.get(1, "t/b") is None, "loading replaces all states of a partition"
    states.drop(7)


def test_put_applies_changed_records_and_forgets_an_asset_without_a_state() -> None:
    states, first, second = store(), make_state("a", 2, **ALERTED), make_state("b", 3, **OPEN)
    put(states, first)
    put(states, second)
    changed = make_state("a", 4)
    put(states, changed, before=first)
    assert states.get(0, "t/a") == changed
    forget(states, changed)
    assert states.get(0, "t/a") is None
    assert (list_open(states), list_forgettable(states, NOW), states.asset_count) == (["b"], [], 1)


def test_what_was_put_is_what_a_new_owner_restores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_store, "DECODED_ASSETS", 1)
    states, first = StateStore(), make_state("a", 2, **ALERTED)
    states.load(0, {}, NOW)
    put(states, first)
    changed = make_state("a", 3, links={"other": "1"})
    put(states, changed, before=first)
    put(states, make_state("b"))  # of the first one, only the records are left
    assert states.get(0, "t/a") == changed


def test_the_assets_untouched_for_longest_are_listed_first_up_to_the_limit() -> None:
    states = store(c=3, a=1, b=2, d=4)
    assert list_open(states, 3) == ["a", "b", "c"]
    assert list_open(states, 3, limit=2) == ["a", "b"]
    assert list_open(states, 0.5) == []
    states.touch(0, "t/a", 5)
    states.touch(0, "t/never", 5)
    put(states, make_state("b", 6, **OPEN))
    assert list_open(states) == ["c", "d", "a", "b"]


def test_open_closed_and_alerted_assets_are_listed_separately() -> None:
    states = store(a=1, b=2, c=3)
    put(states, make_state("a", 5))
    put(states, make_state("b", 6, **ALERTED))
    assert (list_open(states), list_forgettable(states, 14.9)) == (["c"], [])
    assert list_forgettable(states, 15) == ["a"]
    assert list_forgettable(states, 36) == ["a", "b"]
    assert list_forgettable(states, 36, limit=1) == ["a"]
    states.touch(0, "t/a", 20)
    assert list_forgettable(states, 29) == []
    put(states, make_state("a", 21, **OPEN))
    assert (list_open(states), list_forgettable(states, NOW)) == (["c", "a"], ["b"])


def test_a_state_that_a_clock_ahead_of_time_wrote_does_not_hide_others() -> None:
    states = StateStore()
    ahead, year = make_state("ahead", 1e9, **OPEN), NOW + 365 * 24 * 3600
    states.load(0, encode(make_state("before", 1, **OPEN), ahead), NOW)
    assert list_open(states) == ["before", "ahead"], "it is due at some time itself"
    put(states, make_state("after", NOW + 1, **OPEN))
    assert list_open(states, NOW + 1) == ["before", "ahead", "after"]
    assert list_open(states, year) == ["before", "ahead", "after"]


@pytest.mark.parametrize("fields", [OPEN, {}, ALERTED], ids=["open", "closed", "alerted"])
def test_a_clock_that_is_set_back_does_not_hide_what_is_touched_after_that(fields: dict[str, Any]) -> None:
    states = store()
    for asset_id, at in (("a", 10.0), ("ahead", 1e9), ("far", 2e9), ("b", 20.0), ("c", 21.0)):
        put(states, make_state(asset_id, at, **fields))
    due = list_open(states, 20) if fields is OPEN else list_forgettable(states, 50)
    assert due[:4] == ["a", "ahead", "far", "b"]
    states.touch(0, "t/a", 15.0)
    assert (list_open(states, 15) if fields is OPEN else list_forgettable(states, 45))[:3] == ["ahead", "far", "b"]


def test_only_get_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_store, "decode", None)
    states = store(a=1, b=2)
    states.touch(0, "t/a", 3)
    put(states, make_state("b", 9))
    assert list_open(states) == ["a"]


def test_an_unreadable_state_is_named() -> None:
    states = StateStore()
    records = encode(make_state("a"), make_state("b", **ALERTED))
    with pytest.raises(UnreadableState, match=r"format 255"):
        states.load(3, {**records, "t/b": b"\xff" * 40}, NOW)
    with pytest.raises(UnreadableState, match=r"partition 3: the state of t/b is incomplete"):
        states.load(3, {name: encoded for name, encoded in records.items() if name != "t/b"}, NOW)
    states.load(3, {**records, "t/b": records["t/b"][:-3]}, NOW)
    with pytest.raises(UnreadableState, match=r"t/b, partition 3: .* damaged"):
        states.get(3, "t/b")
