"""Two copies that are uploaded at the same time always lead to an alert."""

from pathlib import Path

import pytest

from tca_model.synthetic.clips import write_clip
from tca_model.synthetic.edits import apply_edit
from tests.e2e.cluster import PARTITIONS, Cluster, wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(500)]

ROUNDS = 20


@pytest.fixture(scope="module")
def twins(clips: Path) -> Path:
    """20 small clips with a copy of each."""
    folder = clips / "twins"
    folder.mkdir()
    for number in range(ROUNDS):
        original = folder / f"one-{number}.mp4"
        write_clip(original, 1000 + number, duration_s=8, size=(320, 180), fps=5)
        apply_edit("gray", original, folder / f"two-{number}.mp4", seed=number)
    return folder


def test_a_pair_that_is_uploaded_simultaneously_always_has_an_alert(cluster: Cluster, twins: Path) -> None:
    """Both sides are published together, on different partitions, to two of each service."""
    services = [
        cluster.start("ingest", COPYDETECT_DECODE_WORKERS="1"),
        cluster.start("ingest", COPYDETECT_DECODE_WORKERS="1"),
        cluster.start("matcher"),
        cluster.start("matcher"),
        cluster.start("alerter", COPYDETECT_INSTANCE="e2e-a"),
        cluster.start("alerter", COPYDETECT_INSTANCE="e2e-b"),
    ]
    for service in services:
        wait_for(service.is_ready, f"{service.name} is ready")
    names = [f"{side}-{number}" for number in range(ROUNDS) for side in ("one", "two")]
    cluster.publish([cluster.upload(name, twins / f"{name}.mp4") for name in names])
    verdicts = cluster.wait_for_verdicts(names, timeout_s=400)
    alerts = {(alert.query.asset_id, alert.reference.asset_id): alert for alert in cluster.alerts() if alert.is_live}
    for number in range(ROUNDS):
        one, two = f"one-{number}", f"two-{number}"
        [(query, reference)] = alerts.keys() & {(one, two), (two, one)}
        # Generated clips may resemble others, too.
        assert verdicts[query].verdict == "copies"
        alert_id = alerts[query, reference].alert_id
        assert alert_id in verdicts[query].alert_ids
        assert alert_id not in verdicts[reference].alert_ids
        assert verdicts[reference].copied_by
    partitions = {
        record.partition for record in cluster.bus.read(["video-segments"]) if record.message.key.split("/")[1] in names
    }
    assert len(partitions) == PARTITIONS
