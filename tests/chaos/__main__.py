"""A run from the command line: python -m tests.chaos --seed 1 --minutes 5."""

import argparse
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.controls import CONTROLS
from tests.chaos.run import make_folder, run
from tests.chaos.scenarios import make_control_scenario, make_scenario


def main() -> int:
    """Returns the exit status: 1 if anything was lost, doubled or wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="of plan and faults (today's date)")
    parser.add_argument("--minutes", type=float, default=5, help="of uploads and faults; what is left takes longer")
    parser.add_argument("--control", choices=sorted(CONTROLS), default="", help="a guarantee to take away")
    parser.add_argument("--calm", action="store_true", help="without faults, or without taking the guarantee away")
    parser.add_argument("--folder", type=Path, help="keep logs and data there")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else int(datetime.now(UTC).strftime("%Y%m%d"))
    say(f"seed {seed}, {options.minutes:g} minutes" if not options.control else f"control {options.control}")
    if options.control:
        scenario = make_control_scenario(options.control)
        scenario = replace(scenario, control="") if options.calm else scenario
    else:
        scenario = make_scenario(seed, options.minutes)
        scenario = replace(scenario, faults=()) if options.calm else scenario
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
