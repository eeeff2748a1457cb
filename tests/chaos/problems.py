"""Something that a run got wrong, in words."""

from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    LOST = "lost"
    DOUBLED = "doubled"
    WRONG = "wrong"


class Problem(NamedTuple):
    kind: Kind
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def lost(text: str) -> Problem:
    return Problem(Kind.LOST, text)


def doubled(text: str) -> Problem:
    return Problem(Kind.DOUBLED, text)


def wrong(text: str) -> Problem:
    return Problem(Kind.WRONG, text)
