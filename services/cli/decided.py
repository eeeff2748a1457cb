"""The pairs that earlier scans on a --db decided, so that only new files are searched.

A new file finds the old ones by itself, so an old pair needs no second search. As in the service, an upload is searched
when it arrives. This holds only while both files, and everything else that decides on a match, stay unchanged.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from services.contracts.events import DuplicateAlert, Role
from services.contracts.segments import SegmentRow
from tca_model.files import replacing


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    decided_by: str
    stamps: dict[str, str]
    alerts: tuple[DuplicateAlert, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """Assets that need no search, and the alerts among them."""

    asset_ids: frozenset[str]
    alerts: tuple[DuplicateAlert, ...]
    _path: Path | None
    _decided_by: str
    _stamps: Mapping[str, str]  # of all assets that the index holds now

    @classmethod
    def nothing(cls) -> Self:
        """For scans that search every pair and keep no decisions."""
        return cls(frozenset(), (), None, "", {})

    @classmethod
    def load(cls, db: Path, rows: Iterable[SegmentRow], decided_by: Sequence[object]) -> Self:
        """The earlier decisions that still hold, now that the index holds these rows.

        `decided_by`: everything that decides on a match besides the files. No decision made by other values holds.
        """
        path = db.with_name(f"{db.name}.decided.json")
        identity = hashlib.sha256(json.dumps(decided_by).encode()).hexdigest()
        # Other files did not search for a probe, and every run reports files without informative frames again.
        stamps = {row.asset_id: row.stamp for row in rows if row.frame_count > 0 and row.role is not Role.PROBE}
        fresh = cls(frozenset(), (), path, identity, stamps)
        try:
            record = _Record.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):  # the first run, or another version wrote the file
            return fresh
        if record.decided_by != identity:
            return fresh
        asset_ids = frozenset(asset_id for asset_id, _ in stamps.items() & record.stamps.items())
        among = tuple(one for one in record.alerts if {one.query.asset_id, one.reference.asset_id} <= asset_ids)
        return cls(asset_ids, among, path, identity, stamps)

    def save(self, searched: Collection[str], alerts: Iterable[DuplicateAlert]) -> None:
        """Remember that these assets were searched now too, and every alert that holds."""
        if self._path is None:
            return
        known = {asset_id: self._stamps[asset_id] for asset_id in self._stamps.keys() & {*self.asset_ids, *searched}}
        record = _Record(decided_by=self._decided_by, stamps=dict(sorted(known.items())), alerts=tuple(alerts))
        with replacing(self._path) as beside:
            beside.write_text(record.model_dump_json())
