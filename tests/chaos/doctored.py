"""A small plan, to whose ideal outcome tests do something that the checker must name."""

import re
from collections.abc import Callable

from tests.chaos.check import check_run
from tests.chaos.films import Film, Piece
from tests.chaos.ideal import STARTED_AT, make_observed
from tests.chaos.observed import Observed
from tests.chaos.steps import Asset, Removal, Step, Upload

A, B, C, D, E = (Asset("north", name) for name in "abcde")
WORK = Piece(1, 0, 40)
STEPS: list[Step] = [
    Upload(0, A, Film((WORK,), 1), 0),
    Upload(1, B, Film((Piece(2, 0, 5), Piece(1, 8, 16)), 2), 1),
    Upload(2, C, Film((Piece(3, 0, 8),), 3), 2),
    Upload(3, D, Film((WORK,), 4), 3),
    Upload(4, E, Film((WORK,), 5, broken_after_s=0), 4),
    Removal(5, D),
]
Doctor = Callable[[Observed], Observed]


def find_problems(observed: Observed, steps: list[Step] = STEPS) -> list[str]:
    return [str(problem) for problem in check_run(steps, observed, STARTED_AT)]


def assert_named(doctor: Doctor, expected: str) -> None:
    """Whatever the doctor does to the ideal outcome is named, in words that the pattern matches."""
    problems = find_problems(doctor(make_observed(STEPS)))
    assert any(re.match(expected, problem) for problem in problems), problems
