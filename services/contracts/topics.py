"""Names of the topics."""

from typing import Final

VIDEO_SEGMENTS: Final = "video-segments"
ENCODED_SEGMENTS: Final = "encoded-segments"
DUPLICATE_ALERTS: Final = "duplicate-alerts"
ASSET_VERDICTS: Final = "asset-verdicts"
MATCHER_STATE: Final = "matcher-state"  # compacted, partitioned as encoded-segments

DEAD_LETTER_SUFFIX: Final = ".dlq"
