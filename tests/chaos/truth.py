"""What must come out of a plan, by brute force: what each asset is in the end, and which assets share what.

It knows nothing of how the services work: an asset is the list of its seconds, and two assets are a pair if they show
the same seconds of a work. Two assets share nothing or at least SHORTEST_SHARED_S in a row, or the truth would be a
matter of opinion.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Final, Literal, NamedTuple

from services.contracts.events import Role, side_order
from tests.chaos.films import Film
from tests.chaos.steps import SEGMENT_S, Asset, End, Removal, Step, Upload, cut_film

SHORTEST_SHARED_S: Final = 6


class Segment(NamedTuple):
    """A described segment, and the file that it comes from. Its frames are one a second from `start_s`."""

    segment_index: int
    start_s: int
    film: Film
    file_name: str
    is_whole_file: bool

    @property
    def end_s(self) -> int:
        return self.start_s + self.film.length_s


@dataclass(frozen=True, slots=True)
class FinalAsset:
    """What an asset is when everything has been worked on.

    `outcome`: what its verdict says, or `removed`. `uploaded_s`: of its first segment. `is_stale`: the last file could
    not be decoded at all, so that the segments are those of an earlier one.
    """

    asset: Asset
    outcome: Literal["unique", "copies", "failed", "removed"]
    role: Role
    uploaded_s: float
    segments: tuple[Segment, ...]
    is_stale: bool

    @property
    def side_order(self) -> tuple[bool, float, str]:
        return side_order(self.role, self.uploaded_s, self.asset.asset_id)


class Shared(NamedTuple):
    """A stretch that both sides show."""

    query_start_s: int
    reference_start_s: int
    length_s: int


class TruePair(NamedTuple):
    query: Asset
    reference: Asset
    shared: tuple[Shared, ...]


@dataclass(frozen=True, slots=True)
class Truth:
    assets: Mapping[Asset, FinalAsset]
    pairs: tuple[TruePair, ...]


@dataclass(slots=True)
class _Progress:
    """An asset after some steps of its plan."""

    role: Role = Role.UPLOAD
    uploaded_s: float = 0.0
    segments: dict[int, Segment] = field(default_factory=dict)
    is_failed: bool = False
    is_stale: bool = False
    is_removed: bool = False


def find_truth(steps: Iterable[Step]) -> Truth:
    """The truth about a plan whose steps are in order. Raises ValueError if two assets share too little to decide."""
    assets: dict[Asset, _Progress] = {}
    for step in steps:
        _apply(assets.setdefault(step.asset, _Progress()), step)
    finals = {asset: _to_final(asset, progress) for asset, progress in assets.items()}
    pairs = tuple(_find_pairs(finals.values()))
    copies = {pair.query for pair in pairs}
    for asset, final in finals.items():
        if final.outcome == "unique" and asset in copies:
            finals[asset] = replace(final, outcome="copies")
    return Truth(finals, pairs)


def _apply(progress: _Progress, step: Step) -> None:
    match step:
        case Removal():
            progress.segments.clear()
            progress.is_removed, progress.is_failed, progress.is_stale = True, False, False
        case End():
            progress.segments = {n: one for n, one in progress.segments.items() if n < step.segment_count}
        case Upload(segment_index=None):
            _apply_file(progress, step)
        case Upload():
            _apply_segment_file(progress, step)


def _apply_file(progress: _Progress, upload: Upload) -> None:
    progress.is_failed = upload.film.broken_after_s is not None
    progress.is_removed = False
    segments = cut_segments(upload)
    progress.is_stale = not segments and bool(progress.segments)
    if segments:
        # The same file again, under another role perhaps, is no other content: the asset stays as old as it is.
        if {one.file_name for one in progress.segments.values()} != {upload.file_name}:
            progress.uploaded_s = upload.uploaded_s
        progress.segments = {segment.segment_index: segment for segment in segments}
        progress.role = upload.role


def _apply_segment_file(progress: _Progress, upload: Upload) -> None:
    assert upload.segment_index is not None
    if upload.film.broken_after_s is not None:
        return  # the plan mends it
    segments = {} if any(one.is_whole_file for one in progress.segments.values()) else progress.segments
    if not segments:
        progress.role, progress.uploaded_s = upload.role, upload.uploaded_s
    segment = Segment(upload.segment_index, upload.start_s, upload.film, upload.file_name, is_whole_file=False)
    progress.segments = segments | {segment.segment_index: segment}
    progress.is_failed, progress.is_stale, progress.is_removed = False, False, False


def cut_segments(upload: Upload) -> list[Segment]:
    """The segments of a whole file. Of one that breaks off, those that a later frame has completed."""
    film = upload.film
    starts = range(0, film.readable_s, SEGMENT_S)
    if film.broken_after_s is not None:
        starts = starts[:-1]
    return [
        Segment(index, start_s, cut_film(film, start_s, SEGMENT_S), upload.file_name, is_whole_file=True)
        for index, start_s in enumerate(starts)
    ]


def _to_final(asset: Asset, progress: _Progress) -> FinalAsset:
    return FinalAsset(
        asset=asset,
        outcome="removed" if progress.is_removed else "failed" if progress.is_failed else "unique",
        role=progress.role,
        uploaded_s=progress.uploaded_s,
        segments=tuple(progress.segments[index] for index in sorted(progress.segments)),
        is_stale=progress.is_stale,
    )


def _find_pairs(assets: Iterable[FinalAsset]) -> Iterator[TruePair]:
    shown = {asset.asset: _seconds_by_frame(asset) for asset in assets}
    for one, other in combinations(assets, 2):
        if one.asset.tenant != other.asset.tenant:
            continue
        reference, query = sorted((one, other), key=lambda asset: asset.side_order)
        if shared := tuple(find_shared(shown[query.asset], shown[reference.asset])):
            yield TruePair(query.asset, reference.asset, shared)


def _seconds_by_frame(asset: FinalAsset) -> dict[tuple[int, int], int]:
    """The second of the asset that shows each frame, a work and a second of it. No film shows a frame twice."""
    shown: dict[tuple[int, int], int] = {}
    for segment in asset.segments:
        for offset_s, frame in enumerate(segment.film.frames()):
            if frame in shown:
                raise ValueError(f"{asset.asset.key} shows second {frame[1]} of work {frame[0]} twice")
            shown[frame] = segment.start_s + offset_s
    return shown


def find_shared(query: Mapping[tuple[int, int], int], reference: Mapping[tuple[int, int], int]) -> Iterator[Shared]:
    """The stretches that both show, from the second of each that shows a frame."""
    common = sorted((second, reference[frame]) for frame, second in query.items() if frame in reference)
    start = 0
    for n in range(1, len(common) + 1):
        if n < len(common) and common[n] == (common[n - 1][0] + 1, common[n - 1][1] + 1):
            continue
        if n - start < SHORTEST_SHARED_S:
            raise ValueError(f"only {n - start} s are shared at second {common[start][0]}")
        yield Shared(*common[start], n - start)
        start = n
