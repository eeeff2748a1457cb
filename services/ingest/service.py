"""The ingest worker as a service, made from the settings."""

from services.backends.open import open_doors
from services.backends.retrying_index import PatientIndex
from services.contracts.errors import UsageError
from services.ingest.assemble import describer_of, ingest_pipeline
from services.ingest.worker import IngestWorker
from services.runtime.process import life
from services.runtime.settings import Settings
from tca_model.bundle import load_bundle


def serve(settings: Settings) -> None:
    """Run until a signal. Raises UsageError when the settings or a backend's state make that impossible."""
    if not settings.fetch_roots and not settings.fetch_hosts:
        raise UsageError("nothing can be fetched: set COPYDETECT_FETCH_ROOTS (folders) or COPYDETECT_FETCH_HOSTS")
    bundle = load_bundle(settings.bundle)
    describer = describer_of(bundle)
    with life(settings, bundle) as service, open_doors(settings, bundle, service.starting()) as doors:
        describer.warm_up()
        patience = service.working(lambda: worker.keep_alive())
        index = PatientIndex(doors.index, patience)
        with ingest_pipeline(
            settings, bundle, index=index, cache=doors.cache, describer=describer, roots=settings.fetch_roots
        ) as pipeline:
            worker = service.starting()("kafka", IngestWorker, doors.bus, pipeline, call=patience)
            service.run(worker)
