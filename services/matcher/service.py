"""The matcher service."""

from services.backends.open import open_backends
from services.backends.retrying_index import RetryingIndex
from services.matcher.candidates import NearestCandidates
from services.matcher.pipeline import MatchPipeline
from services.matcher.rule import AlertRule, alert_threshold
from services.matcher.state_store import StateStore
from services.matcher.worker import MatchWorker
from services.runtime.process import service_process
from services.runtime.settings import Settings
from tca_model.bundle import load_bundle


def serve(settings: Settings) -> None:
    """Run until a signal arrives. Raises UsageError if the settings or the state of a backend make that impossible."""
    bundle = load_bundle(settings.bundle)
    calibration = bundle.manifest.calibration
    rule = AlertRule(
        calibration,
        alert_threshold(settings, calibration),
        settings.tenant_alert_thresholds,
        settings.evidence_share,
    )
    with (
        service_process(settings, bundle) as service,
        open_backends(settings, bundle, service.retrier_until_ready()) as backends,
    ):
        retrier = service.retrier_in_loop(lambda: worker.keep_alive())
        index = RetryingIndex(backends.index, retrier)
        states = StateStore()
        pipeline = MatchPipeline(
            index=index,
            cache=backends.cache,
            candidates=NearestCandidates(index),
            states=states,
            rule=rule,
        )
        worker = service.retrier_until_ready()(
            "kafka",
            MatchWorker,
            backends.bus,
            pipeline,
            states,
            asset_idle_s=settings.asset_idle_s,
            state_retention_s=settings.state_retention_s,
            call=retrier,
        )
        service.run(worker)
