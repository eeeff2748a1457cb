"""Lets faults begin and end."""

from collections import Counter
from typing import Final

from tests.chaos.backends import Backends
from tests.chaos.faults import Fault, FaultKind
from tests.chaos.fleet import Fleet
from tests.chaos.proxy import Mode
from tests.chaos.topics import TopicReader

_MODES: Final = {FaultKind.CUT: Mode.CUT, FaultKind.DELAY: Mode.DELAY, FaultKind.HALF_OPEN: Mode.HALF_OPEN}
DELAY_S: Final = {"kafka": 0.3, "redis": 0.5, "milvus": 0.2}  # of every chunk of bytes


class Injector:
    """`done` counts the faults that began, by name."""

    def __init__(self, backends: Backends, fleet: Fleet, topics: TopicReader, groups: dict[str, str]) -> None:
        """`groups`: the consumer group of each service."""
        self.done: Counter[str] = Counter()
        self._backends = backends
        self._fleet = fleet
        self._topics = topics
        self._groups = groups
        self._killed: dict[Fault, str] = {}  # the server that a fault has killed

    def begin(self, fault: Fault) -> None:
        if fault.target in self._fleet.instances:
            self._begin_on_process(fault)
        else:
            self._begin_on_server(fault)
        self.done[fault.name] += 1

    def end(self, fault: Fault) -> None:
        if fault.kind in _MODES:
            self._backends.change(fault.target, Mode.PASS)
        elif fault in self._killed:
            self._backends.servers[self._killed.pop(fault)].launch()
        elif fault.kind is FaultKind.PAUSE:
            if fault.target in self._fleet.instances:
                self._fleet.resume(fault.target)
            elif self._backends.servers[fault.target].is_running:
                self._backends.servers[fault.target].resume()

    def supervise(self) -> None:
        """Start servers again that ended by themselves, as an orchestrator would do; counted like faults.

        Milvus ends when it finds, after a pause, that its lease has run out.
        """
        for name, server in self._backends.servers.items():
            if not server.is_running and name not in self._killed.values():
                self.done[f"crash {name}"] += 1
                server.launch()

    def _begin_on_process(self, fault: Fault) -> None:
        match fault.kind:
            case FaultKind.KILL:
                self._fleet.kill(fault.target)
            case FaultKind.TERMINATE:
                self._fleet.terminate(fault.target)
            case FaultKind.PAUSE:
                self._fleet.pause(fault.target)
            case FaultKind.FAIL_POINT:
                self._fleet.restart_with(fault.target, fault.detail)
            case _:
                raise ValueError(f"{fault.kind} is nothing that happens to a process")

    def _begin_on_server(self, fault: Fault) -> None:
        name = fault.target
        if name.startswith("kafka"):
            # A broker that is still starting is one that is down, and only one may be.
            for node in self._backends.nodes:
                node.await_ready()
        if fault.kind in _MODES:
            self._backends.change(name, _MODES[fault.kind], delay_s=DELAY_S[name.partition("-")[0]])
            return
        if fault.kind is FaultKind.KILL_COORDINATOR:
            node_id = self._topics.find_coordinator(self._groups[fault.detail])
            name = name if node_id is None else f"kafka-{node_id}"
        server = self._backends.servers[name]
        match fault.kind:
            case FaultKind.FLUSH:
                self._backends.flush_redis()
            case FaultKind.PAUSE if server.is_running:
                server.pause()
            case FaultKind.PAUSE:  # it has just ended by itself
                return
            case _:
                server.kill()
                self._killed[fault] = name
