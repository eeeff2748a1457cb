"""How much of a video could be decoded. Codecs pass over what they cannot read, often without a word."""

from fractions import Fraction
from typing import NamedTuple

LEAST_SHARE = 0.5  # with less, a file is not described at all, rather than judged by the rest


class CoverageMemory(NamedTuple):
    """The steps before `step`: in how many packets were to be shown, and in how many of these a frame was."""

    expected: int = 0
    shown: int = 0
    step: int | None = None


class Coverage:
    """Compares the steps of time in which packets are to be shown with those in which frames came out.

    Steps, and not packets: a picture may take two packets, and a packet may show nothing. Before the first keyframe
    nothing is expected: a recording may begin anywhere.
    """

    def __init__(self, time_base: Fraction, step_s: Fraction, most: int, memory: CoverageMemory | None = None) -> None:
        """`time_base`: seconds of one unit of a stamp. `most`: steps that are kept.

        `memory`: of a coverage that this one continues.
        """
        self._unit = time_base / step_s
        self._most = most
        self._before = memory or CoverageMemory()
        self._expected: set[int] = set()
        self._shown: set[int] = set()
        self._has_begun = memory is not None

    @property
    def share(self) -> float:
        """The share of the expected steps that were shown; 1 if none were expected."""
        expected = self._before.expected + len(self._expected)
        shown = self._before.shown + len(self._expected & self._shown)
        return shown / expected if expected else 1.0

    def expect(self, stamp: int | None, *, is_keyframe: bool) -> None:
        """Take in a packet that is decoded, with the time at which it is to be shown."""
        self._has_begun |= is_keyframe
        if self._has_begun:
            self._add(self._expected, stamp)

    def show(self, stamp: int | None) -> None:
        """Take in a decoded frame."""
        self._add(self._shown, stamp)

    def remember(self, stamp: int) -> CoverageMemory:
        """What is known of the steps before this one, whose frames were all shown."""
        step = self._step(stamp)
        expected = {one for one in self._expected if one < step}
        shown = len(expected & self._shown)
        return CoverageMemory(self._before.expected + len(expected), self._before.shown + shown, step)

    def _add(self, steps: set[int], stamp: int | None) -> None:
        if stamp is None or len(steps) >= self._most:
            return
        step = self._step(stamp)
        if self._before.step is None or step >= self._before.step:
            steps.add(step)

    def _step(self, stamp: int) -> int:
        return stamp * self._unit.numerator // self._unit.denominator
