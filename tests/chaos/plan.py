"""A seeded plan of what uploaders do: which film is uploaded as which asset, when, and what replaces it later.

Works come in families: an original, and copies of it in other assets. Two thirds of the assets are uploaded once. The
others are repeated, replaced, change their role, are removed, cannot be decoded, or are sent in segment files.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from services.contracts.events import Role
from tests.chaos.films import Film, Piece
from tests.chaos.steps import SEGMENT_S, Asset, End, Removal, Step, Upload, cut_film

MOST_SEGMENTS: Final = 20
_LONGEST_FILLER_S: Final = 16  # before and after a copy
TENANTS: Final = ("north", "north", "north", "north", "north", "south")
# The later a step, the less time is left to work on it under faults.
_LAST_START: Final = 0.8  # of the plan's length


def make_plan(seed: int, uploads: int, length_s: float) -> list[Step]:
    """At least so many uploads, in the order in which they are published during `length_s`."""
    made = _Plan(random.Random(seed), length_s)
    while made.upload_count < uploads:
        made.add_family()
    return sorted(made.steps, key=lambda step: step.at_s)


class _Plan:
    """A plan in the making."""

    def __init__(self, rng: random.Random, length_s: float) -> None:
        self.steps: list[Step] = []
        self._rng = rng
        self._length_s = length_s
        self._works: list[Piece] = []  # whole works of the families so far
        self._fillers = 0
        self._assets = 0

    @property
    def upload_count(self) -> int:
        return sum(isinstance(step, Upload) for step in self.steps)

    def add_family(self) -> None:
        """An original and up to three copies; half of the copies arrive together with it."""
        rng = self._rng
        work = Piece(len(self._works) + 1, 0, SEGMENT_S * self._choose_segment_count())
        self._works.append(work)
        begin_s = rng.uniform(0, _LAST_START * self._length_s)
        for number in range(rng.choice((1, 2, 2, 3, 4))):
            film = self._film([work]) if number == 0 else self._copy(work)
            delay_s = rng.uniform(0, 0.5) if rng.random() < 0.5 else rng.uniform(0, 0.2 * self._length_s)
            self._add_asset(film, begin_s + delay_s * (number > 0), is_original=number == 0)

    def _add_asset(self, film: Film, at_s: float, *, is_original: bool) -> None:
        rng = self._rng
        self._assets += 1
        asset = Asset(rng.choice(TENANTS), f"a{self._assets}")
        first = Upload(at_s, asset, film, self._claim(at_s))
        if is_original and rng.random() < 0.15:
            first = replace(first, role=Role.REFERENCE)
        stories = (
            self._repeat,
            self._replace,
            self._break,
            self._break_halfway,
            self._change_role,
            self._remove,
            self._send_segments,
            self._send_segments,
        )
        self.steps += rng.choice(stories)(first) if rng.random() < 1 / 3 else [first]

    def _repeat(self, first: Upload) -> Iterator[Step]:
        """As the same record, or as a new one about the same file."""
        yield first
        again = self._next(first, film=first.film)
        yield again if self._rng.random() < 0.5 else replace(first, at_s=again.at_s)

    def _replace(self, first: Upload) -> Iterator[Step]:
        """By a copy of a known work or something unrelated, once or twice; the second may bring the first film back."""
        yield first
        second = self._next(first, film=self._any_film())
        yield second
        if self._rng.random() < 0.4:
            back = self._rng.random() < 0.5
            yield self._next(second, film=first.film if back else self._any_film())

    def _break(self, first: Upload) -> Iterator[Step]:
        """A file that cannot be decoded at all: alone, after a good one, or with a good one after it."""
        broken = replace(self._any_film(), broken_after_s=0)
        if self._rng.random() < 0.7:
            yield first
            yield (last := self._next(first, film=broken))
        else:
            yield (last := replace(first, film=broken))
        if self._rng.random() < 0.3:
            yield self._next(last, film=self._any_film())

    def _break_halfway(self, first: Upload) -> Iterator[Step]:
        """A film that begins with what it shares, so that no segment that comes of it shares a second or two."""
        yield first
        film = self._copy(self._rng.choice(self._works), begins_with_it=True)
        yield self._next(first, film=replace(film, broken_after_s=self._rng.randrange(1, film.length_s)))

    def _change_role(self, first: Upload) -> Iterator[Step]:
        yield first
        role = Role.UPLOAD if first.role is Role.REFERENCE else Role.REFERENCE
        yield replace(self._next(first, film=first.film), role=role)

    def _remove(self, first: Upload) -> Iterator[Step]:
        yield first
        removal = Removal(self._later(first.at_s), first.asset)
        yield removal
        if self._rng.random() < 0.5:
            at_s = self._later(removal.at_s)
            film = first.film if self._rng.random() < 0.5 else self._any_film()
            yield replace(first, at_s=at_s, film=film, uploaded_s=self._claim(at_s))

    def _send_segments(self, first: Upload) -> Iterator[Step]:
        """The film as segment files in any order; one may be broken or another film at first, and is mended later."""
        rng = self._rng
        if rng.random() < 0.25:
            yield first  # the segment files replace a whole file
            first = replace(first, at_s=self._later(first.at_s))
        each_s = rng.choice((SEGMENT_S, SEGMENT_S + 4, 2 * SEGMENT_S))
        parts = [cut_film(first.film, start_s, each_s) for start_s in range(0, first.film.length_s, each_s)]
        order = list(range(len(parts)))
        rng.shuffle(order)
        marks_last = rng.random() < 0.5
        mended = rng.choice(order[1:]) if len(order) > 1 and rng.random() < 0.5 else None
        at_s = first.at_s
        for index in order:
            upload = replace(
                first,
                at_s=at_s,
                film=parts[index],
                uploaded_s=self._claim(at_s),
                segment_index=index,
                start_s=index * each_s,
                is_last=marks_last and index == len(parts) - 1,
            )
            if index == mended:
                wrong = replace(parts[index], noise=self._noise(), broken_after_s=0 if rng.random() < 0.5 else None)
                yield replace(upload, film=wrong)
                at_s = self._later(at_s)
                upload = replace(upload, at_s=at_s, uploaded_s=self._claim(at_s))
            yield upload
            at_s += rng.uniform(0.01, 2)
        if not marks_last:
            yield End(at_s, first.asset, len(parts))
        if rng.random() < 0.2:
            at_s = self._later(at_s)
            yield replace(first, at_s=at_s, film=self._any_film(), uploaded_s=self._claim(at_s))

    def _next(self, before: Upload, *, film: Film) -> Upload:
        at_s = self._later(before.at_s)
        return replace(before, at_s=at_s, film=film, uploaded_s=self._claim(at_s))

    def _later(self, at_s: float) -> float:
        """At once, while the work on the former is in progress, or long after it."""
        room_s = max(1.0, self._length_s - at_s)
        return at_s + self._rng.choice((0.001, self._rng.uniform(0.1, 3), self._rng.uniform(0.1, 0.9) * room_s))

    def _claim(self, at_s: float) -> float:
        """The time that an uploader states, which need not be in the order of publishing."""
        return round(at_s + self._rng.uniform(-20, 0), 3)

    def _any_film(self) -> Film:
        if self._rng.random() < 0.6:
            return self._copy(self._rng.choice(self._works))
        return self._film([self._filler(SEGMENT_S * self._choose_segment_count() - self._rng.randrange(SEGMENT_S))])

    def _copy(self, work: Piece, *, begins_with_it: bool = False) -> Film:
        """All of a work or a clip of it, often behind or before something else, so that it crosses borders."""
        rng = self._rng
        count = work.length_s // SEGMENT_S
        # Starts and lengths on a grid, so that two clips share nothing or at least a whole step.
        first = rng.randrange(count) if rng.random() < 0.6 else 0
        length = rng.randint(1, count - first) if first or rng.random() < 0.3 else count
        clip = replace(work, start_s=SEGMENT_S * first, length_s=SEGMENT_S * length)
        before, after = (rng.choice((0, 0, rng.randint(1, _LONGEST_FILLER_S))) for _ in range(2))
        before = 0 if begins_with_it else before
        return self._film([self._filler(before), clip, self._filler(after)])

    def _film(self, pieces: list[Piece]) -> Film:
        return Film(tuple(piece for piece in pieces if piece.length_s > 0), self._noise())

    def _filler(self, length_s: int) -> Piece:
        """A stretch of a work that occurs nowhere else."""
        self._fillers += 1
        return Piece(1_000_000 + self._fillers, 0, length_s)

    def _noise(self) -> int:
        return self._rng.randrange(2**30)

    def _choose_segment_count(self) -> int:
        short = self._rng.random() < 0.7
        return (
            self._rng.randint(1, 6)
            if short
            else self._rng.randint(7, MOST_SEGMENTS - 2 * _LONGEST_FILLER_S // SEGMENT_S)
        )
