"""What an upload replaces in the index."""

from collections.abc import Collection
from typing import NamedTuple

from services.contracts.events import SegmentUploaded, UploadEnded
from services.contracts.segments import SegmentRow


class Replaced(NamedTuple):
    """Stored segments of an asset that are obsolete: of generations below `before`, with an index in this range.

    `spares_whole_files`: nothing is obsolete if one of them was cut from a whole file, which other segments replace.
    """

    tenant: str
    asset_id: str
    before: int
    from_index: int = 0
    to_index: int | None = None
    spares_whole_files: bool = False


def find_replaced(
    rows: Collection[SegmentRow], upload: SegmentUploaded, *, content: str, generation: int
) -> tuple[Replaced, ...]:
    """What of the stored rows of an asset this upload replaces, once its content is announced."""
    older = [row for row in rows if row.generation < generation and row.content != content]
    if upload.segment_index is None:
        return (Replaced(upload.tenant, upload.asset_id, generation),) if older else ()
    replaced = []
    if whole_files := [row.generation for row in older if row.is_whole_file]:
        # And what these had replaced, but not other segment files of this upload, which are newer.
        replaced.append(Replaced(upload.tenant, upload.asset_id, max(whole_files) + 1))
    if any(row.segment_index == upload.segment_index for row in older):
        bounds = (upload.segment_index, upload.segment_index + 1)
        replaced.append(Replaced(upload.tenant, upload.asset_id, generation, *bounds))
    return tuple(replaced)


def make_tail(end: SegmentUploaded | UploadEnded, *, segment_count: int, generation: int) -> Replaced:
    """What an earlier upload by segment files had beyond the end of this one."""
    return Replaced(end.tenant, end.asset_id, generation, from_index=segment_count, spares_whole_files=True)
