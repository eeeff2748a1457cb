"""The content of the overview dashboard: rows of panels, each with some queries. dashboard.py arranges them."""

from typing import Final

from deploy.grafana.failures import FAILURES
from deploy.grafana.panel import RATE, Panel, quantiles, share

ROWS: Final[dict[str, list[Panel]]] = {
    "At a glance": [
        Panel(
            "Replicas that answer",
            "Targets of Prometheus that can be scraped. Rule: CopydetectServiceAbsent.",
            "short",
            (('sum by (job) (up{job=~"copydetect.*"})', "{{job}}"),),
            small=True,
        ),
        Panel(
            "Alerts within 30 s",
            "Share of first alerts that came within 30 s of the later upload. The goal is 99 % over 30 days.",
            "percentunit",
            (
                (
                    share(
                        'copydetect_alert_latency_seconds_bucket{le="30.0"}', "copydetect_alert_latency_seconds_count"
                    ),
                    "",
                ),
            ),
            small=True,
        ),
        Panel(
            "Records waiting",
            "Lag, summed over all partitions. Rule: CopydetectLagHigh.",
            "short",
            (("sum by (topic) (copydetect_consumer_lag_records)", "{{topic}}"),),
            small=True,
            limits=(100, 1000),
        ),
        Panel(
            "Dependencies up",
            "0 if the last call of any replica failed. Rule: CopydetectDependencyDown.",
            "short",
            (("min by (dependency) (copydetect_dependency_up)", "{{dependency}}"),),
            small=True,
        ),
        Panel(
            "Paused replicas",
            "They consume no records: a budget or the disk is used up, a backend is down, or (until a restart) they "
            "got nothing but invalid records. Rules: CopydetectPaused, CopydetectFlooded.",
            "short",
            (
                ("sum by (job) (copydetect_consumption_paused)", "{{job}}"),
                ("sum by (job) (copydetect_flooded)", "{{job}} flooded"),
            ),
            small=True,
            limits=(1, 2),
        ),
        Panel(
            "Time since the last step",
            "Of the slowest replica's loop. Rule: CopydetectLoopStuck.",
            "s",
            (("max by (job) (time() - copydetect_loop_last_tick_timestamp_seconds)", "{{job}}"),),
            small=True,
            limits=(30, 120),
        ),
    ],
    "Flow": [
        Panel(
            "Records",
            "Consumed from each topic.",
            "reqps",
            ((f"sum by (topic) (rate(copydetect_records_total{RATE}))", "{{topic}}"),),
        ),
        Panel(
            "Lag",
            "Offsets between position and end, one line per partition. One high line means one slow record.",
            "short",
            (("sum by (topic, partition) (copydetect_consumer_lag_records)", "{{topic}} {{partition}}"),),
        ),
        Panel(
            "Records that no group has committed",
            "Told by the brokers, so also of a service of which no process lives; what is in work counts.",
            "short",
            (("max by (group) (copydetect_group_lag_records)", "{{group}}"),),
        ),
        Panel(
            "Age of the oldest record",
            "Since the first record that a group has not committed was published. Rule: CopydetectRecordsOverdue.",
            "s",
            (("max by (group) (copydetect_group_oldest_record_age_seconds)", "{{group}}"),),
        ),
        Panel(
            "Partitions without an owner",
            "No member of the group reads them; for seconds during a rebalance. Rule: CopydetectPartitionsUnowned.",
            "short",
            (("min by (group) (copydetect_group_unowned_partitions)", "{{group}}"),),
        ),
        Panel(
            "Video described",
            "Seconds of video per second: the real-time factor of all ingest replicas.",
            "short",
            ((f"sum(rate(copydetect_media_seconds_total{RATE}))", "seconds per second"),),
        ),
        Panel(
            "Segments",
            "Announced by ingest, by status.",
            "reqps",
            ((f"sum by (status) (rate(copydetect_segments_total{RATE}))", "{{status}}"),),
        ),
        Panel(
            "Alerts and verdicts",
            "Revisions of alerts, and decided assets.",
            "reqps",
            (
                (f"sum by (status) (rate(copydetect_alerts_total{RATE}))", "alert {{status}}"),
                (f"sum by (verdict) (rate(copydetect_verdicts_total{RATE}))", "verdict {{verdict}}"),
            ),
        ),
        Panel(
            "In flight",
            "Records that ingest accepted and has not finished.",
            "short",
            (("sum by (job) (copydetect_in_flight_records)", "{{job}}"),),
        ),
        Panel(
            "Parked records",
            "Accepted, and waiting for a place to download (COPYDETECT_FETCH_THREADS, _FETCHES_PER_HOST, "
            "_FETCHES_PER_TENANT) or for an earlier record of their asset. No upload is accepted at "
            "COPYDETECT_MAX_PARKED, per replica.",
            "short",
            (("sum by (instance) (copydetect_parked_records)", "{{instance}}"),),
        ),
        Panel(
            "Downloads in flight",
            "Reserved for downloads in the temporary folder, per replica: at most COPYDETECT_MAX_IN_FLIGHT_BYTES, or "
            "one larger file. While a download waits for room, the replica accepts no upload.",
            "bytes",
            (("sum by (instance) (copydetect_in_flight_bytes)", "{{instance}}"),),
        ),
    ],
    "Time": [
        Panel(
            "From upload to alert",
            "From the later upload of a pair to the commit of its first alert.",
            "s",
            quantiles("copydetect_alert_latency_seconds"),
        ),
        Panel(
            "Stages",
            "Time spent in each stage, including retries.",
            "s",
            quantiles("copydetect_stage_seconds", "stage"),
        ),
        Panel(
            "Where the time goes",
            "Seconds per second in each stage; stages may contain others.",
            "short",
            ((f"sum by (stage) (rate(copydetect_stage_seconds_sum{RATE}))", "{{stage}}"),),
        ),
    ],
    "Work": [
        Panel(
            "Frames described",
            "By all replicas of ingest.",
            "reqps",
            ((f"sum(rate(copydetect_frames_encoded_total{RATE}))", "frames"),),
        ),
        Panel(
            "Frames per batch",
            "Small batches waste the GPU; they are small when there are few uploads.",
            "short",
            quantiles("copydetect_batch_frames"),
        ),
        Panel(
            "Candidates",
            "Segments of other assets that each segment is compared with. Grows with the index.",
            "short",
            quantiles("copydetect_candidates"),
        ),
        Panel(
            "Cache hits",
            "Share of segments that Redis had; the others are read from Milvus. Rule: CopydetectCacheCold.",
            "percentunit",
            ((share('copydetect_cache_requests_total{result="hit"}', "copydetect_cache_requests_total"), "hits"),),
        ),
    ],
    "Failures": FAILURES,
}
