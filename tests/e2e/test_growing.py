"""Ten minutes re-published with cuts, segment by segment: one alert that grows while they arrive."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from services.contracts import topics
from services.contracts.events import DuplicateAlert, SegmentUploaded, now
from services.embedded import Embedded
from services.runtime.settings import Settings
from tca_model.bundle import load_bundle
from tca_model.synthetic.clips import clip_frames
from tca_model.synthetic.writer import write_video
from tca_model.types import Image
from tests.e2e.cluster import Cluster, wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

FPS = 2
SIZE = (160, 90)
CLIPS, CLIP_S = 20, 30
SEGMENT_S = 32
# The pieces of the original that the copy shows, one after the other; they are cut between sampled frames.
PIECES = [(30.5, 200.0), (260.0, 420.5), (500.5, 590.0)]
COPY_S = sum(end - start for start, end in PIECES)
PARTS = -int(-COPY_S // SEGMENT_S)
WITHIN_S = 2.0
UNRELATED = ["unrelated-0", "unrelated-1"]
OTHERS = ["original", *UNRELATED]


@dataclass(frozen=True)
class Files:
    """`parts`: the segment files of the copy; `beginning`: the part of the original that the first three show."""

    original: Path
    beginning: Path
    parts: tuple[Path, ...]


@pytest.fixture(scope="module")
def files(clips: Path) -> Files:
    images = [image for seed in range(CLIPS) for image in clip_frames(5000 + seed, CLIP_S, SIZE, FPS)]
    made = Files(clips / "original.mp4", clips / "beginning.mp4", tuple(clips / f"part-{n}.mp4" for n in range(PARTS)))
    write_video(made.original, images, fps=FPS)
    write_video(made.beginning, images[: 150 * FPS], fps=FPS)
    shown: list[Image] = []
    for start, end in PIECES:
        shown += images[round(start * FPS) : round(end * FPS)]
    for number, part in enumerate(made.parts):
        write_video(part, shown[number * SEGMENT_S * FPS : (number + 1) * SEGMENT_S * FPS], fps=FPS, crf=36)
    return made


@dataclass(frozen=True)
class Arrival:
    """The arrival of the copy in a tenant that has its original and unrelated clips."""

    cluster: Cluster
    parts: tuple[Path, ...]

    def publish(self, numbers: Iterable[int]) -> None:
        self.cluster.publish(segment_of(self.cluster.tenant, self.parts, number) for number in numbers)

    def revisions(self) -> list[DuplicateAlert]:
        """All revisions of all alerts of the tenant so far."""
        return [one for one in self.cluster.events(topics.DUPLICATE_ALERTS) if isinstance(one, DuplicateAlert)]

    def covers(self, copy_s: float) -> bool:
        """Whether the alert covers this much of the copy, within the tolerance."""
        revisions = self.revisions()
        return bool(revisions) and copy_length_s(revisions[-1]) >= copy_s - WITHIN_S


def segment_of(tenant: str, parts: tuple[Path, ...], number: int) -> SegmentUploaded:
    return SegmentUploaded(
        tenant=tenant,
        asset_id="copy",
        uri=str(parts[number]),
        segment_index=number,
        start_s=float(number * SEGMENT_S),
        last_segment=number == len(parts) - 1,
        uploaded_at=now(),
    )


def copy_length_s(alert: DuplicateAlert) -> float:
    return sum(one.query_end_s - one.query_start_s for one in alert.intervals)


def bounds(alert: DuplicateAlert) -> list[tuple[float, float, float, float]]:
    return [(one.query_start_s, one.query_end_s, one.reference_start_s, one.reference_end_s) for one in alert.intervals]


def truth() -> list[tuple[float, float, float, float]]:
    found, at = [], 0.0
    for start, end in PIECES:
        found.append((at, at + end - start, start, end))
        at += end - start
    return found


def assert_grows(revisions: list[DuplicateAlert]) -> None:
    """Assert that this is one alert, whose revisions rise and never shrink."""
    assert len({alert.alert_id for alert in revisions}) == len({alert.pair_id for alert in revisions}) == 1
    assert all(before.revision < after.revision for before, after in pairwise(revisions))
    assert [alert.status for alert in revisions] == ["open"] * (len(revisions) - 1) + ["final"]
    assert {(alert.query.asset_id, alert.reference.asset_id) for alert in revisions} == {("copy", "original")}
    for before, after in pairwise(revisions):
        assert copy_length_s(after) >= copy_length_s(before) - WITHIN_S
        assert after.reference_coverage >= before.reference_coverage - WITHIN_S / (CLIPS * CLIP_S)


@dataclass(frozen=True)
class Killed:
    """A copy during whose arrival the alerter was killed, and the revisions before that."""

    arrival: Arrival
    before: list[DuplicateAlert]


def publish_others(cluster: Cluster, files: Files) -> None:
    cluster.publish([cluster.upload("original", files.original)])
    cluster.publish([cluster.upload(name, cluster.folder / f"{name}.mp4") for name in UNRELATED])


@pytest.fixture(scope="module")
def killed(cluster: Cluster, files: Files) -> Killed:
    """All segments are published, and a new alerter is started, which waits until the group drops the old one.

    The disturbed copy comes first: while nothing moves on, the other tenant's original is described.
    """
    _, _, alerter = cluster.start_all()
    elsewhere = Cluster(cluster.kafka, cluster.redis, cluster.milvus, cluster.folder, tenant=f"{cluster.tenant}-killed")
    publish_others(elsewhere, files)
    elsewhere.wait_for_verdicts(OTHERS)
    arrival = Arrival(elsewhere, files.parts)
    arrival.publish(range(6))
    wait_for(lambda: len(arrival.revisions()) >= 2, "the alert grows", every_s=0.05)
    alerter.kill()
    before = arrival.revisions()
    assert before[-1].status == "open"
    arrival.publish(range(6, PARTS))
    cluster.start("alerter")
    publish_others(cluster, files)
    return Killed(arrival, before)


@pytest.mark.usefixtures("killed")
def test_the_alert_grows_in_the_same_way_in_one_process(files: Files) -> None:
    """This test comes first, because it needs no service."""
    with Embedded(load_bundle(), Settings()) as embedded:
        beginning = SegmentUploaded(asset_id="original", uri=str(files.beginning), uploaded_at=now())
        uploads = [beginning, *(segment_of("default", files.parts[:3], number) for number in range(3))]
        revisions: list[DuplicateAlert] = []
        for upload in uploads:
            embedded.publish([upload])
            list(embedded.describe())
            revisions += [event for event in embedded.match(threshold=0.2) if isinstance(event, DuplicateAlert)]
    assert_grows(revisions)
    start_s, _ = PIECES[0]
    expected = [SEGMENT_S * (number + 1) for number in range(3)]
    assert [len(alert.intervals) for alert in revisions] == [1, 1, 1]
    assert [bounds(alert)[0] for alert in revisions] == [
        pytest.approx((0, length, start_s, start_s + length), abs=WITHIN_S) for length in expected
    ]


@pytest.fixture(scope="module")
def undisturbed(cluster: Cluster, killed: Killed) -> Arrival:
    """The copy arrived; each segment was published after the alert about the previous one."""
    cluster.wait_for_verdicts(OTHERS)
    arrival = Arrival(cluster, killed.arrival.parts)
    for number in range(PARTS):
        arrival.publish([number])
        known_s = min(COPY_S, (number + 1.0) * SEGMENT_S)
        wait_for(lambda: arrival.covers(known_s), f"segment {number} is in the alert", every_s=0.05)  # noqa: B023
        assert ("copy" in cluster.verdicts()) <= (number == PARTS - 1)
    cluster.wait_for_verdicts(["copy"])
    return arrival


def test_one_alert_grows_while_the_copy_arrives_and_its_last_revision_has_all_pieces(undisturbed: Arrival) -> None:
    revisions = undisturbed.revisions()
    assert_grows(revisions)
    # The last segment and the end of the upload may have one revision each.
    assert PARTS <= len(revisions) <= PARTS + 1
    final = revisions[-1]
    for found, true in zip(bounds(final), truth(), strict=True):
        assert found == pytest.approx(true, abs=WITHIN_S)
    assert final.query_coverage == pytest.approx(1, abs=0.02)
    assert final.reference_coverage == pytest.approx(COPY_S / (CLIPS * CLIP_S), abs=0.02)


def test_every_upload_has_one_verdict(undisturbed: Arrival) -> None:
    verdicts = undisturbed.cluster.verdicts()
    assert {name: one.verdict for name, one in verdicts.items()} == {
        "copy": "copies",
        "original": "unique",
        **dict.fromkeys(UNRELATED, "unique"),
    }
    assert verdicts["copy"].alert_ids == (undisturbed.revisions()[-1].alert_id,)
    assert verdicts["copy"].segments_described == PARTS


def test_killing_the_alerter_in_the_middle_does_not_change_the_final_alert(
    undisturbed: Arrival, killed: Killed
) -> None:
    verdicts = killed.arrival.cluster.wait_for_verdicts([*OTHERS, "copy"])
    revisions = killed.arrival.revisions()
    assert revisions[: len(killed.before)] == killed.before
    assert_grows(revisions)
    expected, final = undisturbed.revisions()[-1], revisions[-1]
    for found, true in zip(bounds(final), bounds(expected), strict=True):
        assert found == pytest.approx(true, abs=0.1)
    assert final.score == pytest.approx(expected.score, abs=1e-3)
    assert verdicts["copy"].alert_ids == (final.alert_id,)
