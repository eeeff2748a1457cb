"""Names of the topics."""

from typing import Final

VIDEO_SEGMENTS: Final = "video-segments"
ENCODED_SEGMENTS: Final = "encoded-segments"
MATCH_EVIDENCE: Final = "match-evidence"
DUPLICATE_ALERTS: Final = "duplicate-alerts"
ASSET_VERDICTS: Final = "asset-verdicts"
ALERTER_STATE: Final = "alerter-state"  # compacted, partitioned as match-evidence

DEAD_LETTER_SUFFIX: Final = ".dlq"
