"""A fail point acts once, before or after the call that it names."""

import pytest

from tests.chaos.fail_points import _CALLS, POINTS_OF, FailPoint, fail_at


@pytest.mark.parametrize(("when", "seen"), [("before", [1, "fails", 2, 3]), ("after", [1, 2, "fails", 3])])
def test_the_second_call_fails(when: str, seen: list[object]) -> None:
    log: list[object] = []
    call = fail_at(log.append, FailPoint.parse(f"store:{when}:2:kill"), lambda: log.append("fails"))
    for number in (1, 2, 3):
        call(number)
    assert log == seen


@pytest.mark.parametrize("text", ["store:before:2:hang", "commit-transaction:after:1:kill"])
def test_a_point_is_written_as_it_is_read(text: str) -> None:
    assert str(FailPoint.parse(text)) == text


@pytest.mark.parametrize("text", ["nothing:before:1:kill", "store:during:1:kill", "store:before:1:laugh", "store"])
def test_an_unknown_point_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no such fail point|not enough values"):
        FailPoint.parse(text)


def test_every_point_names_a_call_that_exists() -> None:
    for owner, method in _CALLS.values():
        assert callable(getattr(owner, method))
    assert {name for names in POINTS_OF.values() for name in names} == _CALLS.keys()
