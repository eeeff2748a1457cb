"""Partitions that move lose no record, whenever the matcher learns of it."""

from typing import Any

import pytest

from services.contracts import topics
from services.runtime.group_lag import name_matcher_group
from tests.alerter.flaky import FlakyConsumer
from tests.alerter.stages import MODEL, Stages, copy, original, upload
from tests.matcher.matched import three_assets


def matcher_consumer(stages: Stages) -> FlakyConsumer:
    consumer: FlakyConsumer = stages.matcher._consumer  # type: ignore[assignment]
    return consumer


def test_records_that_come_in_the_poll_in_which_their_partition_came_back_are_processed() -> None:
    """Revoked and assigned again between two polls: these are the next records, and no other matcher has them."""
    stages = Stages()
    stages.store(original(), copy())
    stages.process(*upload(original()))
    stages.publish(*upload(copy()))
    matcher_consumer(stages).rebalance()
    stages.matcher.run_once(0)
    stages.matcher.run_once(0)
    assert stages.bus.lag(topics.ENCODED_SEGMENTS, name_matcher_group(MODEL)) == 0
    stages.run()
    assert stages.verdicts()["default/copy"].verdict == "copies"


def test_records_that_were_polled_before_the_partition_came_back_are_not_processed_twice_in_a_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stages = Stages()
    stages.publish(*three_assets(stages))
    consumer, pipeline, calls = matcher_consumer(stages), stages.match_pipeline, list[Any]()
    sort = pipeline.sort

    def fail_once(records: Any) -> Any:
        calls.append([record.offset for record in records])
        if len(calls) == 1:
            raise RuntimeError("a defect that passes")
        return sort(records)

    monkeypatch.setattr(pipeline, "sort", fail_once)
    stages.matcher.run_once(0)  # polled, and to be tried again
    consumer.rebalance()
    stages.run()
    offsets = [offset for call in calls[1:] for offset in call]
    assert offsets == sorted(set(offsets))
    assert stages.lag() == 0


def test_records_of_a_partition_that_is_gone_are_left_to_another_matcher() -> None:
    stages = Stages()
    stages.publish(*three_assets(stages))
    consumer = matcher_consumer(stages)
    consumer.revoke()
    assert not stages.matcher.run_once(0)
    assert consumer.take_rebalance().revoked == frozenset()
