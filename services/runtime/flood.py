"""Tells when a service gets nothing but invalid records, so that a broken producer does not fill the dead letters."""


class FloodGuard:
    """Counts records that could not be parsed, and begins again with each that could."""

    def __init__(self, limit: int) -> None:
        """`limit`: of records in a row; 0 for none."""
        self._limit = limit
        self._in_a_row = 0
        self._last: str | None = None

    @property
    def is_flooded(self) -> bool:
        """Whether no further record should be accepted."""
        return 0 < self._limit <= self._in_a_row

    @property
    def reason(self) -> str:
        """What has happened, and what is to be done; only if it is flooded."""
        count = self._in_a_row
        return (
            f"paused: {count} records in a row were invalid, the last one because: {self._last}. Is a producer broken? "
            "`copydetect dlq list` shows them. Once it is mended, restart this service to go on with the next records, "
            "or raise COPYDETECT_MAX_INVALID_IN_A_ROW"
        )

    def count(self, *, is_invalid: bool, reason: str | None = None) -> None:
        """Count a record that is done; once flooded, it stays so."""
        if not self.is_flooded:
            self._in_a_row = self._in_a_row + 1 if is_invalid else 0
            self._last = reason
