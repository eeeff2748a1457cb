"""Ends of uploads that come faster than the index deletes what they leave wait in their topic, and not in memory."""

from services.contracts.events import UploadEnded
from services.ingest.deletions import MAX_DELETIONS, MAX_DUE_DELETIONS
from services.ingest.worker import MAX_ACCEPTED
from tests.ingest.service import Service


def test_deletions_that_are_due_are_bounded(service: Service) -> None:
    count = 5 * MAX_DUE_DELETIONS
    assert MAX_DELETIONS < MAX_ACCEPTED, "else none would ever wait"
    service.publish(*(UploadEnded(asset_id=f"a{number}", segment_count=1) for number in range(count)))
    most = 0
    while service.worker.run_once(0):
        most = max(most, len(service.pipeline._deletions))
    assert MAX_DUE_DELETIONS - MAX_DELETIONS <= most <= MAX_DUE_DELETIONS
    assert service.committed_offset() == count
