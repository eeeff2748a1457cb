"""Services that are killed at work: the final result is the same as without a kill."""

from pathlib import Path

import pytest

from services.contracts import topics
from services.contracts.events import DuplicateAlert
from tests.e2e.cluster import Cluster, wait_for
from tests.e2e.conftest import COPIES, ORIGINALS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(500)]

NAMES = [f"original-{n}" for n in range(ORIGINALS)] + list(COPIES)
ANNOUNCED = {
    "ingest": topics.ENCODED_SEGMENTS,
    "matcher": topics.MATCH_EVIDENCE,
    "alerter": topics.DUPLICATE_ALERTS,
}
TOLERANCE_S = 0.1


def summary(cluster: Cluster) -> dict[frozenset[str], DuplicateAlert]:
    """The alert of each pair: one, and final."""
    alerts = [alert for alert in cluster.alerts() if alert.is_live]
    assert all(alert.status == "final" for alert in alerts)
    found = {frozenset((alert.query.asset_id, alert.reference.asset_id)): alert for alert in alerts}
    assert len(found) == len(alerts)
    return found


def is_same_alert(one: DuplicateAlert, other: DuplicateAlert) -> bool:
    """Whether both say the same about a pair; its sides depend on the times of upload."""
    if one.query.asset_id != other.query.asset_id or len(one.intervals) != len(other.intervals):
        return False
    measured = [
        [one.query_coverage, one.reference_coverage, *(v for i in one.intervals for v in i.model_dump().values())],
        [
            other.query_coverage,
            other.reference_coverage,
            *(v for i in other.intervals for v in i.model_dump().values()),
        ],
    ]
    return all(abs(a - b) <= TOLERANCE_S for a, b in zip(*measured, strict=True))


def publish_all(cluster: Cluster, clips: Path) -> None:
    cluster.publish([cluster.upload(name, clips / f"{name}.mp4") for name in NAMES])


@pytest.fixture(scope="module")
def undisturbed(cluster: Cluster, clips: Path) -> dict[frozenset[str], DuplicateAlert]:
    """The result without a kill."""
    cluster.start_all()
    publish_all(cluster, clips)
    cluster.wait_for_verdicts(NAMES)
    found = summary(cluster)
    assert len(found) >= len(COPIES)
    for service in cluster.services:
        service.stop()
    return found


def test_kills_of_all_services_do_not_change_the_result(
    cluster: Cluster, clips: Path, undisturbed: dict[frozenset[str], DuplicateAlert]
) -> None:
    # Another tenant in the same topics starts with an empty index.
    again = Cluster(cluster.kafka, cluster.redis, cluster.milvus, clips, tenant=f"{cluster.tenant}-killed")
    try:
        services = again.start_all()
        publish_all(again, clips)
        for service in services:
            # In the middle of the work: some of it is announced.
            topic = ANNOUNCED[service.name]
            wait_for(lambda: len(again.events(topic)) >= 3, f"{service.name} is at work", every_s=0.05)  # noqa: B023
            service.kill()
            again.start(service.name)  # partitions are assigned to it when the group drops the dead one
        again.wait_for_verdicts(NAMES)
        found = summary(again)
        assert found.keys() == undisturbed.keys()
        differing = [pair for pair in found if not is_same_alert(found[pair], undisturbed[pair])]
        assert not differing, [(found[pair], undisturbed[pair]) for pair in differing]
    finally:
        again.close()
