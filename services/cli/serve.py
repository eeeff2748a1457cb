"""`copydetect ingest`, `matcher` and `alerter`: the three services."""

from services.runtime import log
from services.runtime.settings import load_settings


def ingest() -> None:
    """Run the service that describes uploads.

    It writes the descriptors to Milvus. Settings are COPYDETECT_* variables.

    Exit code 0 after SIGTERM; 1 for a failure; 2 for wrong settings.
    """
    from services.ingest.service import (
        serve,  # imports PyTorch, which takes seconds and which the matcher does not need
    )

    settings = load_settings()
    log.configure("ingest", settings.log_level)
    serve(settings)


def matcher() -> None:
    """Run the service that compares.

    It searches for what the ingest service described, and tells the alerter what it finds. Settings are COPYDETECT_*
    variables.

    Exit code 0 after SIGTERM; 1 for a failure; 2 for wrong settings.
    """
    from services.matcher.service import serve

    settings = load_settings()
    log.configure("matcher", settings.log_level)
    serve(settings)


def alerter() -> None:
    """Run the service that decides.

    It joins what the matchers found, and publishes alerts and verdicts. Settings are COPYDETECT_* variables.

    Exit code 0 after SIGTERM; 1 for a failure; 2 for wrong settings.
    """
    from services.alerter.service import serve

    settings = load_settings()
    log.configure("alerter", settings.log_level)
    serve(settings)
