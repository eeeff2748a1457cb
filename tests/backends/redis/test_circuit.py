"""A server that keeps failing is not called any more, except for a probe now and then."""

from services.backends.redis.circuit import FAILURES, PROBE_EVERY_S, WITHIN_S, Circuit


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def open_circuit(clock: Clock) -> Circuit:
    circuit = Circuit(clock)
    for _ in range(FAILURES):
        assert circuit.allow()
        circuit.record_failure()
    return circuit


def test_it_opens_after_many_failures_in_a_short_time() -> None:
    clock = Clock()
    assert not open_circuit(clock).allow()
    circuit = Circuit(clock)
    for _ in range(3 * FAILURES):
        assert circuit.allow(), "these are too far apart"
        circuit.record_failure()
        clock.now_s += WITHIN_S / (FAILURES - 1) + 0.01


def test_a_success_resets_the_count() -> None:
    circuit = Circuit(Clock())
    for _ in range(3):
        for _ in range(FAILURES - 1):
            circuit.record_failure()
        assert circuit.allow()
        circuit.record_success()
    assert circuit.allow()


def test_an_open_circuit_allows_one_probe_now_and_then() -> None:
    clock = Clock()
    circuit = open_circuit(clock)
    for _ in range(3):
        was_open = circuit.is_open
        clock.now_s += PROBE_EVERY_S
        assert (was_open, circuit.is_open) == (True, False)
        assert circuit.allow()
        assert not circuit.allow(), "one is enough"
        circuit.record_failure()
    clock.now_s += PROBE_EVERY_S
    assert circuit.allow()
    circuit.record_success()
    assert circuit.allow()
    circuit.record_failure()
    assert circuit.allow(), "it takes as many failures as before to open it again"
