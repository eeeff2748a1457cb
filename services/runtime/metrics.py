"""All metrics of the services. They are an interface: dashboards and alert rules (deploy/) use their names and labels.

Base units, bounded labels; never an id of an asset, segment or tenant.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Gauge, Histogram, Info, disable_created_metrics

# Creation timestamps double the number of series, and nothing reads them.
disable_created_metrics()  # type: ignore[no-untyped-call]

_STAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LATENCY_BUCKETS = (0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)
_COUNT_BUCKETS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

# Flow
records = Counter("copydetect_records", "Records consumed from a topic", ["topic"])
dead_letters = Counter("copydetect_dead_letters", "Records that can never succeed, by where they failed", ["stage"])
expired_records = Counter(
    "copydetect_expired_records", "Records that retention removed before they were read", ["topic"]
)
segments = Counter("copydetect_segments", "Segments announced by ingest", ["status"])
uncompared_segments = Counter("copydetect_uncompared_segments", "Described segments that the index does not hold")
left_events = Counter("copydetect_left_events", "Events that a matcher left to matchers of another model", ["reason"])
dropped_evidence = Counter("copydetect_dropped_evidence", "Findings beyond a bound of the alerter", ["bound"])
alerts = Counter("copydetect_alerts", "Alert revisions published", ["status"])
verdicts = Counter("copydetect_verdicts", "Assets decided on", ["verdict"])
in_flight_records = Gauge("copydetect_in_flight_records", "Records that ingest accepted and has not finished")
parked_records = Gauge(
    "copydetect_parked_records", "Records that wait for a place to download, or for an earlier record of their asset"
)
in_flight_bytes = Gauge(
    "copydetect_in_flight_bytes", "Bytes of the temporary folder that ingest has reserved for downloads and their files"
)
paused = Gauge(
    "copydetect_consumption_paused",
    "1 while consumption is paused: a budget or the disk is used up, a backend is down, or invalid records flood it",
)
flooded = Gauge(
    "copydetect_flooded", "1 when ingest has paused for good, after too many invalid records in a row, until a restart"
)
lag = Gauge("copydetect_consumer_lag_records", "Offsets between the position and the end", ["topic", "partition"])
# From the brokers' side, by every process for all groups.
group_lag = Gauge("copydetect_group_lag_records", "Offsets of a group's topic that it has not committed", ["group"])
group_oldest_age = Gauge(
    "copydetect_group_oldest_record_age_seconds", "Age of the oldest record that a group has not committed", ["group"]
)
group_unowned = Gauge(
    "copydetect_group_unowned_partitions", "Partitions of a group's topic that no member owns", ["group"]
)
refused_partitions = Gauge(
    "copydetect_refused_partitions", "Assigned partitions whose records wait: the state topic lacks them", ["topic"]
)
rebalances = Counter("copydetect_rebalances", "Partitions assigned, revoked and lost", ["event"])
transactions = Counter("copydetect_transactions", "Transactions of the alerter", ["outcome"])
last_tick = Gauge("copydetect_loop_last_tick_timestamp_seconds", "When the service's loop last made a step")

# Latency
alert_latency = Histogram(
    "copydetect_alert_latency_seconds",
    "From the later upload of a pair to the commit of its first alert",
    buckets=_LATENCY_BUCKETS,
)
stage_seconds = Histogram("copydetect_stage_seconds", "Time spent in a stage", ["stage"], buckets=_STAGE_BUCKETS)

# Work
frames_encoded = Counter("copydetect_frames_encoded", "Frames described")
batch_frames = Histogram("copydetect_batch_frames", "Frames described in one batch", buckets=_COUNT_BUCKETS)
media_seconds = Counter("copydetect_media_seconds", "Seconds of video described")
candidates = Histogram("copydetect_candidates", "Candidate segments of a query segment", buckets=_COUNT_BUCKETS)

# Dependencies
dependency_up = Gauge("copydetect_dependency_up", "1 when the last call succeeded, 0 when it did not", ["dependency"])
cache_requests = Counter("copydetect_cache_requests", "Segments requested from the cache", ["result"])
retries = Counter("copydetect_retries", "Calls that failed and are retried", ["stage"])
model = Info("copydetect_model", "The model in use")


@contextmanager
def time_stage(name: str) -> Iterator[None]:
    """Measure the time spent inside, as `stage_seconds{stage=name}`."""
    started = time.perf_counter()
    try:
        yield
    finally:
        stage_seconds.labels(name).observe(time.perf_counter() - started)
