"""Builds the ingest pipeline and its pools from the settings, for the service and for a laptop alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from services.contracts.ports import DescriptorIndex
from services.ingest.decode.limits import decode_limits
from services.ingest.decode.pool import DecodePool
from services.ingest.describe import BatchDescriber
from services.ingest.fetch.budget import ByteBudget
from services.ingest.fetch.media import FetchPolicy
from services.ingest.fetch.places import FetchLimits
from services.ingest.fetch.pool import FetchPool
from services.ingest.job import DescribeOptions
from services.ingest.pipeline import IngestPipeline
from services.ingest.ports import ProgressCache
from services.runtime.probes import Health
from services.runtime.settings import Settings
from tca_model.bundle import Bundle

if TYPE_CHECKING:
    from tca_model.networks.extractor import DescriptorExtractor

FILES_PER_DECODER = 2  # one is decoded while the next is ready


@contextmanager
def open_ingest_pipeline(
    settings: Settings,
    bundle: Bundle,
    *,
    index: DescriptorIndex,
    cache: ProgressCache,
    describer: BatchDescriber,
    roots: tuple[Path, ...] | None,
    health: Health | None = None,
) -> Iterator[IngestPipeline]:
    """Open a pipeline whose threads and processes end with the block.

    `roots`: folders whose files it may fetch; None for any file. `health`: reports it while the disk is full.
    """
    frame = bundle.manifest.descriptor.frame
    options = DescribeOptions(frame.dimension, segment_s=settings.segment_s, panels=settings.describe_panels)
    policy = FetchPolicy(
        roots=roots,
        hosts=settings.fetch_hosts,
        private_hosts=settings.fetch_private_hosts,
        max_bytes=settings.max_file_bytes,
        deadline_s=settings.fetch_deadline_s,
    )
    decoders = DecodePool(
        workers=settings.decode_workers,
        size=(frame.input_px, frame.input_px),
        every_s=frame.sample_every_s,
        remove_bars=frame.remove_bars,
        panels=options.panels,
        limits=decode_limits(settings),
        deadline_s=settings.decode_deadline_s,
    )
    limits = FetchLimits(
        threads=settings.fetch_threads,
        files=FILES_PER_DECODER * settings.decode_workers,
        per_host=settings.fetches_per_host,
        per_tenant=settings.fetches_per_tenant,
    )
    fetching = FetchPool(
        policy,
        limits=limits,
        budget=ByteBudget(settings.max_in_flight_bytes),
        wake=decoders.wake,
        health=health,
    )
    with decoders, fetching as fetches:
        yield IngestPipeline(
            index=index,
            cache=cache,
            fetches=fetches,
            pool=decoders,
            describer=describer,
            options=options,
            max_parked=settings.max_parked,
        )


def describer_of(bundle: Bundle) -> BatchDescriber:
    """A describer that loads the bundle's model for the first frame, or in `warm_up`."""

    def load() -> "DescriptorExtractor":
        from tca_model.networks.extractor import DescriptorExtractor  # takes seconds, so only when needed

        return DescriptorExtractor(bundle)

    return BatchDescriber(load)
