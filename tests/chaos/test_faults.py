"""The schedule of faults: all kinds, the same for a seed, and never two at once of what must have a survivor."""

from itertools import pairwise

from services.backends.kafka.connection import Timeouts
from tests.chaos.fail_points import HANG_S, FailPoint
from tests.chaos.faults import FaultKind, list_fail_points, make_faults
from tests.chaos.fleet import INSTANCES, SERVICES

LENGTH_S = 600.0


def test_a_schedule_is_the_same_for_the_same_seed() -> None:
    assert make_faults(1, LENGTH_S) == make_faults(1, LENGTH_S)
    assert make_faults(1, LENGTH_S) != make_faults(2, LENGTH_S)


def test_every_kind_of_fault_occurs_and_every_process_and_server_is_hit() -> None:
    faults = make_faults(1, LENGTH_S)
    assert {fault.kind for fault in faults} == set(FaultKind)
    assert {fault.target for fault in faults} == {*INSTANCES, "kafka-1", "kafka-2", "kafka-3", "redis", "milvus"}
    assert all(fault.begin_s >= 0 and fault.end_s <= LENGTH_S for fault in faults)


def test_one_process_of_a_service_and_one_broker_is_disturbed_at_a_time() -> None:
    for seed in range(5):
        faults = make_faults(seed, LENGTH_S)
        for name in (*SERVICES, "kafka", "redis", "milvus"):
            row = [fault for fault in faults if fault.target.startswith(name)]
            assert len(row) > 10
            assert all(before.end_s < after.begin_s for before, after in pairwise(row))


def test_faults_of_different_rows_overlap() -> None:
    faults = make_faults(1, LENGTH_S)
    assert any(before.end_s > after.begin_s for before, after in pairwise(faults))


def test_some_pauses_end_sessions_and_some_hangs_end_memberships() -> None:
    faults = make_faults(1, LENGTH_S)
    pauses = [fault.length_s for fault in faults if fault.kind is FaultKind.PAUSE and fault.target in INSTANCES]
    assert min(pauses) < Timeouts().session_s < max(pauses)
    hangs = [fault for fault in faults if fault.detail.endswith(":hang")]
    assert max(fault.length_s for fault in hangs) > HANG_S > Timeouts().restore_s + 1


def test_every_fail_point_can_be_armed() -> None:
    for service in SERVICES:
        for point in list_fail_points(service):
            assert FailPoint.parse(point.format(2)).call == 2
    points = [fault for fault in make_faults(3, 3600) if fault.kind is FaultKind.FAIL_POINT]
    for service in SERVICES:
        seen = {fault.detail.split(":")[0] for fault in points if fault.target.startswith(service)}
        assert seen == {point.split(":")[0] for point in list_fail_points(service)}
