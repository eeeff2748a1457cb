"""The matcher as a service, made from the settings."""

from services.backends.open import open_doors
from services.backends.retrying_index import PatientIndex
from services.matcher.candidates import NearestCandidates
from services.matcher.pipeline import MatchPipeline
from services.matcher.rule import AlertRule
from services.matcher.state_store import StateStore
from services.matcher.worker import MatchWorker
from services.runtime.process import life
from services.runtime.settings import Settings
from tca_model.bundle import load_bundle


def serve(settings: Settings) -> None:
    """Run until a signal. Raises UsageError when the settings or a backend's state make that impossible."""
    bundle = load_bundle(settings.bundle)
    calibration = bundle.manifest.calibration
    rule = AlertRule(
        calibration,
        calibration.alert_threshold if settings.alert_threshold is None else settings.alert_threshold,
        settings.tenant_alert_thresholds,
        settings.evidence_share,
    )
    with life(settings, bundle) as service, open_doors(settings, bundle, service.starting()) as doors:
        patience = service.working(lambda: worker.keep_alive())
        index = PatientIndex(doors.index, patience)
        states = StateStore()
        pipeline = MatchPipeline(
            index=index,
            cache=doors.cache,
            candidates=NearestCandidates(index),
            states=states,
            rule=rule,
        )
        worker = service.starting()(
            "kafka",
            MatchWorker,
            doors.bus,
            pipeline,
            states,
            asset_idle_s=settings.asset_idle_s,
            state_retention_s=settings.state_retention_s,
            call=patience,
        )
        service.run(worker)
