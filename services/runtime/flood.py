"""Stops a service that gets nothing but invalid records, before a broken producer fills the dead letters."""

from services.contracts.errors import CopydetectError


class Flood(CopydetectError):
    """Too many records in a row were invalid; the message says what to do."""


class FloodGuard:
    """Counts records that could not be parsed, and begins again with each that could."""

    def __init__(self, limit: int) -> None:
        """`limit`: of records in a row; 0 for none."""
        self._limit = limit
        self._in_a_row = 0
        self._reason: str | None = None

    @property
    def is_flooded(self) -> bool:
        """Whether no further record should be accepted."""
        return 0 < self._limit <= self._in_a_row

    def count(self, *, is_invalid: bool, reason: str | None = None) -> None:
        """Count a record that is done; once flooded, it stays so."""
        if not self.is_flooded:
            self._in_a_row = self._in_a_row + 1 if is_invalid else 0
            self._reason = reason

    def check(self) -> None:
        """Raise Flood if too many records in a row were invalid. To be called when no other work is in progress."""
        if self.is_flooded:
            raise Flood(
                f"{self._in_a_row} records in a row were invalid, the last one because: {self._reason}. Is a producer "
                "broken? `copydetect dlq list` shows them. Start again to go on with the next ones, or raise "
                "COPYDETECT_MAX_INVALID_IN_A_ROW"
            )
