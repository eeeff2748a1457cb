"""What the pipeline needs of fetches, decoders and the model; tests have fakes of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from services.contracts.ports import Bus, DescriptorCache, Record
from services.contracts.segments import SegmentKey
from services.ingest.decode.events import DecodeEvent
from services.ingest.fetch.pool import FetchFinished
from tca_model.types import FloatArray


class ReadableBus(Bus, Protocol):
    """A bus whose topics can also be read without a group."""

    def read(self, topics: Sequence[str], *, starts: Mapping[int, int] | None = None) -> Iterator[Record]:
        """The records of the topics up to now. `starts`: read only these partitions, from these offsets on."""


class Fetches(Protocol):
    """Fetches files: a FetchPool."""

    @property
    def has_room(self) -> bool: ...

    @property
    def parked_count(self) -> int: ...

    @property
    def unfetched(self) -> list[str]: ...

    @property
    def reserved_bytes(self) -> int: ...

    def submit(self, job: str, uri: str, tenant: str) -> None: ...

    def poll(self) -> list[FetchFinished]: ...

    def cancel(self, job: str) -> None: ...


class Decoders(Protocol):
    """Decode files: a DecodePool."""

    @property
    def free(self) -> int: ...

    def submit(
        self, job: str, file: BinaryIO, *, max_duration_s: float, checkpoint_s: float, resume: bytes | None
    ) -> None: ...

    def poll(self, timeout_s: float) -> list[DecodeEvent]: ...

    def cancel(self, job: str) -> None: ...


class ProgressCache(DescriptorCache, Protocol):
    """A cache that also keeps the progress of a file under the key of its first segment, and may lose it."""

    def get_progress(self, key: SegmentKey) -> bytes | None: ...

    def put_progress(self, key: SegmentKey, progress: bytes) -> None: ...

    def discard_progress(self, key: SegmentKey) -> None: ...


class Extractor(Protocol):
    """Computes descriptors: a DescriptorExtractor, which is imported only with the model."""

    batch_frames: int

    def describe(self, images: NDArray[np.uint8]) -> FloatArray: ...

    def encode(self, segments: Sequence[FloatArray]) -> Sequence[tuple[FloatArray, FloatArray]]: ...
