"""Distributed training: PyTorch's process group, started by torchrun; a single process without
it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_gather

from lpw_toolkit.errors import LpwError
from rqen.data.batches import Shard


@dataclass(frozen=True)
class ProcessGroup:
    """This process among those that train together.

    Attributes:
        share: its part of every batch.
        device: where it computes.
    """

    share: Shard
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes and prints."""
        return self.share.rank == 0

    @property
    def is_alone(self) -> bool:
        """Whether there is no other."""
        return self.share.n == 1

    def join(self, network: nn.Module) -> nn.Module:
        """The network, whose gradients are averaged over all processes."""
        if self.is_alone:
            return network
        devices = [self.device] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(
            network, device_ids=devices, broadcast_buffers=False
        )

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all processes, in their order; gradients flow back to each."""
        return torch.cat(all_gather(rows.contiguous()))

    def wait(self) -> None:
        """Returns when all have come here."""
        if not self.is_alone:
            distributed.barrier()


@contextmanager
def open_process_group() -> Iterator[ProcessGroup]:
    """The processes that torchrun started, or this process alone; on a GPU where there is one.

    Errors: LpwError for an environment that torchrun did not make.
    """
    n = os.environ.get("WORLD_SIZE", "1")
    cuda = torch.cuda.is_available()
    if n == "1":
        yield ProcessGroup(Shard(), torch.device("cuda" if cuda else "cpu"))
        return
    try:
        rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    except (KeyError, ValueError) as error:
        got = f"WORLD_SIZE {n} without a RANK"
        raise LpwError(
            "processes", got, "the environment of torchrun", "start with torchrun -m lpw_cli train"
        ) from error
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield ProcessGroup(Shard(rank, int(n)), device)
    finally:
        distributed.destroy_process_group()
