"""The panels of what goes wrong."""

from typing import Final

from deploy.grafana.panel import RATE, Panel

FAILURES: Final = [
    Panel(
        "Dead letters",
        "Records that can never succeed, by the stage that failed. Rules: CopydetectDeadLetters, CopydetectDefect.",
        "reqps",
        ((f"sum by (stage) (rate(copydetect_dead_letters_total{RATE}))", "{{stage}}"),),
    ),
    Panel(
        "Segments that were not compared",
        "Described, but not in the index: replaced meanwhile, or lost. Rule: CopydetectSegmentsUncompared.",
        "short",
        (("sum(increase(copydetect_uncompared_segments_total[$__rate_interval]))", "segments"),),
    ),
    Panel(
        "Expired records",
        "Records that retention removed before they were read: lost. Rule: CopydetectRecordsExpired.",
        "short",
        (("sum by (topic) (increase(copydetect_expired_records_total[$__rate_interval]))", "{{topic}}"),),
    ),
    Panel(
        "Retries",
        "Calls that failed and are retried. Rule: CopydetectRetrying.",
        "reqps",
        ((f"sum by (job, stage) (rate(copydetect_retries_total{RATE}))", "{{job}} {{stage}}"),),
    ),
    Panel(
        "Events left to other matchers",
        "Of another model or an earlier release. Their own matchers must run until none come.",
        "short",
        (("sum by (reason) (increase(copydetect_left_events_total[$__rate_interval]))", "{{reason}}"),),
    ),
    Panel(
        "Dropped evidence",
        "Findings beyond the bounds of a pair or an asset: alerts hold, but are not extended by them.",
        "short",
        (("sum by (bound) (increase(copydetect_dropped_evidence_total[$__rate_interval]))", "{{bound}}"),),
    ),
    Panel(
        "Partitions without states",
        "A topic was enlarged and the topic of its states was not: their records wait. Rule: "
        "CopydetectPartitionsRefused.",
        "short",
        (("sum by (topic) (copydetect_refused_partitions)", "{{topic}}"),),
    ),
    Panel(
        "Transactions of the alerter",
        "Fenced: two alerters have the same COPYDETECT_INSTANCE. Rule: CopydetectTransactionsFailing.",
        "reqps",
        ((f"sum by (outcome) (rate(copydetect_transactions_total{RATE}))", "{{outcome}}"),),
    ),
    Panel(
        "Rebalances",
        "Partitions assigned, revoked and lost. Lost ones were not released in time. Rule: CopydetectRebalancing.",
        "short",
        (("sum by (job, event) (increase(copydetect_rebalances_total[$__rate_interval]))", "{{job}} {{event}}"),),
    ),
    Panel(
        "Dependencies",
        "1 while calls succeed.",
        "short",
        (("min by (job, dependency) (copydetect_dependency_up)", "{{job}} {{dependency}}"),),
    ),
    Panel(
        "Models in use",
        "Replicas by model. Two models at once are normal during a release; their assets are not compared.",
        "short",
        (("count by (job, version) (copydetect_model_info)", "{{job}} {{version}}"),),
    ),
]
