"""`copydetect ingest` and `copydetect matcher`: the two services."""

from services.runtime import log
from services.runtime.settings import load_settings


def ingest() -> None:
    """Run the ingest service: describes uploads into Milvus. Settings are COPYDETECT_* variables."""
    from services.ingest.service import serve  # PyTorch takes seconds, and the matcher does without

    settings = load_settings()
    log.configure("ingest", settings.log_level)
    serve(settings)


def matcher() -> None:
    """Run the matcher service: finds copies of what ingest described. Settings are COPYDETECT_* variables."""
    from services.matcher.service import serve

    settings = load_settings()
    log.configure("matcher", settings.log_level)
    serve(settings)
