"""A run from the command line: python -m tests.chaos --seed 1 --minutes 5."""

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.controls import CONTROLS
from tests.chaos.faults import make_faults
from tests.chaos.plan import make_plan
from tests.chaos.run import Scenario, make_folder, run

UPLOADS_PER_MINUTE = 40


def main() -> int:
    """Returns the exit status: 1 if anything was lost, doubled or wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="of plan and faults (today's date)")
    parser.add_argument("--minutes", type=float, default=5, help="of uploads and faults; what is left takes longer")
    parser.add_argument("--control", choices=sorted(CONTROLS), default="", help="a guarantee to take away")
    parser.add_argument("--uploads", type=int, help=f"at least so many ({UPLOADS_PER_MINUTE} a minute)")
    parser.add_argument("--calm", action="store_true", help="without faults")
    parser.add_argument("--folder", type=Path, help="keep logs and data there")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else int(datetime.now(UTC).strftime("%Y%m%d"))
    length_s = 60 * options.minutes
    uploads = options.uploads or round(UPLOADS_PER_MINUTE * options.minutes)
    say(f"seed {seed}, {options.minutes:g} minutes")
    faults = [] if options.calm else make_faults(seed, length_s)
    scenario = Scenario(make_plan(seed, uploads, length_s), faults, options.control)
    if options.folder:
        report = run(scenario, options.folder.absolute(), say=say)
    else:
        with make_folder() as folder:
            report = run(scenario, Path(folder), say=say)
    for line in report.lines():
        sys.stdout.write(f"{line}\n")
    return 0 if report.is_clean else 1


def say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
