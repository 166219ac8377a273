"""PyTorch: eager, and with ``torch.compile``; fused optimizers, gradients set to ``None``.

PyTorch's Adam adds epsilon after the bias correction, Keras and netlayers add it before; with 10⁻⁷
the losses differ only in the last digits.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sized
from typing import Any

import numpy as np
import torch

from benchmarks.cases import (
    BETA_1,
    BETA_2,
    BN_EPSILON,
    BN_MOMENTUM,
    CLIP,
    EPSILON,
    MOMENTUM,
    RATE,
    SGD_RATE,
    Case,
    apply,
    data,
    inputs,
    weights,
)
from benchmarks.images import ImageCase, image_data
from benchmarks.peers import READY
from benchmarks.peers.images_pytorch import image_input, make_image_model
from benchmarks.peers.sequences_pytorch import ConvNetwork, SequenceNetwork, make_stream
from benchmarks.sequences import SequenceCase, sequence_data

KINDS = {"sigmoid": torch.nn.Sigmoid, "relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}


class Graph(torch.nn.Module):
    """A residual network, or two towers."""

    def __init__(self, case: Case, seed: int) -> None:
        super().__init__()
        self.case, self.dense = case, torch.nn.ModuleList()
        self.activation = KINDS[case.activation]()
        for w, b in weights(case, seed):
            linear = torch.nn.Linear(*w.shape)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(w.T))
                linear.bias.copy_(torch.from_numpy(b))
            self.dense.append(linear)

    def forward(self, *xs: Any) -> Any:
        """Return the output."""

        def dense(i: int, h: Any) -> Any:
            h = self.dense[i](h)
            return self.activation(h) if self.case.activated(i) else h

        return apply(self.case, dense, xs, lambda parts: torch.cat(parts, dim=-1))


def make_model(case: Case, seed: int = 0) -> Any:
    """Return the modules with the weights of the case; PyTorch stores W transposed."""
    torch.manual_seed(seed)
    if case.form != "chain":
        return Graph(case, seed)
    modules: list[Any] = []
    first = weights(case, seed)
    for i, (n, m) in enumerate(itertools.pairwise(case.sizes)):
        last = i == len(case.sizes) - 2
        norm = case.normalized and not last
        linear = torch.nn.Linear(n, m, bias=not norm)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(first[i][0].T))
            if not norm:
                linear.bias.copy_(torch.from_numpy(first[i][1]))
        modules.append(linear)
        if norm:
            modules.append(torch.nn.BatchNorm1d(m, BN_EPSILON, 1 - BN_MOMENTUM))
        if case.activated(i):
            modules.append(KINDS[case.activation]())
        if case.dropout and not last:
            modules.append(torch.nn.Dropout(case.dropout))
    return torch.nn.Sequential(*modules)


def make_optimizer(case: Case | ImageCase | SequenceCase, model: Any) -> Any:
    """Return the fused optimizer."""
    p = model.parameters()
    if case.optimizer == "adam":
        rate = getattr(case, "rate", RATE)
        return torch.optim.Adam(p, rate, (BETA_1, BETA_2), EPSILON, fused=True)
    momentum = MOMENTUM if case.optimizer == "momentum" else 0
    return torch.optim.SGD(p, SGD_RATE, momentum=momentum, fused=True)


class Trainer:
    """Runs training steps."""

    def __init__(self, case: Case | ImageCase | SequenceCase, way: str = "") -> None:
        if isinstance(case, ImageCase):
            x, y = image_data(case)
            xs, model = [image_input(case, way, x)], make_image_model(case, way)
        elif isinstance(case, SequenceCase):
            x, y = sequence_data(case)
            network = ConvNetwork if case.places else SequenceNetwork
            xs, model = [torch.from_numpy(x)], network(case)
        elif "last" in way:
            raise NotImplementedError("the order of the axes of images")
        else:
            x, y = data(case)
            xs, model = [torch.from_numpy(part) for part in inputs(case, x)], make_model(case)
        y = torch.from_numpy(y)
        loss = torch.nn.CrossEntropyLoss() if case.loss == "crossentropy" else torch.nn.MSELoss()
        optimizer = make_optimizer(case, model)
        parameters = list(model.parameters())

        def forward() -> Any:
            return loss(model(*xs), y)

        if "compile" in way:
            forward = torch.compile(forward, fullgraph=True)

        def step() -> Any:
            optimizer.zero_grad(set_to_none=True)
            value = forward()
            value.backward()
            if case.optimizer == "momentum":
                torch.nn.utils.clip_grad_norm_(parameters, CLIP)
            optimizer.step()
            return value

        self.step, self.forward = step, forward

    def value(self, result: Any) -> float:
        """Return the loss of a step."""
        return float(result.detach())

    def wait(self) -> None:
        """Return at once: steps are synchronous."""


def predictor(case: Case, way: str = "") -> Callable[[np.ndarray], np.ndarray]:
    """Return the network in inference mode."""
    model = make_model(case).eval()
    if way == "compile":
        model = torch.compile(model)

    def predict(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(x)).numpy()

    return predict


def stream(kind: str, inputs: int, units: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a layer in inference mode that keeps its state."""
    return make_stream(kind, inputs, units)


class SharedOrder(torch.utils.data.Sampler):
    """The order of the samples that all explicit loops share."""

    def __init__(self, recipe: Any, rows: Sized) -> None:
        self.recipe, self.count, self.epoch = recipe, len(rows), 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        return iter(self.recipe.order(self.epoch, self.count).tolist())


def job(recipe: Any, tell: Callable[[float], None]) -> None:
    """Train with a DataLoader, or (``hand``, ``compile``) with explicit batches."""
    case, way = recipe.case, recipe.way
    model = make_model(case, recipe.seed)
    optimizer, loss = make_optimizer(case, model), torch.nn.CrossEntropyLoss()
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda e: recipe.rate(e) / RATE)
    x, y, x_test, y_test = (torch.from_numpy(v) for v in recipe.arrays())

    def compute(bx: Any, by: Any) -> Any:
        return loss(model(bx), by)

    if way == "compile":  # compiled separately for the two batch sizes
        compute = torch.compile(compute, dynamic=False)
    order = SharedOrder(recipe, x)
    loader = None
    if way == "loader":
        loader = torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(x, y), batch_size=case.batch, sampler=order
        )
    tell(READY)

    def batches(epoch: int) -> Iterator[Any]:
        for part in torch.from_numpy(recipe.order(epoch, len(x))).split(case.batch):
            yield x[part], y[part]

    for epoch in range(recipe.epochs):
        model.train()
        order.epoch = epoch
        for bx, by in batches(epoch) if loader is None else loader:
            optimizer.zero_grad(set_to_none=True)
            compute(bx, by).backward()
            optimizer.step()
        schedule.step()
        model.eval()
        with torch.inference_mode():
            tell((model(x_test).argmax(dim=1) == y_test).float().mean())


trainer = Trainer
