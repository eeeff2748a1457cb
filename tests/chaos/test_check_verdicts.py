"""Each thing that can be wrong with verdicts is named."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.contracts.events import AssetRemovedAck, AssetVerdict
from tests.chaos.doctored import STEPS, WORK, A, B, C, D, Doctor, E, assert_named, find_problems
from tests.chaos.films import Film
from tests.chaos.ideal import STARTED_AT, make_observed
from tests.chaos.observed import Observed
from tests.chaos.steps import Asset, Upload


def verdict(asset: Asset, *, again: bool = False, **changes: Any) -> Doctor:
    """Changes the last word on an asset, or adds another one with these changes."""

    def doctor(observed: Observed) -> Observed:
        words: list[AssetVerdict | AssetRemovedAck] = []
        for word in observed.verdicts:
            is_meant = word.asset_id == asset.asset_id
            words += [word] if again or not is_meant else []
            words += [word.model_copy(update=changes)] if is_meant else []
        return replace(observed, verdicts=tuple(words))

    return doctor


def unsaid(asset: Asset) -> Doctor:
    return lambda observed: replace(
        observed, verdicts=tuple(word for word in observed.verdicts if word.asset_id != asset.asset_id)
    )


BEFORE = STARTED_AT + timedelta(seconds=-1)


@pytest.mark.parametrize(
    ("doctor", "expected"),
    [
        (unsaid(A), "lost: north/a: nothing was ever published about it, expected unique"),
        (unsaid(D), "lost: north/d: nothing was ever published about it, expected removed"),
        (verdict(A, again=True), "doubled: verdict on north/a: revision 1 was published 2 times"),
        (
            verdict(A, again=True, revision=2),
            "doubled: verdict on north/a: said 1 times more than once, after 1 records",
        ),
        (verdict(A, verdict="copies"), "wrong: north/a: expected unique, the verdict is copies, revision 1"),
        (verdict(E, verdict="unique"), "wrong: north/e: expected failed, the verdict is unique"),
        (verdict(B, decided_at=BEFORE), "lost: north/b: no verdict on its last upload"),
        (verdict(B, segments_compared=1), "wrong: north/b: 3 segments compared expected, .* says 1"),
        (verdict(B, segments_described=2), "wrong: north/b: 3 segments described expected, .* says 2"),
        (verdict(B, segments_failed=1), "wrong: north/b: 0 segments failed expected, .* says 1"),
        (verdict(B, alert_ids=()), r"wrong: north/b: .* names the alerts \[\], live are \['north/b north/a'\]"),
        (verdict(A, copied_by=0), "wrong: north/a: .* says that it is copied by 0, live alerts by 1"),
        (verdict(D, removed_at=BEFORE), "wrong: north/d: its removal was acknowledged at .*, but published at"),
        (verdict(D, again=True), "doubled: north/d: its removal was acknowledged 2 times"),
        (
            lambda observed: replace(
                observed, verdicts=(*observed.verdicts, observed.verdicts[0].model_copy(update={"asset_id": "d"}))
            ),
            "lost: north/d: it was removed, but the last word on it is the verdict unique",
        ),
        (
            lambda observed: replace(
                observed, verdicts=(*observed.verdicts, observed.verdicts[-1], observed.verdicts[0])
            ),
            "doubled: verdict on north/a: revision 1",
        ),
        (
            verdict(C, asset_id="f"),
            "wrong: north/f: a verdict on an asset that was never uploaded",
        ),
    ],
)
def test_a_wrong_verdict_is_named(doctor: Doctor, expected: str) -> None:
    assert_named(doctor, expected)


def test_a_second_upload_may_be_answered_by_the_same_verdict() -> None:
    steps = [*STEPS, Upload(6, A, Film((WORK,), 1), 0)]
    assert find_problems(verdict(A, again=True, revision=2)(make_observed(steps)), steps) == []


def test_a_removed_asset_that_was_uploaded_again_needs_a_verdict() -> None:
    steps = [*STEPS, Upload(6, D, Film((WORK,), 4), 6)]
    observed = make_observed(steps)
    assert find_problems(observed, steps) == []
    ack = AssetRemovedAck(tenant="north", asset_id="d", removed_at=STARTED_AT + timedelta(hours=2))
    both = replace(observed, verdicts=(*observed.verdicts, ack))
    assert "lost: north/d: expected copies, but the last word on it is that it was removed" in find_problems(
        both, steps
    )
