"""A run from the command line: python -m tests.chaos --seed 1 --minutes 5."""

import argparse
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.controls import CONTROLS
from tests.chaos.run import make_folder, run
from tests.chaos.scenarios import Scenario, make_control_scenario, make_scenario

ALL = "all"


def main() -> int:
    """Returns the exit status: 1 if anything was lost, doubled or wrong. With `--control all`: if nothing was, once."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="of plan and faults (today's date)")
    parser.add_argument("--minutes", type=float, default=5, help="of uploads and faults; what is left takes longer")
    parser.add_argument("--control", choices=[*CONTROLS, ALL], help="a guarantee to take away, or each in turn")
    parser.add_argument("--calm", action="store_true", help="without faults, or without taking the guarantee away")
    parser.add_argument("--folder", type=Path, help="keep logs and data there")
    options = parser.parse_args()
    if options.control == ALL:
        return _play_controls()
    if options.control:
        say(f"control {options.control}")
        scenario = make_control_scenario(options.control)
        scenario = replace(scenario, control="") if options.calm else scenario
    else:
        seed = options.seed if options.seed is not None else int(datetime.now(UTC).strftime("%Y%m%d"))
        say(f"seed {seed}, {options.minutes:g} minutes")
        scenario = make_scenario(seed, options.minutes)
        scenario = replace(scenario, faults=()) if options.calm else scenario
    return 0 if _play(scenario, options.folder) else 1


def _play(scenario: Scenario, kept: Path | None = None) -> bool:
    """Run the scenario and print the report. Returns whether nothing was wrong."""
    if kept is None:
        with make_folder() as folder:
            report = run(scenario, Path(folder), say=say)
    else:
        report = run(scenario, kept.absolute(), say=say)
    for line in report.lines():
        sys.stdout.write(f"{line}\n")
    return report.is_clean


def _play_controls() -> int:
    """The exit status: 1 if a run without one of the guarantees finds nothing wrong."""
    unnoticed = []
    for control in CONTROLS:
        say(f"control {control}")
        if _play(make_control_scenario(control)):
            unnoticed.append(control)
    say(f"nothing was found without {', '.join(unnoticed)}" if unnoticed else "every control is red, as it should be")
    return 1 if unnoticed else 0


def say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
