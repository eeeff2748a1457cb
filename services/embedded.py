"""All services in one process without servers: in-process bus, local cache, Milvus Lite.

The pipelines are those of the services; only the backends differ. All files are described before matching begins, so
that every query is compared with everything, and a Milvus Lite file is searched after a flush, when it is fast.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from services.alerter.pipeline import AlertPipeline
from services.alerter.state_store import StateStore
from services.alerter.worker import AlertWorker
from services.backends.memory.bus import MemoryBus
from services.backends.memory.cache import MemoryCache
from services.backends.milvus.index import MilvusIndex
from services.contracts import topics
from services.contracts.envelope import read_event, to_message
from services.contracts.errors import UsageError
from services.contracts.events import Event, Role, SegmentUploaded
from services.contracts.ports import Consumer
from services.contracts.segments import DescribedSegment
from services.ingest.assemble import describer_of, open_ingest_pipeline
from services.ingest.worker import IngestWorker
from services.matcher.assemble import build_match_pipeline
from services.matcher.candidates import CandidateStage, ExhaustiveCandidates, NearestCandidates
from services.matcher.pipeline import AssetKey
from services.matcher.worker import MatchWorker
from services.runtime.group_lag import name_matcher_group
from services.runtime.rule import AlertRule
from services.runtime.settings import Settings
from tca_model.bundle import Bundle

SOURCE = "copydetect/embedded"
STEP_S = 0.2  # longest wait of a step for decoders: short enough for a progress bar, long enough not to spin
EVERY_PAIR = -1.0  # a threshold that every pair passes


class Embedded:
    """Publish uploads, `describe` them, then `match` them; both yield events as they are announced."""

    def __init__(
        self,
        bundle: Bundle,
        settings: Settings,
        *,
        db: Path | None = None,
    ) -> None:
        """`db`: file of the index; None for a temporary one.

        Raises UsageError if the file cannot be opened or holds descriptors of another model.
        """
        self._bundle = bundle
        self._settings = settings
        self._bus = MemoryBus()
        with ExitStack() as opened:
            if db is None:
                db = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="copydetect-"))) / "index.db"
            self.index = _open_index(db, bundle)
            opened.callback(self.index.close)
            cache = MemoryCache(settings.cache_bytes)
            pipeline = opened.enter_context(
                open_ingest_pipeline(
                    settings,
                    bundle,
                    index=self.index,
                    cache=cache,
                    describer=describer_of(bundle),
                    roots=None,  # `scan` reads with the rights of the user who starts it
                )
            )
            self._ingest = IngestWorker(self._bus, pipeline)
            self._cache = cache
            self._opened = opened.pop_all()

    def publish(self, uploads: Iterable[SegmentUploaded]) -> None:
        self._bus.publish([to_message(topics.VIDEO_SEGMENTS, upload, source=SOURCE) for upload in uploads])

    def describe(self) -> Iterator[Event]:
        """Run ingest until nothing is left to do. Yields the events that it announces."""
        announced = self._bus.open_consumer(topics.ENCODED_SEGMENTS, SOURCE)
        while self._ingest.run_once(STEP_S):
            yield from _poll_events(announced)
        self.index.flush()
        yield from _poll_events(announced)

    def match(
        self,
        *,
        threshold: float,
        exhaustive: bool = False,
        searching_roles: frozenset[Role] = frozenset(Role),
        already_decided: frozenset[AssetKey] = frozenset(),
    ) -> Iterator[Event]:
        """Run matcher and alerter until nothing is left to do. Yields alerts and verdicts.

        `exhaustive`: compare with every asset, without the candidate stage. `searching_roles`: only uploads with these
        roles search. `already_decided`: assets that are skipped.
        """
        candidates: CandidateStage = NearestCandidates(self.index)
        if exhaustive:
            candidates = ExhaustiveCandidates(self.index)
        rule = AlertRule(threshold, evidence_share=self._settings.evidence_share)
        pipeline = build_match_pipeline(
            self.index,
            self._cache,
            candidates,
            rule=rule,
            calibration=self._bundle.manifest.calibration,
            searching_roles=searching_roles,
            already_decided=already_decided,
        )
        matcher = MatchWorker(self._bus, pipeline, group=name_matcher_group(self.index.model_version))
        states = StateStore()
        alerter = AlertWorker(
            self._bus,
            AlertPipeline(states=states, rule=rule),
            states,
            asset_idle_s=self._settings.asset_idle_s,
            state_retention_s=self._settings.state_retention_s,
            alert_retention_s=self._settings.alert_retention_s,
        )
        alerts = self._bus.open_consumer(topics.DUPLICATE_ALERTS, SOURCE)
        verdicts = self._bus.open_consumer(topics.ASSET_VERDICTS, SOURCE)
        # What the alerter tells itself comes behind what it has just read.
        while matcher.run_once(STEP_S) | alerter.run_once(STEP_S):
            yield from _poll_events(alerts)
            yield from _poll_events(verdicts)

    def read_segments(self, tenant: str, asset_id: str) -> list[DescribedSegment]:
        """The stored segments of an asset, in order."""
        segments = self.index.read([row.key for row in self.index.read_rows(tenant, [asset_id])]).values()
        return sorted(segments, key=lambda segment: segment.row.segment_index)

    def close(self) -> None:
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open_index(db: Path, bundle: Bundle) -> MilvusIndex:
    version = bundle.model_version
    others = MilvusIndex.list_model_versions(str(db)) - {version}
    if others:
        raise UsageError(
            f"{db} holds descriptors of model {', '.join(sorted(others))}, but bundle {bundle.manifest.name} is model "
            f"{version}: use the bundle it was made with (--bundle), or another --db"
        )
    return MilvusIndex(str(db), model_version=version, dimension=bundle.manifest.descriptor.frame.dimension)


def _poll_events(consumer: Consumer) -> Iterator[Event]:
    while records := consumer.poll(1024, 0.0):
        consumer.commit(records)
        yield from (read_event(record) for record in records)
