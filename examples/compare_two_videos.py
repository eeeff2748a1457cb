"""Compare two videos: python examples/compare_two_videos.py COPY ORIGINAL."""

import sys

from tca_model import compare, describe

result = compare(describe(sys.argv[1]), describe(sys.argv[2]))
print(f"probability {result.probability:.3f}, joined score {result.joined_score:.3f}")
for copied in result.intervals:
    print(
        f"{copied.query_start_s:.1f}-{copied.query_end_s:.1f} s shows "
        f"{copied.reference_start_s:.1f}-{copied.reference_end_s:.1f} s of the other"
    )
