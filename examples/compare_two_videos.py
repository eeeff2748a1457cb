"""Compare two videos: python examples/compare_two_videos.py COPY ORIGINAL."""

import sys

from tca_model import BundleError, DecodeError, compare, describe

if len(sys.argv) != 3:
    print("usage: python examples/compare_two_videos.py COPY ORIGINAL", file=sys.stderr)
    sys.exit(2)
try:
    result = compare(describe(sys.argv[1]), describe(sys.argv[2]))
except (BundleError, DecodeError, OSError, ValueError) as error:
    sys.exit(str(error))
probability = "not calibrated" if result.probability is None else f"{result.probability:.3f}"
print(
    f"probability {probability}, joined score {result.joined_score:.3f}: {'a copy' if result.is_copy else 'not a copy'}"
)
for copied in result.intervals if result.is_copy else ():
    print(
        f"{copied.query_start_s:.1f}-{copied.query_end_s:.1f} s shows "
        f"{copied.reference_start_s:.1f}-{copied.reference_end_s:.1f} s of the other"
    )
