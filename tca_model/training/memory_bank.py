"""Descriptors of earlier steps as negatives, more than fit into a batch (TCA, arXiv 2008.01334).

Letters: K places, N new keys, B anchors, D dimension.
"""

import torch
from torch import Tensor, nn

EMPTY = -1  # the id of a place without a key; videos are numbered from 0


class MemoryBank(nn.Module):
    """A ring buffer of K keys, each with the number of its video; a new key replaces the oldest.

    All state is in torch buffers, so that a checkpoint contains it and a resumed run uses the same negatives.
    """

    keys: Tensor  # (K, D), zero where empty
    ids: Tensor  # (K,) int64
    following: Tensor  # () int64, the place of the next key

    def __init__(self, size: int, dimension: int) -> None:
        """Raises ValueError without at least one place."""
        super().__init__()
        if size < 1:
            raise ValueError(f"a memory bank needs at least one place, got {size}")
        self.register_buffer("keys", torch.zeros(size, dimension))
        self.register_buffer("ids", torch.full((size,), EMPTY))
        self.register_buffer("following", torch.tensor(0))

    @torch.no_grad()
    def push(self, keys: Tensor, ids: Tensor) -> None:
        """Add keys (N, D) of videos `ids` (N,), in order; if N is more than K, the last K."""
        keys, ids = keys[-len(self.ids) :], ids[-len(self.ids) :]
        places = (self.following + torch.arange(len(ids), device=self.ids.device)) % len(self.ids)
        self.keys[places] = keys.to(self.keys)
        self.ids[places] = ids.to(self.ids)
        self.following.add_(len(ids)).remainder_(len(self.ids))

    def negatives_of(self, anchors: Tensor) -> Tensor:
        """Mask (B, K) of the keys that are negatives of anchors of videos `anchors` (B,): those of other videos."""
        return (self.ids != EMPTY) & (self.ids != anchors.unsqueeze(1))


@torch.no_grad()
def momentum_update(slow: nn.Module, fast: nn.Module, momentum: float) -> None:
    """slow = momentum * slow + (1 - momentum) * fast, for parameters and buffers (MoCo, He et al., CVPR 2020, eq. 2).

    A slow encoder keeps the keys of a bank comparable over many steps; a momentum of 0 copies. Tensors of integers (a
    count of batches) are copied. Raises ValueError if the encoders have different tensors or the momentum is outside
    [0, 1).
    """
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum must be in [0, 1), got {momentum}")
    slow_tensors, fast_tensors = slow.state_dict(), fast.state_dict()
    if slow_tensors.keys() != fast_tensors.keys():
        raise ValueError("the slow encoder has other tensors than the fast one")
    for name, tensor in slow_tensors.items():
        if tensor.is_floating_point():
            tensor.lerp_(fast_tensors[name], 1 - momentum)
        else:
            tensor.copy_(fast_tensors[name])
