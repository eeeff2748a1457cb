"""Events survive the conversion to messages, and the reason for refusing a message names what is wrong."""

import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.contracts.envelope import MAX_REASON_CHARACTERS, to_event, to_message
from services.contracts.errors import InvalidMessage
from services.contracts.event_types import EVENT_TYPES
from services.contracts.events import (
    DuplicateAlert,
    Event,
    SegmentUploaded,
)
from services.contracts.fields import MAX_START_S
from services.contracts.ports import Message
from tests.contracts.examples import AT, EVENTS

UPLOADED = {"asset_id": "a", "uri": "/videos/a.mp4", "uploaded_at": AT.isoformat()}


def message(value: object, kind: str = "SegmentUploaded", **headers: str) -> Message:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Message("video-segments", "default/a", raw, {"ce_type": f"copydetect.{kind}.v1", **headers})


def refusal_of(value: object, kind: str = "SegmentUploaded") -> str:
    with pytest.raises(InvalidMessage) as refused:
        to_event(message(value, kind))
    assert refused.value.stage == "parse"
    return refused.value.reason


def test_every_kind_of_event_is_among_the_examples() -> None:
    assert {type(event) for event in EVENTS} == set(EVENT_TYPES.values())


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_survives_its_message(event: Event) -> None:
    sent = to_message("topic", event, source="copydetect/test")
    assert to_event(sent) == event
    assert (sent.topic, sent.key) == ("topic", event.key)
    assert sent.headers["ce_type"] == f"copydetect.{type(event).__name__}.v1"
    assert sent.headers["ce_source"] == "copydetect/test"
    assert sent.headers["ce_specversion"] == "1.0"
    assert datetime.fromisoformat(sent.headers["ce_time"]).tzinfo is not None
    assert json.loads(sent.value)["schema_version"] == 1


def test_keys_keep_assets_and_pairs_in_order() -> None:
    assert SegmentUploaded(tenant="t", asset_id="a", uri="/a", uploaded_at=AT).key == "t/a"
    assert next(event for event in EVENTS if isinstance(event, DuplicateAlert)).key == "1"


def test_two_messages_of_one_event_have_different_ids() -> None:
    ids = {to_message("topic", EVENTS[0], source="s").headers["ce_id"] for _ in range(2)}
    assert len(ids) == 2


@given(
    uri=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50), start_s=st.floats(0, MAX_START_S)
)
def test_texts_and_numbers_survive_exactly(uri: str, start_s: float) -> None:
    event = SegmentUploaded(asset_id="a", uri=uri, segment_index=0, start_s=start_s, uploaded_at=AT)
    assert to_event(to_message("topic", event, source="s")) == event


def test_a_message_continues_the_trace_of_its_cause() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    caused = to_message("topic", EVENTS[2], source="s", cause=message(UPLOADED, traceparent=trace))
    assert caused.headers["traceparent"] == trace
    assert "traceparent" not in to_message("topic", EVENTS[2], source="s", cause=message(UPLOADED)).headers


@pytest.mark.parametrize("headers", [{}, {"ce_type": ""}, {"ce_type": "copydetect.SegmentUploaded.v2"}])
def test_the_refusal_of_an_unknown_type_names_the_known_ones(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidMessage, match=r"ce_type is .* expected one of: copydetect\.SegmentUploaded\.v1"):
        to_event(Message("t", "k", b"{}", headers))


@pytest.mark.parametrize("value", [b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"asset_id": "a"} x'])
def test_a_value_that_is_not_an_event_is_refused(value: bytes) -> None:
    assert refusal_of(value).startswith("not a valid SegmentUploaded: ")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema_version", 2),
        ("schema_version", "1"),
        ("asset_id", 'a"b'),
        ("asset_id", "a'b"),
        ("asset_id", "a/b"),
        ("asset_id", "a b"),
        ("asset_id", "a:b"),
        ("asset_id", "a\n"),
        ("asset_id", "ä"),
        ("asset_id", ""),
        ("asset_id", "a" * 129),
        ("asset_id", None),
        ("tenant", "../other"),
        ("uri", ""),
        ("uri", "/" * 4097),
        ("role", "owner"),
        ("segment_index", -1),
        ("segment_index", 2**31),
        ("start_s", -0.5),
        ("start_s", float("nan")),
        ("start_s", float("inf")),
        ("start_s", 1_780_000_000),
        ("duration_s", 0),
        ("duration_s", 121),
        ("uploaded_at", "2026-07-01T12:30:00"),
        ("uploaded_at", "yesterday"),
        ("uploaded_at", "0001-01-01T00:00:00+14:00"),
        ("uploaded_at", "9999-12-31T23:59:59-12:00"),
        ("misspelt", 1),
    ],
)
def test_a_wrong_field_is_named(field: str, value: object) -> None:
    reason = refusal_of({"segment_index": 0, "start_s": 0, **UPLOADED, field: value})
    assert reason.startswith(f"not a valid SegmentUploaded: {field}: ")
    assert ";" not in reason, "no other field is named"


@pytest.mark.parametrize("field", UPLOADED)
def test_a_missing_field_is_named(field: str) -> None:
    assert f"{field}: Field required" in refusal_of({key: value for key, value in UPLOADED.items() if key != field})


def test_all_wrong_fields_are_named() -> None:
    reason = refusal_of({**UPLOADED, "tenant": "", "role": "owner"})
    assert "tenant: " in reason
    assert "role: " in reason


def test_the_reason_has_a_limited_length() -> None:
    assert len(refusal_of({**UPLOADED, **{f"unknown-{n}": n for n in range(10_000)}})) <= MAX_REASON_CHARACTERS


@pytest.mark.parametrize("half", [{"segment_index": 0}, {"start_s": 0}])
def test_a_segment_file_has_an_index_and_a_start(half: dict[str, int]) -> None:
    assert "segment_index and start_s come together" in refusal_of({**UPLOADED, **half})


def test_a_nested_field_is_named_with_its_path() -> None:
    alert = next(event for event in EVENTS if isinstance(event, DuplicateAlert))
    broken = json.loads(alert.model_dump_json())
    broken["intervals"][0]["score"] = 7
    assert "intervals.0.score: " in refusal_of(broken, "DuplicateAlert")


def test_a_time_in_another_zone_is_the_same_time() -> None:
    zoned = AT.astimezone(timezone(timedelta(hours=9)))
    event = to_event(message({**UPLOADED, "uploaded_at": zoned.isoformat()}))
    assert isinstance(event, SegmentUploaded)
    assert event.uploaded_at == AT


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        EVENTS[0].tenant = "other"  # type: ignore[misc]
