"""States are kept encoded, by partition; due assets are found without decoding."""

import pytest
from services.matcher.state import AssetState
from services.matcher.state_codec import UnreadableState, encode
from services.matcher.state_store import StateStore

from services.matcher import state_store


def encode_state(asset_id: str, touched_at: float = 0.0, *, decided: bool = False) -> bytes:
    return encode(AssetState("t", asset_id, touched_at=touched_at, decided=decided))


def store(**touched_at: float) -> StateStore:
    states = StateStore()
    states.load(0, {f"t/{asset_id}": encode_state(asset_id, at) for asset_id, at in touched_at.items()})
    return states


def test_partitions_are_separate_and_dropped_as_a_whole() -> None:
    states = store(a=1)
    states.load(1, {"t/b": encode_state("b")})
    assert states.get(0, "t/a") == AssetState("t", "a", touched_at=1)
    assert states.get(0, "t/b") is None
    assert states.partitions == {0, 1}
    states.drop(0)
    assert states.partitions == {1}
    with pytest.raises(KeyError):
        states.get(0, "t/a")
    states.load(1, {})
    assert states.get(1, "t/b") is None, "loading replaces all states of a partition"
    states.drop(7)


def test_put_sets_a_state_and_none_removes_it() -> None:
    states = store(a=1)
    states.put_all({0: {"t/a": encode_state("a", 2), "t/b": encode_state("b", 3)}})
    assert states.get(0, "t/a") == AssetState("t", "a", touched_at=2)
    states.put_all({0: {"t/a": None, "t/never": None}})
    assert states.get(0, "t/a") is None
    assert states.list_open(0, 99, 9) == ["t/b"]


def test_the_assets_untouched_for_longest_are_listed_first_up_to_the_limit() -> None:
    states = store(c=3, a=1, b=2, d=4)
    assert states.list_open(0, 3, 9) == ["t/a", "t/b", "t/c"]
    assert states.list_open(0, 3, 2) == ["t/a", "t/b"]
    assert states.list_open(0, 0.5, 9) == []
    states.touch(0, "t/a", 5)
    states.touch(0, "t/never", 5)
    states.put(0, "t/b", encode_state("b", 6))
    assert states.list_open(0, 99, 9) == ["t/c", "t/d", "t/a", "t/b"]


def test_open_and_decided_assets_are_listed_separately() -> None:
    states = store(a=1, b=2)
    states.put(0, "t/a", encode_state("a", 3, decided=True))
    assert (states.list_open(0, 99, 9), states.list_decided(0, 99, 9)) == (["t/b"], ["t/a"])
    states.touch(0, "t/a", 4)
    assert states.list_decided(0, 3.5, 9) == []
    states.put(0, "t/a", encode_state("a", 5))
    assert (states.list_open(0, 99, 9), states.list_decided(0, 99, 9)) == (["t/b", "t/a"], [])


def test_only_get_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_store, "decode", None)
    states = store(a=1, b=2)
    states.touch(0, "t/a", 3)
    states.put(0, "t/b", encode_state("b", 9, decided=True))
    assert states.list_open(0, 99, 9) == ["t/a"]


def test_an_unreadable_state_is_named() -> None:
    states = StateStore()
    with pytest.raises(UnreadableState, match=r"t/b, partition 3: .* format 255"):
        states.load(3, {"t/a": encode_state("a"), "t/b": b"\xff" * 40})
    states.load(3, {"t/b": encode_state("b")[:-3]})
    with pytest.raises(UnreadableState, match=r"t/b, partition 3: .* damaged"):
        states.get(3, "t/b")
