"""The clock of the video reader: stamps that are missing, jump or slip back still make one line of time."""

from fractions import Fraction

import pytest

from tca_model.video.clock import FrameClock


class TestFrameClock:
    clock = staticmethod(lambda: FrameClock(Fraction(1, 1000), Fraction(40, 1000)))

    def ticks(self, stamps: list[int | None], duration: int = 40) -> list[float]:
        clock = self.clock()
        return [float(clock.tick(stamp, duration)) for stamp in stamps]

    def test_a_frame_without_a_stamp_follows_the_one_before(self) -> None:
        assert self.ticks([500, None, None, 620]) == [0, 0.04, 0.08, 0.12]
        assert self.ticks([None, None, 900, 940]) == [0, 0.04, 0.08, 0.12]
        assert self.ticks([None, None], duration=0) == [0, 0.04]

    def test_recordings_glued_together_run_on(self) -> None:
        assert self.ticks([5000, 7000, 0, 1000]) == pytest.approx([0, 2, 2.04, 3.04])

    def test_an_absurd_jump_is_damage(self) -> None:
        assert self.ticks([0, 40, 2**40, 2**40 + 40]) == pytest.approx([0, 0.04, 0.08, 0.12])

    def test_a_long_still_is_no_damage(self) -> None:
        assert self.ticks([0, 600_000]) == [0, 600]

    def test_a_stamp_that_slips_back_a_little_stays_true(self) -> None:
        assert self.ticks([0, 400, 360, 440]) == [0, 0.4, 0.36, 0.44]
