"""What every service process has besides its work: signals, probes, and retries."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from services.runtime import metrics
from services.runtime.loop import Stop, Worker, run
from services.runtime.probes import Health, ProbeServer
from services.runtime.retry import Retrier
from services.runtime.settings import Settings
from tca_model.bundle import Bundle

log = structlog.get_logger(__name__)


class ServiceProcess:
    """Signals, health and retries of a service process. Made by `service_process`."""

    def __init__(self, settings: Settings) -> None:
        self.health = Health(loop_timeout_s=settings.loop_timeout_s)
        self._stop = Stop(settings.drain_s)
        self._stop.install()

    def retrier_until_ready(self) -> Retrier:
        """For calls before the loop starts; a signal ends them at once."""
        return Retrier(self.health, keep_alive=lambda: None, is_over=lambda: self._stop.is_requested)

    def retrier_in_loop(self, keep_alive: Callable[[], None]) -> Retrier:
        """For calls in the loop: `keep_alive` is called while they wait; they end when the time to drain is over."""
        return Retrier(self.health, keep_alive=keep_alive, is_over=self._stop.is_over)

    def run(self, worker: Worker) -> None:
        """Run the loop until a signal, then drain."""
        log.info("ready")
        run(worker, self._stop, self.health)


@contextmanager
def service_process(settings: Settings, bundle: Bundle | None = None) -> Iterator[ServiceProcess]:
    """A service process that serves its probes; `bundle` if it uses a model.

    A signal while a call before the loop waits raises Stopped.
    """
    process = ServiceProcess(settings)
    with ProbeServer(process.health, host=settings.http_host, port=settings.http_port) as probes:
        if bundle is not None:
            metrics.model.info({"version": bundle.model_version, "bundle": bundle.manifest.name})
        model = bundle.model_version if bundle else None
        log.info("starting", model=model, http_port=probes.port, instance=settings.instance)
        yield process
