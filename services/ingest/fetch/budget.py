"""The bytes that downloads may take of the temporary folder. They are reserved before anything is written."""

import threading


class NoRoom(Exception):
    """A download cannot be written now; it is fetched again when `needs_bytes` are free."""

    def __init__(self, needs_bytes: int, reason: str) -> None:
        super().__init__(reason)
        self.needs_bytes = needs_bytes


class ByteBudget:
    """All reservations together are at most `limit_bytes`, apart from one of a larger file, which is then the only one.

    Any thread may use it and its reservations.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._held_bytes: dict[Reservation, int] = {}
        self._releases = 0

    @property
    def reserved_bytes(self) -> int:
        with self._lock:
            return sum(self._held_bytes.values())

    @property
    def is_used_up(self) -> bool:
        return self.reserved_bytes >= self._limit_bytes

    @property
    def releases(self) -> int:
        """How many reservations have been released, each with a file that is gone from the disk."""
        return self._releases

    def open(self) -> "Reservation":
        """A reservation that holds nothing yet."""
        return Reservation(self)

    def _hold(self, reservation: "Reservation", size_bytes: int) -> None:
        with self._lock:
            held_bytes = self._held_bytes.get(reservation, 0)
            others_bytes = sum(self._held_bytes.values()) - held_bytes
            if size_bytes > held_bytes and others_bytes and others_bytes + size_bytes > self._limit_bytes:
                reason = f"{size_bytes} bytes do not fit beside {others_bytes} of {self._limit_bytes}"
                raise NoRoom(size_bytes, reason)
            self._held_bytes[reservation] = size_bytes

    def _drop(self, reservation: "Reservation") -> None:
        with self._lock:
            if self._held_bytes.pop(reservation, None) is not None:
                self._releases += 1


class Reservation:
    """What one download holds of a budget."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._size_bytes = 0

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    def require(self, size_bytes: int) -> None:
        """Hold at least this many bytes. Raises NoRoom if they do not fit; what was held is held on."""
        if size_bytes > self._size_bytes:
            self._set(size_bytes)

    def shrink(self, size_bytes: int) -> None:
        """Hold no more than this many bytes."""
        if size_bytes < self._size_bytes:
            self._set(size_bytes)

    def release(self) -> None:
        """Hold nothing, because the file is gone; can be repeated."""
        self._size_bytes = 0
        self._budget._drop(self)

    def _set(self, size_bytes: int) -> None:
        self._budget._hold(self, size_bytes)
        self._size_bytes = size_bytes
