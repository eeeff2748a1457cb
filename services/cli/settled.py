"""What earlier scans on a --db decided, so that only what is new searches.

A new file finds the old ones by itself, so an old pair needs no second look: as in the service, an upload is searched
when it comes. It holds only while both files, and all that decides on a match, stay as they were.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from services.contracts.events import DuplicateAlert, Role
from services.contracts.ports import SegmentRow


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    decided_by: str
    stamps: dict[str, str]
    alerts: tuple[DuplicateAlert, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """Assets that need no search, and the alerts that were raised among them."""

    asset_ids: frozenset[str]
    alerts: tuple[DuplicateAlert, ...]
    _path: Path | None
    _decided_by: str
    _stamps: Mapping[str, str]  # of all assets that the index holds now

    @classmethod
    def nothing(cls) -> Self:
        """For scans that look at every pair anew, and leave nothing behind."""
        return cls(frozenset(), (), None, "", {})

    @classmethod
    def load(cls, db: Path, rows: Iterable[SegmentRow], decided_by: Sequence[object]) -> Self:
        """What is still true of the earlier decisions, now that the index holds these rows.

        `decided_by`: all that decides on a match besides the files; other values settle nothing.
        """
        path = db.with_name(f"{db.name}.settled.json")
        identity = hashlib.sha256(json.dumps(decided_by).encode()).hexdigest()
        # A probe was not to be found by others, and a file without informative frames is told anew by every run.
        stamps = {row.asset_id: row.stamp for row in rows if row.frame_count > 0 and row.role is not Role.PROBE}
        fresh = cls(frozenset(), (), path, identity, stamps)
        try:
            record = _Record.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):  # the first run, or the last one was of another version
            return fresh
        if record.decided_by != identity:
            return fresh
        asset_ids = frozenset(asset_id for asset_id, _ in stamps.items() & record.stamps.items())
        among = tuple(one for one in record.alerts if {one.query.asset_id, one.reference.asset_id} <= asset_ids)
        return cls(asset_ids, among, path, identity, stamps)

    def save(self, searched: Collection[str], alerts: Iterable[DuplicateAlert]) -> None:
        """Remember that these assets have searched now too, and every alert that stands."""
        if self._path is None:
            return
        known = {asset_id: self._stamps[asset_id] for asset_id in self._stamps.keys() & {*self.asset_ids, *searched}}
        record = _Record(decided_by=self._decided_by, stamps=dict(sorted(known.items())), alerts=tuple(alerts))
        beside = self._path.with_name(f".{self._path.name}.new")
        beside.write_text(record.model_dump_json())
        beside.replace(self._path)
