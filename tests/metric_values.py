"""Reads metrics as a scrape would, so that tests name the published series."""

from prometheus_client import REGISTRY


def metric_value(series: str, **labels: str) -> float:
    """The current value of a series such as `copydetect_retries_total`; 0 if it does not exist yet."""
    return REGISTRY.get_sample_value(series, labels) or 0.0
