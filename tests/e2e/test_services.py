"""Uploads to alerts over real Kafka, Redis and Milvus, with the three services as processes."""

import json
from pathlib import Path

import pytest

from services.contracts import topics
from services.contracts.ports import Message
from tests.e2e.cluster import MATCHERS, PARTITIONS, Cluster, wait_for
from tests.e2e.conftest import COPIES, ORIGINALS, UNRELATED

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

EXPECTED = {frozenset((name, f"original-{original}")) for name, (original, _) in COPIES.items()} | {
    # Copies of one original copy each other.
    frozenset((one, other))
    for one, (original, _) in COPIES.items()
    for other, (its_original, _) in COPIES.items()
    if one < other and original == its_original
}
WHOLE = [f"original-{n}" for n in range(ORIGINALS)] + [f"unrelated-{n}" for n in range(UNRELATED)] + list(COPIES)
BROKEN = {"gone": "cannot open", "text": "not a video", "empty": "the file is empty"}


@pytest.fixture(scope="module")
def done(cluster: Cluster, clips: Path) -> Cluster:
    """20 uploads, 8 of them edited copies and 3 broken, and some invalid messages; all processed."""
    (clips / "text.mp4").write_text("this is not a video")
    (clips / "empty.mp4").write_bytes(b"")
    names = [*WHOLE, *BROKEN]
    assert len(names) == 20
    cluster.start_all()
    cluster.publish([cluster.upload(name, clips / f"{name}.mp4") for name in names])
    cluster.bus.publish(list(INVALID.values()))
    cluster.wait_for_verdicts(names)
    wait_for(lambda: len(cluster.messages(DEAD)) >= len(BROKEN) + len(INVALID), "dead letters")
    return cluster


DEAD = topics.VIDEO_SEGMENTS + topics.DEAD_LETTER_SUFFIX
UPLOADED = {"ce_type": "copydetect.SegmentUploaded.v1"}
GOOD = {"asset_id": "x", "uri": "/x.mp4", "uploaded_at": "2026-11-24T00:00:00Z"}


def _message(key: str, value: object, headers: dict[str, str] = UPLOADED) -> Message:
    return Message(topics.VIDEO_SEGMENTS, key, json.dumps(value).encode(), headers)


# The reason in the dead letter of each invalid message.
INVALID = {
    "Invalid JSON": Message(topics.VIDEO_SEGMENTS, "wrong-json", b"{no json", UPLOADED),
    "schema_version": _message("wrong-version", {**GOOD, "schema_version": 99}),
    "uri: Field required": _message("wrong-fields", {"asset_id": "x", "uploaded_at": GOOD["uploaded_at"]}),
    "asset_id": _message("wrong-id", {**GOOD, "asset_id": 'x" or "1" == "1'}),
    "ce_type": _message("wrong-type", GOOD, {}),
    "COPYDETECT_FETCH_ROOTS": _message("wrong-place", {**GOOD, "asset_id": "outside", "uri": "/etc/hostname"}),
    "COPYDETECT_FETCH_HOSTS": _message("wrong-host", {**GOOD, "asset_id": "away", "uri": "https://example.org/x.mp4"}),
}


def test_exactly_the_expected_pairs_have_alerts(done: Cluster) -> None:
    assert done.pairs() == EXPECTED
    for alert in done.alerts():
        assert alert.status == "final"
        interval = alert.intervals[0]
        assert interval.query_end_s - interval.query_start_s >= 5


def test_every_upload_has_one_verdict(done: Cluster) -> None:
    verdicts = done.verdicts()
    assert verdicts.keys() == {*WHOLE, *BROKEN}
    # Of two copies of one original the later one copies the earlier one, too.
    copied_by = dict.fromkeys(verdicts, 0)
    for alert in done.alerts():
        copied_by[alert.reference.asset_id] += 1
    for name in BROKEN:
        assert verdicts[name].verdict == "failed"
        assert BROKEN[name] in (verdicts[name].reason or "")
    for name in WHOLE:
        assert verdicts[name].verdict == ("copies" if name.startswith("copy") else "unique"), name
        assert verdicts[name].copied_by == copied_by[name], name
    assert all(copied_by[f"original-{number}"] == 2 for number in range(ORIGINALS))


def test_dead_letters_contain_reason_origin_and_content(done: Cluster) -> None:
    dead = {message.key.rsplit("/", 1)[-1]: message for message in done.messages(DEAD)}
    for name, reason in BROKEN.items():
        headers = dead[name].headers
        assert reason in headers["dlq_reason"]
        assert headers["dlq_stage"] in {"fetch", "decode"}
        assert headers["dlq_topic"] == topics.VIDEO_SEGMENTS
        assert int(headers["dlq_partition"]) >= 0
        assert int(headers["dlq_offset"]) >= 0
        assert json.loads(dead[name].value)["asset_id"] == name
    for reason, message in INVALID.items():
        assert reason in dead[message.key].headers["dlq_reason"], dead[message.key].headers["dlq_reason"]
        assert dead[message.key].value == message.value
    assert len(dead) == len(BROKEN) + len(INVALID)


def test_all_records_are_committed(done: Cluster) -> None:
    read = {"ingest": topics.VIDEO_SEGMENTS, MATCHERS: topics.ENCODED_SEGMENTS}
    wait_for(lambda: not any(done.lag(group, topic) for group, topic in read.items()), "everything is committed")
    assert {group: done.lag(group, topic) for group, topic in read.items()} == {"ingest": 0, MATCHERS: 0}
    # Behind the last record stands the mark of the alerter's last transaction, which nobody consumes.
    assert done.lag("alerter", topics.MATCH_EVIDENCE) <= PARTITIONS


def test_the_alert_of_an_upload_continues_its_trace(done: Cluster, clips: Path) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    upload = done.upload("traced", clips / "copy-crop.mp4")
    headers = {**UPLOADED, "traceparent": trace}
    done.bus.publish([Message(topics.VIDEO_SEGMENTS, upload.key, upload.model_dump_json().encode(), headers)])
    done.wait_for_verdicts(["traced"])
    published = [
        message for topic in (topics.DUPLICATE_ALERTS, topics.ASSET_VERDICTS) for message in done.messages(topic)
    ]
    traced = [message for message in published if message.headers.get("traceparent") == trace]
    assert {message.headers["ce_type"] for message in traced} == {
        "copydetect.DuplicateAlert.v1",
        "copydetect.AssetVerdict.v1",
    }
    assert all(message.headers["ce_specversion"] == "1.0" for message in published)


def test_services_are_live_and_ready_and_expose_metrics(done: Cluster) -> None:
    ingest, matcher, alerter = done.services
    for service in done.services:
        assert service.get("/livez")[0] == 200
        assert service.get("/readyz")[0] == 200
    exposed = ingest.get("/metrics")[1]
    assert 'copydetect_segments_total{status="described"}' in exposed
    assert 'copydetect_dead_letters_total{stage="parse"}' in exposed
    assert "copydetect_candidates_bucket" in matcher.get("/metrics")[1]
    assert 'copydetect_alerts_total{status="final"}' in alerter.get("/metrics")[1]
    dead = [line for line in ingest.lines() if line["event"] == "dead letter"]
    assert len(dead) == len(BROKEN) + len(INVALID)
    assert all({"topic", "partition", "offset", "asset", "reason"} <= line.keys() for line in dead)


def test_a_signal_ends_all_services_cleanly(done: Cluster) -> None:
    """This test comes last: it stops the services."""
    for service in done.services:
        assert service.stop() == 0
        assert service.lines()[-1]["event"] == "stopped"
