"""Each thing that can be wrong with alerts is named."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.contracts.events import DuplicateAlert
from tests.chaos.doctored import STEPS, C, D, Doctor, assert_named, find_problems
from tests.chaos.ideal import STARTED_AT, make_observed
from tests.chaos.steps import Asset


def alerts(change: Callable[[DuplicateAlert], list[DuplicateAlert]]) -> Doctor:
    """Replaces the only alert."""
    return lambda observed: replace(observed, alerts=tuple(change(observed.alerts[0])))


def revised(alert: DuplicateAlert, revision: int, **changes: Any) -> DuplicateAlert:
    return alert.model_copy(update={"revision": revision, **changes})


def shifted(alert: DuplicateAlert, by_s: float) -> DuplicateAlert:
    (interval,) = alert.intervals
    return alert.model_copy(
        update={"intervals": (interval.model_copy(update={"query_end_s": interval.query_end_s + by_s}),)}
    )


def swapped(alert: DuplicateAlert) -> DuplicateAlert:
    return alert.model_copy(update={"query": alert.reference, "reference": alert.query})


def about(alert: DuplicateAlert, asset: Asset, alert_id: str) -> DuplicateAlert:
    side = alert.query.model_copy(update={"asset_id": asset.asset_id})
    return alert.model_copy(update={"query": side, "alert_id": alert_id})


@pytest.mark.parametrize(
    ("doctor", "expected"),
    [
        (alerts(lambda _: []), "lost: north/b copies north/a: no live alert says so"),
        (alerts(lambda one: [one, one]), "doubled: alert .*north/b and north/a.*: revision 1 was published 2 times"),
        (alerts(lambda one: [one, revised(one, 9)]), "doubled: alert .*: revision 9 says what the one before it said"),
        (alerts(lambda one: [revised(one, 2), one]), "wrong: alert .*: revision 1 was published after 2"),
        (alerts(lambda one: [one, revised(one, 2, status="withdrawn")]), "lost: north/b copies north/a: no live"),
        (
            alerts(lambda one: [one, one.model_copy(update={"alert_id": "other"})]),
            "doubled: north/b copies north/a: 2 live alerts say so: .*, other",
        ),
        (alerts(lambda one: [swapped(one)]), "wrong: north/b copies north/a: .* has the sides the other way round"),
        (alerts(lambda one: [shifted(one, 2.5)]), "wrong: north/b copies north/a: seconds 5-21 and 8-24 are shared"),
        (
            alerts(lambda one: [one.model_copy(update={"intervals": one.intervals * 2})]),
            "wrong: north/b copies north/a: nothing else is shared, but the alert also says 5-21 and 8-24",
        ),
        (
            alerts(lambda one: [one, about(one, C, "x")]),
            r"wrong: north/c and north/a share nothing: alert x is live \(revision 1, score 0.99\)",
        ),
        (
            alerts(lambda one: [one, about(one, D, "x")]),
            "wrong: north/d and north/a share nothing: alert x is live",
        ),
        (
            alerts(
                lambda one: [
                    one.model_copy(
                        update={"query": one.query.model_copy(update={"uploaded_at": STARTED_AT + timedelta(hours=1)})}
                    )
                ]
            ),
            "wrong: north/b copies north/a: north/b was uploaded at .*12:00:01.*, the alert says .*13:00",
        ),
    ],
)
def test_a_wrong_alert_is_named(doctor: Doctor, expected: str) -> None:
    assert_named(doctor, expected)


def test_an_interval_may_be_off_by_two_seconds() -> None:
    assert find_problems(alerts(lambda one: [shifted(one, -2)])(make_observed(STEPS))) == []


def test_revisions_that_rise_are_fine() -> None:
    first = alerts(lambda one: [shifted(one, -9), revised(one, 7)])
    assert find_problems(first(make_observed(STEPS))) == []
