"""`copydetect alerts` prints the newest revision of each alert, for a terminal and for a pipe."""

import io
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from rich.console import Console

from services.cli import alerts
from services.cli.alerts import kind, newest_revisions, print_event, read_events, to_line, to_text
from services.contracts import topics
from services.contracts.envelope import to_message
from services.contracts.events import (
    AssetRemovedAck,
    AssetVerdict,
    CopiedInterval,
    DuplicateAlert,
    PairSimilarity,
    Side,
)
from services.contracts.ports import Message, Record

AT = datetime(2026, 11, 24, 12, 30, 5, tzinfo=UTC)
LATER = AT + timedelta(seconds=7)


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


def test_a_removal_is_one_line_and_takes_the_place_of_the_verdict() -> None:
    removed = AssetRemovedAck(asset_id="copy", reason="court order\x1b", removed_at=AT)
    assert to_line(removed) == to_text(removed).plain == "2026-11-24 12:30:05Z  removed     copy (court order?)"
    assert newest_revisions([verdict(), removed]) == [removed]


def test_the_highest_revision_counts_in_any_order() -> None:
    printed = newest_revisions([alert(2), verdict(), alert(1), alert(1, "b"), alert(3)])
    assert [(one.alert_id, one.revision) for one in printed if isinstance(one, DuplicateAlert)] == [("a", 3), ("b", 1)]
    assert printed[-1] == verdict()


def test_a_tenant_sees_only_its_own_events() -> None:
    events = [alert(), alert(tenant="theirs")]
    records = [
        Record(to_message(topics.DUPLICATE_ALERTS, event, source="test"), 0, n) for n, event in enumerate(events)
    ]
    assert list(read_events(records, "theirs")) == [events[1]]
    assert list(read_events(records, None)) == events


def test_a_message_that_cannot_be_read_is_skipped_and_reported(capsys: pytest.CaptureFixture[str]) -> None:
    foreign = Record(Message(topics.DUPLICATE_ALERTS, "k", b"{", {"ce_type": "another.v2"}), 0, 0)
    good = Record(to_message(topics.DUPLICATE_ALERTS, alert(), source="test"), 0, 1)
    assert list(read_events([foreign, good], None)) == [alert()]
    assert "another.v2" in capsys.readouterr().err


LONG = "an-id-that-is-longer-than-a-terminal-is-wide-" + "x" * 80


def test_an_alert_is_one_line() -> None:
    assert to_line(alert()) == (
        "2026-11-24 12:30:05Z  new         copy copies original  score 0.900  0:00-0:10 = 1:05-1:15  "
        "100% of the query, 10% of the reference  (first seen 2026-11-24 12:30:05Z)"
    )
    several = alert(tenant="theirs", intervals=alert().intervals * 2)
    assert "theirs/copy copies theirs/original" in to_line(several)
    assert "0:00-0:10 = 1:05-1:15, 0:00-0:10 = 1:05-1:15" in to_line(several)


def test_a_calibrated_alert_has_a_probability_and_a_joined_score() -> None:
    event = alert(joined_score=0.4)
    assert "  probability 0.900 (joined score 0.400)  " in to_line(event)
    assert "probability 0.900 (joined score 0.400)" in to_text(event).plain
    assert "  probability 1.000 (joined score 1.000)  " in to_line(alert(score=1.0, joined_score=1.0))
    assert "  score 0.400  " in to_line(alert(score=0.4, joined_score=0.4)), "of a bundle without calibration"


@pytest.mark.parametrize(
    ("changes", "meaning"),
    [
        ({}, "new"),
        ({"detected_at": LATER}, "grown"),
        ({"detected_at": LATER, "status": "final"}, "final"),
        ({"status": "final"}, "final"),
        ({"status": "withdrawn", "score": 0, "intervals": ()}, "withdrawn"),
        ({"status": "final", "score": 0, "intervals": ()}, "withdrawn"),  # by an earlier release
        ({"revision": 1, "intervals": ()}, "new"),  # found by chamfer similarity only
    ],
)
def test_what_a_revision_means(changes: dict[str, Any], meaning: str) -> None:
    event = alert(**changes)
    assert kind(event) == meaning
    assert f"Z  {meaning} " in to_line(event)
    assert f"Z  {meaning} " in to_text(event).plain


def test_times_are_in_utc() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=9)))
    assert to_line(alert(detected_at=elsewhere)).startswith("2026-11-24 12:30:05Z")


def test_a_verdict_is_one_line_whatever_its_reason_contains() -> None:
    assert to_line(verdict()) == "2026-11-24 12:30:05Z  verdict     copy: copies"
    assert to_line(verdict(verdict="unique", copied_by=2)).endswith("copy: unique, copied by 2")
    assert to_line(verdict(verdict="failed", reason="not a video")).endswith("copy: failed (not a video)")
    for text in (to_line(verdict(reason="a\nb\x1b[2J")), to_text(verdict(reason="a\nb\x1b[2J")).plain):
        assert text.endswith("copies (a?b?[2J)")


def output_of(monkeypatch: pytest.MonkeyPatch, *events: Any, terminal: bool, as_json: bool = False) -> str:
    page = io.StringIO()
    console = Console(
        file=page, force_terminal=terminal, color_system="standard", width=40, markup=False, highlight=False
    )
    monkeypatch.setattr(alerts, "console", console)
    for event in events:
        print_event(event, as_json=as_json)
    return page.getvalue()


def test_an_event_is_one_line_without_colour_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    event = alert(query=Side(asset_id=LONG, uploaded_at=AT))
    text = output_of(monkeypatch, event, verdict(), terminal=False)
    assert text.splitlines() == [to_line(event), to_line(verdict())]


def test_a_terminal_shows_colour_and_whole_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    event = alert(query=Side(asset_id=LONG, uploaded_at=AT), intervals=alert().intervals * 2)
    text = output_of(monkeypatch, event, verdict(), terminal=True)
    assert "\x1b[1;31mnew" in text
    assert LONG in text
    assert text.count("0:00-0:10 = 1:05-1:15\n") == 2
    for fact in ("0.900", "100% copied", "10% copied", "original", "2026-11-24 12:30:05Z", "verdict on copy"):
        assert fact in text


def test_json_is_one_event_per_line_on_a_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    text = output_of(monkeypatch, alert(), verdict(), terminal=True, as_json=True)
    first, second = text.splitlines()
    assert DuplicateAlert.model_validate_json(first) == alert()
    assert AssetVerdict.model_validate_json(second) == verdict()
