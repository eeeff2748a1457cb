"""`copydetect alerts` shows of each alert what it says last, in a line that people read."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.cli.alerts import _newest, _said, in_words
from services.contracts import topics
from services.contracts.envelope import to_message
from services.contracts.events import AssetVerdict, CopiedInterval, DuplicateAlert, PairSimilarity, Side
from services.contracts.ports import Message, Record

AT = datetime(2026, 11, 24, 12, 30, 5, tzinfo=UTC)


def alert(revision: int = 1, alert_id: str = "a", **changes: Any) -> DuplicateAlert:
    values: dict[str, Any] = {
        "alert_id": alert_id,
        "pair_id": "p",
        "revision": revision,
        "status": "open",
        "model_version": "v1",
        "query": Side(asset_id="copy", uploaded_at=AT),
        "reference": Side(asset_id="original", uploaded_at=AT),
        "score": 0.9,
        "similarity": PairSimilarity(
            chamfer_query_to_reference=0.9, chamfer_reference_to_query=0.5, segment_cosine=0.8
        ),
        "intervals": (
            CopiedInterval(query_start_s=0, query_end_s=10, reference_start_s=65, reference_end_s=75, score=0.9),
        ),
        "query_coverage": 1,
        "reference_coverage": 0.1,
        "first_detected_at": AT,
        "detected_at": AT,
        "latency_s": 2.5,
    }
    return DuplicateAlert(**{**values, **changes})


def verdict(**changes: Any) -> AssetVerdict:
    values: dict[str, Any] = {
        "asset_id": "copy",
        "verdict": "copies",
        "alert_ids": ("a",),
        "segments_described": 1,
        "segments_undecidable": 0,
        "segments_failed": 0,
        "decided_at": AT,
    }
    return AssetVerdict(**{**values, **changes})


def test_the_highest_revision_counts_whatever_the_order() -> None:
    events = [alert(2), verdict(), alert(1), alert(1, "b"), alert(3)]
    shown = _newest(events)
    assert [(one.alert_id, one.revision) for one in shown if isinstance(one, DuplicateAlert)] == [("a", 3), ("b", 1)]
    assert shown[-1] == verdict()


def test_a_tenant_sees_its_own_alone() -> None:
    events = [alert(), alert(tenant="theirs")]
    records = [
        Record(to_message(topics.DUPLICATE_ALERTS, event, source="test"), 0, n) for n, event in enumerate(events)
    ]
    assert list(_said(records, "theirs")) == [events[1]]
    assert list(_said(records, None)) == events


def test_a_message_that_cannot_be_read_is_skipped_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    foreign = Record(Message(topics.DUPLICATE_ALERTS, "k", b"{", {"ce_type": "another.v2"}), 0, 0)
    good = Record(to_message(topics.DUPLICATE_ALERTS, alert(), source="test"), 0, 1)
    assert list(_said([foreign, good], None)) == [alert()]
    assert "another.v2" in capsys.readouterr().err


def test_an_alert_in_words() -> None:
    assert in_words(alert()) == (
        "2026-11-24 12:30:05Z  alert    copy copies original  score 0.900  0:00-0:10 = 1:05-1:15  (open, revision 1)"
    )
    assert "nothing any more" in in_words(alert(intervals=(), status="final"))


def test_a_verdict_in_words() -> None:
    assert in_words(verdict()) == "2026-11-24 12:30:05Z  verdict  copy: copies"
    assert in_words(verdict(verdict="failed", reason="not a video")).endswith("copy: failed (not a video)")
