"""The metrics of groups are those of the last reading, and gone if there is none."""

import pytest
from prometheus_client import REGISTRY

from services.contracts.errors import DependencyDown
from services.runtime import metrics
from services.runtime.group_lag import GroupLag, LagMonitor, PartitionLag, list_groups
from tests.metric_values import metric_value

INGEST = GroupLag(
    "video-segments",
    "ingest",
    100.0,
    (PartitionLag(0, 5, 9, 70.0, is_owned=True), PartitionLag(1, 0, 3, 90.0, is_owned=False)),
)
IDLE = GroupLag("match-evidence", "alerter", 100.0, (PartitionLag(0, 2, 2, None, is_owned=True),))


def test_the_age_is_that_of_the_oldest_record_of_all_partitions() -> None:
    assert (INGEST.lag, INGEST.unowned_partitions, INGEST.oldest_age_s(100)) == (7, [1], 30)
    assert (IDLE.lag, IDLE.unowned_partitions, IDLE.oldest_age_s(100)) == (0, [], 0)
    assert INGEST.oldest_age_s(50) == 0  # the clock of the brokers is ahead
    assert PartitionLag(0, 9, 5, None, is_owned=True).lag == 0


def test_a_reading_sets_the_metrics_of_all_groups_and_is_told() -> None:
    told: list[GroupLag] = []
    LagMonitor(lambda: [INGEST, IDLE], lambda: 110.0, observers=[told.append]).update()
    assert told == [INGEST, IDLE]
    assert metric_value("copydetect_group_lag_records", group="ingest") == 7
    assert metric_value("copydetect_group_oldest_record_age_seconds", group="ingest") == 40
    assert metric_value("copydetect_group_unowned_partitions", group="ingest") == 1
    assert metric_value("copydetect_group_oldest_record_age_seconds", group="alerter") == 0


def test_a_failed_reading_leaves_no_old_number() -> None:
    told: list[GroupLag] = []
    LagMonitor(lambda: [INGEST], lambda: 110.0).update()

    def fail() -> list[GroupLag]:
        raise DependencyDown("no broker")

    with pytest.raises(DependencyDown):
        LagMonitor(fail, lambda: 120.0, observers=[told.append]).update()
    assert told == []
    for gauge in (metrics.group_lag, metrics.group_oldest_age, metrics.group_unowned):
        assert REGISTRY.get_sample_value(gauge._name, {"group": "ingest"}) is None


def test_each_service_has_a_group_and_the_matcher_one_per_model() -> None:
    groups = list_groups("1a2b")
    assert [one.group for one in groups] == ["ingest", "matcher-1a2b", "alerter"]
    assert [one.topic for one in groups] == ["video-segments", "encoded-segments", "match-evidence"]
