"""One JSON object a line on standard error, from our own loggers and from those of libraries alike."""

import logging
import sys
from typing import Any

import structlog

# Their records of every request and rebalance say nothing that a metric does not; kafka-python also reports as an
# error every attempt to reach a broker that is away, a hundred lines a minute, where the doors tell it once.
CHATTY = {"urllib3": logging.WARNING, "pymilvus": logging.WARNING, "kafka": logging.CRITICAL}


def configure_for_commands() -> None:
    """For commands of people: only what they should know, in words, on standard error."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),  # commands print warnings themselves
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def configure(service: str, level: str) -> None:
    """Send all logs of this process there; every line names the service."""
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
