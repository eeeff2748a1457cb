"""The events that README shows are valid."""

import re
from pathlib import Path

from services.contracts.events import DuplicateAlert, SegmentUploaded

README = Path(__file__).parents[2] / "README.md"


def test_the_upload_and_the_alert_in_the_readme_are_valid() -> None:
    upload, alert = re.findall(r"```json\n(.*?)```", README.read_text(), re.DOTALL)
    assert SegmentUploaded.model_validate_json(upload).asset_id == "upload-81"
    shown = DuplicateAlert.model_validate_json(alert)
    assert shown.query.asset_id == "upload-81"
    assert set(DuplicateAlert.model_fields) - {"schema_version"} == shown.model_fields_set
