"""A server that fails again and again is left alone, but for a look now and then."""

from services.backends.redis.circuit import FAILURES, PROBE_EVERY_S, WITHIN_S, Circuit


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def opened(clock: Clock) -> Circuit:
    circuit = Circuit(clock)
    for _ in range(FAILURES):
        assert circuit.admits()
        circuit.failed()
    return circuit


def test_it_opens_after_so_many_failures_in_so_short_a_time() -> None:
    clock = Clock()
    assert not opened(clock).admits()
    circuit = Circuit(clock)
    for _ in range(3 * FAILURES):
        assert circuit.admits(), "these are too far apart"
        circuit.failed()
        clock.now_s += WITHIN_S / (FAILURES - 1) + 0.01


def test_a_success_starts_the_count_anew() -> None:
    circuit = Circuit(Clock())
    for _ in range(3):
        for _ in range(FAILURES - 1):
            circuit.failed()
        assert circuit.admits()
        circuit.succeeded()
    assert circuit.admits()


def test_one_call_now_and_then_finds_out_whether_to_close_it() -> None:
    clock = Clock()
    circuit = opened(clock)
    for _ in range(3):
        assert circuit.rests
        clock.now_s += PROBE_EVERY_S
        assert not circuit.rests
        assert circuit.admits()
        assert not circuit.admits(), "one is enough"
        circuit.failed()
    clock.now_s += PROBE_EVERY_S
    assert circuit.admits()
    circuit.succeeded()
    assert circuit.admits()
    circuit.failed()
    assert circuit.admits(), "it takes as many failures as before to open it again"
