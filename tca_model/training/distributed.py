"""One training over several processes, as torchrun starts them, or in a single process with a count of 1."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True, slots=True)
class Processes:
    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes checkpoints, logs and the result."""
        return self.rank == 0

    def share(self, items: int) -> range:
        """The indices of this process's share of `items`. Raises ValueError if they cannot be shared evenly."""
        if items % self.count:
            raise ValueError(f"{items} shards of a batch cannot be shared by {self.count} processes evenly")
        each = items // self.count
        return range(self.rank * each, (self.rank + 1) * each)

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module with its gradients averaged over all processes."""
        return DistributedDataParallel(module) if self.count > 1 else module

    def gather(self, local: Tensor) -> Tensor:
        """The rows of all processes, in order of rank; gradients flow back to the process of each row."""
        return torch.cat(list(all_gather(local))) if self.count > 1 else local  # type: ignore[no-untyped-call]

    def mean(self, value: Tensor) -> float:
        """The mean of a number over all processes, the same in each: a NaN in one process stops all."""
        value = value.detach().clone()
        if self.count > 1:
            dist.all_reduce(value)
        return float(value) / self.count

    def agree(self, decision: bool) -> bool:
        """The decision of the first process, in all processes."""
        decisions: list[object] = [decision]
        if self.count > 1:
            dist.broadcast_object_list(decisions, device=self.device)
        return bool(decisions[0])

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.count > 1:
            dist.barrier()


ALONE = Processes(0, 1, torch.device("cpu"))


@contextmanager
def join_processes() -> Iterator[Processes]:
    """Join the processes that torchrun started: one per GPU with NCCL, otherwise on the CPU with gloo."""
    on_gpu = torch.cuda.is_available()
    if not dist.is_torchelastic_launched():
        yield Processes(0, 1, torch.device("cuda" if on_gpu else "cpu"))
        return
    device = torch.device("cuda", dist.get_node_local_rank()) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(device)  # otherwise every process's NCCL uses the first GPU
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size(), device)
    finally:
        dist.destroy_process_group()
