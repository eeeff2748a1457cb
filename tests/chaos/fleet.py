"""Two processes of each service, which are started again whenever they end, as an orchestrator would do."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.chaos.fail_points import OVER, REACHED
from tests.chaos.service import CONTROL, FAIL_POINT
from tests.servers.process import tie_to_this_process

SERVICES: Final = ("ingest", "matcher", "alerter")
INSTANCES: Final = tuple(f"{service}-{number}" for service in SERVICES for number in (1, 2))
RESTART_AFTER_S: Final = 1.0
LONGEST_STOP_S: Final = 60.0  # after SIGTERM; a drain takes at most 20 s, and leaving a group some more
_ROOT: Final = Path(__file__).parents[2]


def make_command(service: str) -> list[str]:
    return [sys.executable, "-m", "tests.chaos.service", service]


class Instance:
    """A process of a service, by a name that stays the same over restarts."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.service = name.partition("-")[0]
        self.log = folder / f"{name}.log"
        self._environment = dict(environment) | {"COPYDETECT_INSTANCE": name}
        self._process: subprocess.Popen[bytes] | None = None
        self._fail_point = ""
        self._log_start = 0
        self.ended_at_s: float | None = None  # None while it runs
        self._stopping_since_s: float | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The number of the process, which has been started."""
        assert self._process is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.poll()

    @property
    def has_fail_point(self) -> bool:
        return bool(self._fail_point)

    @property
    def is_hanging(self) -> bool:
        """Whether it has reached a fail point at which it stands still."""
        log = self.log.read_bytes()[self._log_start :].decode(errors="replace") if self.log.exists() else ""
        return self.is_running and log.count(REACHED) > log.count(OVER)

    def start(self, fail_point: str = "") -> None:
        """Start the process, with a fail point if one is named. Its log is appended to."""
        self._fail_point = fail_point
        self.ended_at_s = self._stopping_since_s = None
        environment = os.environ | self._environment | ({FAIL_POINT: fail_point} if fail_point else {})
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                tie_to_this_process(make_command(self.service)),
                cwd=_ROOT,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal if it runs."""
        if self.is_running and self._process is not None:
            self._process.send_signal(number)
            if number is signal.SIGTERM:
                self._stopping_since_s = time.monotonic()

    def kill(self) -> None:
        """End it with SIGKILL, and return when it has ended."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    @property
    def is_stuck(self) -> bool:
        """Whether it was told to stop and does not."""
        return self._stopping_since_s is not None and time.monotonic() - self._stopping_since_s > LONGEST_STOP_S


class Fleet:
    """All instances. `ended` counts those that ended without having been told to, by service and exit code."""

    def __init__(self, folder: Path, environment: Mapping[str, str], control: str = "") -> None:
        environment = dict(environment) | ({CONTROL: control} if control else {})
        self.instances = {name: Instance(name, folder, environment) for name in INSTANCES}
        self.ended: Counter[str] = Counter()
        self.stuck: list[str] = []
        self._told: set[str] = set()

    def start(self) -> None:
        for instance in self.instances.values():
            instance.start()

    def kill(self, name: str) -> None:
        self._told.add(name)
        self.instances[name].kill()

    def terminate(self, name: str) -> None:
        """Ask it to stop; it is started again when it has ended."""
        self._told.add(name)
        self.instances[name].signal(signal.SIGTERM)

    def pause(self, name: str) -> None:
        self.instances[name].signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self.instances[name].signal(signal.SIGCONT)

    def restart_with(self, name: str, fail_point: str) -> None:
        """Kill it, and start it with a fail point."""
        self.instances[name].kill()
        self.instances[name].start(fail_point)

    def supervise(self) -> None:
        """Start again what has ended; to be called often."""
        for name, instance in self.instances.items():
            if instance.is_running:
                if instance.is_stuck:
                    self.stuck.append(name)
                    instance.kill()
                continue
            if instance.ended_at_s is None:
                instance.ended_at_s = time.monotonic()
                self._note_end(name, instance)
            elif time.monotonic() - instance.ended_at_s >= RESTART_AFTER_S:
                instance.start()

    def repair(self) -> None:
        """Let all run. Fail points that were not reached stay."""
        for name in self.instances:
            self.resume(name)

    @property
    def is_hanging(self) -> bool:
        """Whether one stands still, which may yet do harm when it goes on."""
        return any(instance.is_hanging for instance in self.instances.values())

    def count_fail_points(self) -> Counter[str]:
        """How often each fail point was reached, by service and name."""
        reached: Counter[str] = Counter()
        for instance in self.instances.values():
            for line in instance.log.read_text(errors="replace").splitlines():
                if line.startswith(REACHED):
                    reached[f"{instance.service} {line.partition(': ')[2]}"] += 1
        return reached

    def close(self) -> None:
        for instance in self.instances.values():
            instance.signal(signal.SIGCONT)
            instance.kill()

    def _note_end(self, name: str, instance: Instance) -> None:
        is_by_fail_point = instance.has_fail_point and instance.exit_code == -signal.SIGKILL
        if name not in self._told and not is_by_fail_point:
            self.ended[f"{instance.service} with {instance.exit_code}"] += 1
        self._told.discard(name)
