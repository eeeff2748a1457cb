"""Whatever an uploader may send, the events that follow from it can be announced: no record stops a worker."""

import io
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.contracts.envelope import to_event, to_message
from services.contracts.errors import InvalidMessage
from services.contracts.events import Event, Role, SegmentUploaded
from services.contracts.fields import MAX_START_S
from services.contracts.ports import Message, Record
from services.ingest.announce import build_failure_events, build_stored_events
from services.ingest.fetch.media import Media
from services.ingest.job import DescribeOptions, Job
from tca_model.types import VideoDescriptor
from tca_model.video.segments import CutSegment

LAST_MOMENT = datetime(3000, 1, 1, tzinfo=UTC) - timedelta(microseconds=1)
LAST_INDEX = 2**31 - 2
OPTIONS = DescribeOptions(4, segment_s=32.0, panels=True)

uploads = st.builds(
    SegmentUploaded,
    tenant=st.from_regex(r"[A-Za-z0-9_.-]{1,128}", fullmatch=True),
    asset_id=st.from_regex(r"[A-Za-z0-9_.-]{1,128}", fullmatch=True),
    uri=st.text(min_size=1, max_size=100),
    role=st.sampled_from(Role),
    segment_index=st.integers(0, LAST_INDEX),
    start_s=st.floats(0, MAX_START_S),
    duration_s=st.none() | st.floats(0.001, 120),
    last_segment=st.booleans(),
    uploaded_at=st.datetimes(
        datetime(1970, 1, 1),  # noqa: DTZ001
        LAST_MOMENT.replace(tzinfo=None),
        timezones=st.just(UTC),
    ),
)


def segment(index: int, at: datetime) -> SegmentUploaded:
    return SegmentUploaded(asset_id="a", uri="/a", segment_index=index, start_s=0, last_segment=True, uploaded_at=at)


@given(uploads)
@example(segment(LAST_INDEX, LAST_MOMENT))
def test_every_valid_upload_can_be_announced(upload: SegmentUploaded) -> None:
    record = Record(Message("video-segments", upload.key, b"", {}), 0, 0)
    job = Job.of(record, upload, OPTIONS)
    job.media = Media(io.BytesIO(), "stamp", 1)
    assert upload.segment_index is not None
    assert upload.start_s is not None
    nothing = VideoDescriptor(np.zeros(0), np.zeros((0, 4), np.float32))
    cut = CutSegment(upload.segment_index, upload.start_s, upload.start_s + 120, nothing)
    row = job.row(cut, last=True)
    events: list[Event] = [
        *build_stored_events(job, [row], model_version="v", index_timestamp=None, ended=True),
        *build_failure_events(job, InvalidMessage("broken", stage="decode"), model_version="v"),
    ]
    for event in events:
        assert to_event(to_message("encoded-segments", event, source="test")) == event


@pytest.mark.parametrize(("index", "at"), [(LAST_INDEX + 1, LAST_MOMENT), (0, LAST_MOMENT + timedelta(microseconds=1))])
def test_what_could_not_be_announced_is_refused_as_an_upload(index: int, at: datetime) -> None:
    with pytest.raises(ValueError, match="less than"):
        segment(index, at)
