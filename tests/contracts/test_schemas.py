"""The published JSON Schemas are those of the events, and accept and refuse the same values."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from services.cli.schemas import FOLDER, schema_files
from services.contracts.event_types import EVENT_TYPES
from services.contracts.events import AssetRemoved, DuplicateAlert, Event, SegmentUploaded, UploadEnded
from tests.contracts.examples import EVENTS

PUBLISHED = Path(__file__).parents[2] / FOLDER


def schema_of(event: Event) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(schema_files()[f"{type(event).__name__}.json"])
    return schema


def test_the_published_files_are_current() -> None:
    published = {path.name: path.read_text() for path in PUBLISHED.glob("*.json")}
    assert published == schema_files(), "run `copydetect schemas`"


def test_every_schema_is_valid_and_named_after_its_type() -> None:
    for name, kind in EVENT_TYPES.items():
        schema = json.loads(schema_files()[f"{kind.__name__}.json"])
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["$id"] == name


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_fits_its_schema(event: Event) -> None:
    jsonschema.validate(json.loads(event.model_dump_json()), schema_of(event))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("change", [{"tenant": "a/b"}, {"schema_version": 2}])
def test_a_broken_event_does_not_fit(event: Event, change: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**json.loads(event.model_dump_json()), **change}, schema_of(event))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_only_what_uploaders_send_has_no_unknown_field(event: Event) -> None:
    unknown = {**json.loads(event.model_dump_json()), "of_a_newer_release": 1}
    if isinstance(event, SegmentUploaded | UploadEnded | AssetRemoved):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(unknown, schema_of(event))
        with pytest.raises(ValidationError):
            type(event).model_validate_json(json.dumps(unknown))
    else:
        jsonschema.validate(unknown, schema_of(event))
        assert type(event).model_validate_json(json.dumps(unknown)) == event


def test_unknown_fields_inside_an_alert_are_ignored() -> None:
    alert = next(event for event in EVENTS if isinstance(event, DuplicateAlert))
    value = json.loads(alert.model_dump_json())
    for part in (value["query"], value["similarity"], value["intervals"][0]):
        part["of_a_newer_release"] = 1
    jsonschema.validate(value, schema_of(alert))
    assert DuplicateAlert.model_validate_json(json.dumps(value)) == alert


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_required_fields_are_required_by_the_schema(event: Event) -> None:
    whole = json.loads(event.model_dump_json())
    for field in schema_of(event)["required"]:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({key: value for key, value in whole.items() if key != field}, schema_of(event))
