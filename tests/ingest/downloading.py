"""All of ingest over fakes, except that uploads are really downloaded."""

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from services.ingest.decode.events import DecodeEvent, FramesDecoded
from services.ingest.fetch.budget import ByteBudget, Reservation
from services.ingest.fetch.media import FetchPolicy
from services.ingest.fetch.places import FetchLimits
from services.ingest.fetch.pool import FetchPool
from services.ingest.ports import Fetches
from services.runtime.probes import Health
from tests.ingest.fakes import End, FakePool, Pause, Shot
from tests.ingest.fetch.downloads import HOSTS
from tests.ingest.fetch.web import Web, body
from tests.ingest.service import Service, upload

TIMEOUT_S = 30.0


class SpyBudget(ByteBudget):
    """Remembers the most that was reserved."""

    peak_bytes = 0

    def _hold(self, reservation: Reservation, size_bytes: int) -> None:
        super()._hold(reservation, size_bytes)
        self.peak_bytes = max(self.peak_bytes, self.reserved_bytes)


class HoldingPool(FakePool):
    """Decodes downloads, whose content begins with the name of their script; a file stays open until its end."""

    def __init__(self, service: Service, workers: int) -> None:
        super().__init__(service.scripts, workers)
        self._held: dict[str, int] = {}

    def submit(
        self, job: str, file: BinaryIO, *, max_duration_s: float, checkpoint_s: float, resume: bytes | None
    ) -> None:
        self._held[job] = os.dup(file.fileno())
        name = file.readline().decode().strip()
        with file, Path(name).open("rb") as script:
            super().submit(job, script, max_duration_s=max_duration_s, checkpoint_s=checkpoint_s, resume=resume)

    def cancel(self, job: str) -> None:
        super().cancel(job)
        self._close(job)

    def poll(self, timeout_s: float) -> list[DecodeEvent]:
        events = super().poll(timeout_s)
        for event in events:
            if not isinstance(event, FramesDecoded):
                self._close(event.job)
        return events

    def _close(self, job: str) -> None:
        if job in self._held:
            os.close(self._held.pop(job))


class Downloads(Service):
    """Ingest over fakes, except that uploads are really downloaded, from a web server."""

    def __init__(
        self,
        folder: Path,
        web: Web,
        *,
        largest_bytes: int = 10**4,
        budget_bytes: int = 10**8,
        workers: int = 4,
        limits: FetchLimits | None = None,
        max_parked: int = 500,
    ) -> None:
        self.web = web
        self.policy = FetchPolicy(roots=None, max_bytes=largest_bytes, hosts=HOSTS, private_hosts=True)
        self.limits = limits or FetchLimits(threads=2 * workers, files=2 * workers, per_host=99, per_tenant=99)
        self.budget = SpyBudget(budget_bytes)
        self.health = Health(loop_timeout_s=TIMEOUT_S)
        self.health.clear("start")
        self.written_peak_bytes = 0
        super().__init__(folder, workers=workers, max_parked=max_parked)

    def make_pool(self) -> FakePool:
        return HoldingPool(self, self._workers)

    def make_fetches(self) -> Fetches:
        self.downloads = FetchPool(self.policy, limits=self.limits, budget=self.budget, health=self.health)
        return self.downloads

    def publish_upload(self, name: str, size_bytes: int = 1000, pauses: int = 5, **fields: Any) -> None:
        self.publish(upload(self.web.serve(f"/{name}", body(self.make_film(name, size_bytes, pauses))), name, **fields))

    def make_film(self, name: str, size_bytes: int = 1000, pauses: int = 5) -> bytes:
        """The content of a file that can be decoded, wherever it lies."""
        film = self.write_film(name, Shot(0, 3), *[Pause()] * pauses, End(3))
        return f"{film}\n".encode().ljust(size_bytes, b"x")

    def step(self) -> bool:
        worked = self.worker.run_once(0)
        self.written_peak_bytes = max(self.written_peak_bytes, written_bytes())
        return worked

    def step_until(self, condition: Callable[[], object]) -> None:
        give_up_s = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < give_up_s, self.pool.decoded
            self.step()
            time.sleep(0.001)

    def run(self) -> None:
        self.step_until(lambda: not self.step())


def written_bytes() -> int:
    """Total size of this process's open files in the temporary folder, one that is open twice counted once."""
    sizes = {}
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            if str(descriptor.readlink()).startswith(f"{tempfile.tempdir}/"):
                status = descriptor.stat()
                sizes[status.st_ino] = status.st_size
    return sum(sizes.values())
