"""Logs of our own loggers and of libraries, on standard error as one JSON object per line."""

import logging
import sys
from typing import Any

import structlog

# Their records of every request and rebalance add nothing to the metrics. kafka-python also logs an error for every
# attempt to reach a missing broker, a hundred lines per minute; services.backends logs an outage once.
CHATTY = {"urllib3": logging.WARNING, "pymilvus": logging.WARNING, "kafka": logging.CRITICAL}


def configure_for_commands(least: int = logging.WARNING) -> None:
    """Log for interactive commands: records of at least this level, as text, on standard error."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def configure(service: str, level: str) -> None:
    """Log for services: every record of this process as JSON, with the service's name."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, least in CHATTY.items():
        logging.getLogger(name).setLevel(least if level != "DEBUG" else logging.DEBUG)
    structlog.contextvars.bind_contextvars(service=service)
