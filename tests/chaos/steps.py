"""What uploaders do: they upload films, end uploads of segment files, and have assets removed."""

import hashlib
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from services.contracts.events import Role
from tests.chaos.films import Film, Piece

SEGMENT_S: Final = 8  # as services are told to cut


class Asset(NamedTuple):
    tenant: str
    asset_id: str

    @property
    def key(self) -> str:
        return f"{self.tenant}/{self.asset_id}"


@dataclass(frozen=True, slots=True)
class Upload:
    """A whole file, or the segment file `segment_index`, which begins at `start_s` of its asset.

    `at_s`: when it is published, after the start of the run. `uploaded_s`: the time that it claims, likewise.
    """

    at_s: float
    asset: Asset
    film: Film
    uploaded_s: float
    role: Role = Role.UPLOAD
    segment_index: int | None = None
    start_s: int = 0
    is_last: bool = False

    @property
    def file_name(self) -> str:
        """The same for the same film of an asset."""
        digest = hashlib.sha256(self.film.to_text().encode()).hexdigest()[:12]
        return f"{self.asset.tenant}-{self.asset.asset_id}-{digest}.film"


@dataclass(frozen=True, slots=True)
class End:
    """The end of an upload of segment files."""

    at_s: float
    asset: Asset
    segment_count: int


@dataclass(frozen=True, slots=True)
class Removal:
    at_s: float
    asset: Asset


Step: TypeAlias = Upload | End | Removal


def cut_film(film: Film, start_s: int, length_s: int) -> Film:
    """The film of this stretch, which may end earlier, with the same noise."""
    pieces, at_s, end_s = [], 0, start_s + length_s
    for piece in film.pieces:
        skipped_s = max(0, start_s - at_s)
        kept_s = min(piece.length_s, end_s - at_s) - skipped_s
        if kept_s > 0:
            pieces.append(Piece(piece.work, piece.start_s + skipped_s, kept_s))
        at_s += piece.length_s
    return Film(tuple(pieces), film.noise)
