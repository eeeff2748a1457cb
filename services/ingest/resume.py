"""Keeps the progress of whole files in the cache, so that whoever gets an interrupted one goes on in its middle.

Losing it costs time alone: the file is decoded from its start, and what is stored of it is not described again.
"""

import structlog

from services.ingest.decode.events import CheckpointReached
from services.ingest.job import MAX_ATTEMPTS, Job
from services.ingest.ports import ProgressCache
from services.ingest.progress import Progress

# Checkpoints of a job that are waiting. Segments are not much longer than the video between two of them, so more come
# only from a compromised decoder.
MAX_REACHED = 4

log = structlog.get_logger(__name__)


class ProgressKeeper:
    def __init__(self, cache: ProgressCache) -> None:
        self._cache = cache

    def load(self, job: Job) -> None:
        """Let a job continue where an earlier one was, if some of its segments are stored."""
        value = self._cache.get_progress(job.progress_key)
        if value is None or job.attempt == MAX_ATTEMPTS:  # the last attempt must not fail for the same reason
            return
        try:
            progress = Progress.from_bytes(value)
        except ValueError as error:
            log.warning("kept progress cannot be read", asset=job.key, reason=str(error))
            return
        if job.has_stored_until(progress.time_s):
            job.progress = progress

    def note(self, job: Job, event: CheckpointReached) -> None:
        """Keep this checkpoint of a decoder, as soon as all frames before it are in stored segments."""
        job.reached.append(Progress(event.time_s, job.stills.shown, event.checkpoint))
        del job.reached[:-MAX_REACHED]
        self.save(job)

    def save(self, job: Job) -> None:
        """Keep the last checkpoint of those that could not be kept when they were noted, if that is possible now."""
        possible = [progress for progress in job.reached if job.has_stored_until(progress.time_s)]
        if possible:
            self._cache.put_progress(job.progress_key, possible[-1].to_bytes())
            del job.reached[: len(possible)]

    def drop(self, job: Job) -> None:
        """Forget the progress of a job that has ended."""
        if job.media is not None and job.upload.is_whole_file:
            self._cache.discard_progress(job.progress_key)
