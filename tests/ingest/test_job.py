"""A job that goes on in the middle of its file takes up what was remembered there, if its decoder does."""

import numpy as np
import pytest

from services.contracts.ports import Message, Record
from services.ingest.job import DescribeOptions, Job
from services.ingest.progress import Progress
from tca_model.video.stills import Stills
from tests.ingest.fakes import Shot
from tests.ingest.service import DIMENSION, SEGMENT_S, upload

OPTIONS = DescribeOptions(DIMENSION, segment_s=SEGMENT_S, panels=True)
FIRST_S, RESUMED_S = 10, 20


@pytest.mark.parametrize(
    ("start_s", "first_shown_s"), [(RESUMED_S, FIRST_S), (0, 0)], ids=["resumed", "from the start"]
)
def test_a_picture_was_first_shown_before_the_checkpoint_only_if_the_decoder_goes_on_there(
    start_s: int, first_shown_s: int
) -> None:
    event = upload("/a.mp4")
    job = Job.of(Record(Message("video-segments", event.key, b""), 0, 0), event, OPTIONS)
    before = Stills()
    still = Shot(FIRST_S, RESUMED_S, still=True).frames("")
    before.track(still.timestamps_s, still.images)
    job.progress = Progress(RESUMED_S, before.shown, b"")
    for _ in range(2):
        tracked = job.track(Shot(start_s, start_s + 5, still=True).frames(""))
        np.testing.assert_array_equal(tracked.first_shown_s, np.full(5, first_shown_s))
        start_s += 5
