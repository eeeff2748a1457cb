"""The time of each frame of a video, from timestamps that may be missing, jump or slip back."""

from fractions import Fraction
from typing import NamedTuple

# Times that go back further than reordering explains start a new origin: concatenated recordings restart at zero.
MAX_STEP_BACK_S = 1
# A still may rest on screen for minutes (slides, surveillance); a jump of hours is a damaged timestamp.
MAX_GAP_S = 3600


class ClockMemory(NamedTuple):
    """What a clock remembers of the frames so far. `is_continuous`: no new origin was started."""

    due_s: Fraction = Fraction(0)
    end_s: Fraction = Fraction(0)
    origin_s: Fraction | None = None
    latest_s: Fraction = Fraction(0)
    is_continuous: bool = True


class FrameClock:
    """Seconds from the first frame, of frames in display order; `due_s` is the next time to sample.

    A frame without a timestamp starts when the previous one ends.
    """

    def __init__(self, time_base: Fraction, frame_s: Fraction, memory: ClockMemory | None = None) -> None:
        """`memory`: of a clock that this one continues."""
        self._time_base = time_base
        self._frame_s = frame_s
        # `end_s`: where the latest frame stops being shown.
        self.due_s, self.end_s, self._origin_s, self._latest_s, self._is_continuous = memory or ClockMemory()

    @property
    def memory(self) -> ClockMemory:
        return ClockMemory(self.due_s, self.end_s, self._origin_s, self._latest_s, self._is_continuous)

    def tick(self, stamp: int | None, duration: int) -> Fraction:
        """The time of the next frame in seconds."""
        now_s = self.end_s
        if stamp is not None:
            stamp_s = stamp * self._time_base
            if self._origin_s is None:
                self._origin_s = stamp_s - self.end_s
            if -MAX_STEP_BACK_S <= stamp_s - self._origin_s - self._latest_s <= MAX_GAP_S:
                now_s = stamp_s - self._origin_s
            else:
                self._is_continuous = False
                self._origin_s = stamp_s - self.end_s
        self._latest_s = max(self._latest_s, now_s)
        self.end_s = max(self.end_s, now_s + (duration * self._time_base if duration > 0 else self._frame_s))
        return now_s

    def skip_if_early(self, stamp: int | None, duration: int) -> bool:
        """Skip the frame of a packet if it is certainly shown before `due_s`. Returns whether it was skipped."""
        if stamp is None or self._origin_s is None:
            return False
        now_s = stamp * self._time_base - self._origin_s
        if now_s >= self.due_s:
            return False
        self.end_s = max(self.end_s, now_s + duration * self._time_base)
        return True
