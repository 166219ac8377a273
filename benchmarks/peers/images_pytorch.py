"""PyTorch: the convolutional networks, in its own layout and with the channels last."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.cases import BN_EPSILON, BN_MOMENTUM
from benchmarks.images import ImageCase, Weights, build

POOLS = {"max": torch.nn.MaxPool2d, "mean": torch.nn.AvgPool2d}


class ImageNetwork(torch.nn.Module):
    """A convolutional network with the weights of a case."""

    def __init__(self, case: ImageCase, seed: int = 0) -> None:
        super().__init__()
        self.case, self.parts = case, torch.nn.ModuleList()
        self.draw, self.rank = Weights(seed), len(case.shape) - 1
        x = torch.zeros(2, case.shape[-1], *case.shape[:-1])
        build(case.layers, x, self._create, torch.add)

    def _create(self, layer: tuple[Any, ...], normed: bool, x: Any) -> Any:
        """Make a module and return its output."""
        kind, *numbers = layer
        made: Any
        if kind in ("conv", "depthwise"):
            made = self._convolution(kind, numbers, normed, x.shape[1])
        elif kind == "dense":
            made = torch.nn.Linear(x.shape[1], *numbers)
            with torch.no_grad():
                made.weight.copy_(torch.from_numpy(self.draw(x.shape[1], *numbers).T))
                made.bias.zero_()
        elif kind == "norm":
            norm = torch.nn.BatchNorm1d if self.rank == 1 else torch.nn.BatchNorm2d
            made = norm(x.shape[1], BN_EPSILON, 1 - BN_MOMENTUM)
        elif kind in POOLS:
            made = POOLS[kind](*numbers)
        elif kind == "dropout":
            made = torch.nn.Dropout(self.case.dropout)
        else:
            made = {
                "relu": torch.nn.ReLU,
                "tanh": torch.nn.Tanh,
                "flatten": Flatten,
                "global": Global,
            }[kind]()
        self.parts.append(made)
        return made(x)

    def _convolution(self, kind: str, numbers: Any, normed: bool, channels: int) -> Any:
        module = torch.nn.Conv1d if self.rank == 1 else torch.nn.Conv2d
        if kind == "conv":
            filters, kernel, stride, dilation, padding = numbers
            groups, outputs = 1, (channels, filters)
        else:
            (kernel, stride), dilation, padding = numbers, 1, "same"
            filters, groups, outputs = channels, channels, (channels, 1)
        reach = (kernel - 1) * dilation
        pads: Any = 0
        if padding == "same":
            pads = "same" if stride == 1 else reach // 2
        made = module(channels, filters, kernel, stride, pads, dilation, groups, bias=not normed)
        w = torch.from_numpy(self.draw(*[kernel] * self.rank, *outputs))
        w = torch.movedim(w, (-1, -2), (0, 1)) if groups == 1 else torch.movedim(w, -2, 0)
        w = w if groups == 1 else torch.movedim(w, -1, 1)
        with torch.no_grad():
            made.weight.copy_(w)
            if not normed:
                made.bias.zero_()
        if padding == "same" and stride > 1:  # zeros as Keras puts them: more behind than before
            made.padding = (0,) * self.rank
            return torch.nn.Sequential(Padded(reach, stride, self.rank), made)
        return made

    def forward(self, x: Any) -> Any:
        """Return the logits."""
        parts = iter(self.parts)
        return build(self.case.layers, x, lambda layer, normed, h: next(parts)(h), torch.add)


class Padded(torch.nn.Module):
    """Adds the zeros of padding ``"same"`` with a stride."""

    def __init__(self, reach: int, stride: int, rank: int) -> None:
        super().__init__()
        self.reach, self.stride, self.rank = reach, stride, rank

    def forward(self, x: Any) -> Any:
        """Return x with zeros."""
        pads: list[int] = []
        for size in reversed(x.shape[-self.rank :]):
            more = max(0, (-(-size // self.stride) - 1) * self.stride + self.reach + 1 - size)
            pads += [more // 2, more - more // 2]
        return torch.nn.functional.pad(x, pads) if any(pads) else x


class Global(torch.nn.Module):
    """The mean of each channel."""

    def forward(self, x: Any) -> Any:
        """Return (batch, channels)."""
        return x.mean(dim=tuple(range(2, x.dim())))


class Flatten(torch.nn.Module):
    """Flattens as with the channels last, so that the weights are those of the others."""

    def forward(self, x: Any) -> Any:
        """Return (batch, all others)."""
        return torch.movedim(x, 1, -1).flatten(1)


def make_image_model(case: ImageCase, way: str, seed: int = 0) -> Any:
    """Return the network; ``way`` is ``"channels_last"`` or that of a trainer."""
    torch.manual_seed(seed)
    model = ImageNetwork(case, seed)
    if "last" in way and len(case.shape) == 3:
        model = model.to(memory_format=torch.channels_last)
    return model


def image_input(case: ImageCase, way: str, x: np.ndarray) -> Any:
    """Return a batch in PyTorch's order of the axes, in the memory order of ``way``."""
    moved = torch.movedim(torch.from_numpy(x), -1, 1)
    if "last" in way and len(case.shape) == 3:
        return moved.contiguous(memory_format=torch.channels_last)
    return moved.contiguous()
