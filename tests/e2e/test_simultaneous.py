"""Two copies that are uploaded at the same time always lead to an alert."""

from pathlib import Path

import pytest

from tca_model.synthetic.clips import write_clip
from tca_model.synthetic.edits import apply_edit
from tests.e2e.cluster import PARTITIONS, Cluster, wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(500)]

ROUNDS = 50


@pytest.fixture(scope="module")
def twins(clips: Path) -> Path:
    """50 small clips with a copy of each."""
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
    for number in range(ROUNDS):
        one, two = verdicts[f"one-{number}"], verdicts[f"two-{number}"]
        assert sorted([one.verdict, two.verdict]) == ["copies", "unique"], number
        assert one.copied_by != two.copied_by

    missed = {number for number in range(ROUNDS) if {f"one-{number}", f"two-{number}"} not in cluster.pairs()}
    assert not missed
    partitions = {
        record.partition for record in cluster.bus.read(["video-segments"]) if record.message.key.split("/")[1] in names
    }
    assert len(partitions) == PARTITIONS
