"""Each thing that can be wrong with the log is named, and nothing is with an ideal outcome."""

from dataclasses import replace

import pytest

from services.contracts.topics import ENCODED_SEGMENTS
from tests.chaos.doctored import STEPS, B, Doctor, assert_named, find_problems
from tests.chaos.ideal import make_observed
from tests.chaos.observed import DeadLetter, OpenTransaction, Place, Unread
from tests.chaos.plan import make_plan


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_wrong_with_an_ideal_outcome(seed: int) -> None:
    assert find_problems(make_observed(STEPS)) == []
    steps = make_plan(seed, 150, 120)
    assert find_problems(make_observed(steps), steps) == []


@pytest.mark.parametrize(
    ("doctor", "expected"),
    [
        (
            lambda observed: replace(
                observed, announced=frozenset(one for one in observed.announced if one.asset != B)
            ),
            "lost: the upload of north/b at partition 0, offset 1: nothing was announced about it",
        ),
        (
            lambda observed: replace(
                observed, announced=frozenset(one._replace(generation=99) for one in observed.announced)
            ),
            "lost: the removal of north/d at partition 0, offset 5: nothing was announced about it",
        ),
        (lambda observed: replace(observed, dead_letters=()), "lost: the upload of north/e .*: it cannot be decoded"),
        (
            lambda observed: replace(
                observed, dead_letters=(*observed.dead_letters, DeadLetter("video-segments", Place(0, 1), "x"))
            ),
            "wrong: the upload of north/b .*: it is a dead letter",
        ),
        (
            lambda observed: replace(
                observed, dead_letters=(*observed.dead_letters, DeadLetter(ENCODED_SEGMENTS, Place(0, 1), "why"))
            ),
            "wrong: a dead letter of encoded-segments: why",
        ),
        (lambda observed: replace(observed, inputs=observed.inputs[:-1]), "wrong: the removal of north/d was never"),
        (
            lambda observed: replace(observed, unread=(Unread("alerter", "match-evidence", 2, 3),)),
            "lost: group alerter has not committed 3 records of match-evidence, partition 2",
        ),
        (
            lambda observed: replace(observed, open_transactions=(OpenTransaction("asset-verdicts", 1, 4, 9),)),
            "wrong: a transaction in asset-verdicts, partition 1, never ended: readers stop at offset 4 of 9",
        ),
    ],
)
def test_a_wrong_log_is_named(doctor: Doctor, expected: str) -> None:
    assert_named(doctor, expected)
