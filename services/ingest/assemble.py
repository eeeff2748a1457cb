"""The ingest pipeline with its pools, made from the settings: the same for a service and a laptop."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from services.contracts.ports import DescriptorCache, DescriptorIndex
from services.ingest.decode.limits import decode_limits
from services.ingest.decode.pool import DecodePool
from services.ingest.describe import Describer
from services.ingest.fetch.media import FetchPolicy
from services.ingest.fetch.pool import FetchPool
from services.ingest.pipeline import IngestPipeline
from services.runtime.settings import Settings
from tca_model.bundle import Bundle

if TYPE_CHECKING:
    from tca_model.networks.extractor import DescriptorExtractor

JOBS_PER_DECODER = 2  # one in work, one fetched meanwhile


@contextmanager
def ingest_pipeline(
    settings: Settings,
    bundle: Bundle,
    *,
    index: DescriptorIndex,
    cache: DescriptorCache,
    describer: Describer,
    roots: tuple[Path, ...] | None,
) -> Iterator[IngestPipeline]:
    """A pipeline whose threads and processes end with the block; it fetches files below `roots`, None for any."""
    frame = bundle.manifest.descriptor.frame
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
        panels=settings.describe_panels,
        limits=decode_limits(settings),
        deadline_s=settings.decode_deadline_s,
    )
    with decoders, FetchPool(policy, threads=settings.decode_workers, wake=decoders.wake) as fetches:
        yield IngestPipeline(
            index=index,
            cache=cache,
            fetches=fetches,
            pool=decoders,
            describer=describer,
            dimension=frame.dimension,
            segment_s=settings.segment_s,
            max_jobs=JOBS_PER_DECODER * settings.decode_workers,
            max_in_flight_bytes=settings.max_in_flight_bytes,
        )


def describer_of(bundle: Bundle) -> Describer:
    """A describer that loads the bundle's model when the first frame, or `warm_up`, needs it."""

    def load() -> "DescriptorExtractor":
        from tca_model.networks.extractor import DescriptorExtractor  # takes seconds: not before it is needed

        return DescriptorExtractor(bundle)

    return Describer(load)
