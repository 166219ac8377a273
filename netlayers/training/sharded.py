"""Steps that compute a batch in shards, in one or several processes, with the same bits."""

from __future__ import annotations

import hashlib
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.core.buffers import BufferCopies
from netlayers.core.calls import generators_of
from netlayers.core.gradients import RowGradient
from netlayers.core.parameters import rows_of
from netlayers.distribution.tree import sum_of
from netlayers.errors import ConfigurationError
from netlayers.kernels.threads import one_thread
from netlayers.random import KeyedGenerator, KeyedStreams
from netlayers.training.states_of_shards import StatesOfShards
from netlayers.training.step import Steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array
    from netlayers.core.parameters import Parameter
    from netlayers.data.batch import Batch
    from netlayers.distribution import DataParallel
    from netlayers.distribution.processes import VectorSum
    from netlayers.distribution.tree import Node
    from netlayers.layers.network import Network
    from netlayers.losses import Loss
    from netlayers.losses.running import RunningLoss
    from netlayers.optimizers import Optimizer
    from netlayers.training.measuring import MetricGroup
    from netlayers.training.signals import Interrupts

COMPARE_EVERY = 100  # updates between two comparisons of the weights


class ShardedSteps(Steps):
    """Computes the shards of a batch one after the other, and adds up what they give.

    The gradient of a batch is ``Σ dₛ gₛ / Σ dₛ``, where ``gₛ`` is the gradient of the loss of a
    shard, and ``dₛ`` its denominator. Loss, running statistics and metrics of the shards are added
    up in the same order, so every process then has the same numbers, and makes the same update.

    Each layer computes with the rows of a shard: ``BatchNormalization`` normalizes by their
    moments, and its running averages are the means of those over the shards, weighted by rows.

    Args:
        model, optimizer, loss, groups, fused: see :class:`Steps`.
        distribution: the shards and the processes.

    Attributes:
        interrupts: the signals of a run, on which all processes act after the same step.

    Raises:
        ConfigurationError: something in the model cannot be computed in shards.
    """

    def __init__(
        self,
        model: Network,
        optimizer: Optimizer,
        loss: Loss,
        groups: Sequence[MetricGroup],
        fused: bool,
        distribution: DataParallel,
    ) -> None:
        super().__init__(model, optimizer, loss, groups, fused)
        self.distribution, self.processes = distribution, distribution.processes
        self._measured, self._groups = self._groups, []
        self._buffers, self._states = BufferCopies(model), StatesOfShards(model)
        self._streams, self._generators = _keyed_streams(model)
        self._use_generators()
        self._sum: VectorSum | None = None
        self._summed_by: list[range] = []  # the shards of each process that it adds up
        self.interrupts: Interrupts | None = None
        _check_model(model)

    def compute_gradients(
        self, batch: Batch, input_gradient: bool = False, accumulate: bool = True
    ) -> float:
        """Compute the gradients of the shards of this process, and add up those of all.

        Gradients that the optimizer does not use are those of the batch as a whole.

        Raises:
            ConfigurationError: the losses of shards do not add up to that of the batch.
        """
        if input_gradient or not accumulate:
            return super().compute_gradients(batch, input_gradient, accumulate)
        optimizer, parameters = self.optimizer, self.model.parameters
        self._parameters = parameters
        if self._changes or self._snapshot is not None:
            self._take_snapshot()
        counters = optimizer.iterations, optimizer.skipped, optimizer.accumulated
        self._counters = (*counters, optimizer.denominators)
        if optimizer.iterations % COMPARE_EVERY == 0:
            self.compare_weights()
        self._prepare_sum(parameters.gradients)
        with one_thread():
            self._loss, weight = self._run_shards(batch, training=True)
            self._add_up(parameters, 1.0 if self._summed else weight)
        self.distribution.after_step(self._seconds)
        accumulates = (optimizer.gradient_accumulation_steps or 1) > 1
        self._denominator = (0.0 if self._summed else weight) if accumulates else None
        if parameters.regularized and not accumulates:
            parameters.add_regularization_gradients(self._workspace)
        return self._loss

    def test(self, batch: Batch) -> float:
        """Return the loss of one batch, and add it to the sums."""
        with one_thread():
            return self._run_shards(batch, training=False)[0]

    # Shards ----------------------------------------------------------------------------------

    def _run_shards(self, batch: Batch, training: bool) -> tuple[float, float]:
        """Run the shards of this process; return the loss of the batch, and its denominator."""
        parameters, optimizer = self.model.parameters, self.optimizer
        step = (optimizer.iterations + optimizer.skipped) * (
            optimizer.gradient_accumulation_steps or 1
        ) + optimizer.accumulated
        before, self._recorder = self._take_sums(), _Recorder()
        if training:
            self._buffers.take()
            self._rows_of_shards: dict[int, dict[Node, RowGradient]] = {
                id(p): {} for p in parameters.tensors if p.row_gradient
            }
        found: list[tuple[list[float], list[Any], list[Array], list[Array]]] = []
        self._groups = [self._recorder] if self._measured else []  # type: ignore[list-item]
        self._use_generators()
        rows, begin = getattr(batch, "whole", batch.size), time.perf_counter()
        with self._states.of_batch(rows):
            for shard, place, part in self.distribution.parts_of(batch):
                for streams in self._streams:
                    streams.rekey(step, shard)
                if training:
                    self._buffers.restore()
                self._states.enter(place)
                if part.size:
                    self._forward(part, parameters, training)
                if training:
                    self._backward(part, parameters, shard)
                share = part.size / rows
                moments = [share * np.asarray(a, np.float64) for a in self._statistics()]
                moments = moments if training else []
                found.append(
                    (self._take_sums(), self._recorder.take(), moments, self._states.taken(place))
                )
        self._groups, seconds = [], time.perf_counter() - begin
        return self._report(found, before, training, seconds, rows)

    def _use_generators(self) -> None:
        for layer, generator in self._generators:
            layer.rng = generator

    def _prepare_sum(self, gradients: Array) -> None:
        """Have what adds up the gradients, for the shards that each process has now."""
        its, total = self.distribution, self._sum
        if total is None or total.size != gradients.size or self._summed_by != its.owned:
            if total is not None:
                total.close()
            self._sum = self.processes.summing(
                gradients.size, gradients.dtype, its.owned, its.shards
            )
            self._summed_by = its.owned

    def _backward(self, part: Batch, parameters: Any, shard: int) -> None:
        """Run backward for a shard, and keep ``d g``."""
        weight, gradients = 0.0, parameters.gradients
        if part.size:
            weight = 1.0 if self._summed else self._weight
            if self._penalties_now or not getattr(self.loss, "is_quotient", True):
                self._check_shards(part.size)
            dy = self.loss.backward()
            if self.fused:
                self.model._backward_logits(dy, input_gradient=False)
            else:
                self.model.backward(dy, input_gradient=False)
        else:
            gradients.fill(0)
        with np.errstate(all="ignore"):  # non-finite gradients are found in the sum
            self._sum.add(gradients, weight)  # type: ignore[union-attr]
        for p in parameters.tensors:
            if p.row_gradient:
                kept = RowGradient(p.shape, p.dtype)
                if part.size:
                    kept.set(rows_of(p).rows, rows_of(p).values * np.asarray(weight, p.dtype))
                self._rows_of_shards[id(p)][shard, shard + 1] = kept

    def _add_up(self, parameters: Any, weight: float) -> None:
        """Set the gradients to the sum over all shards, divided by the denominator."""
        assert self._sum is not None
        factor = np.asarray(1.0 / weight if weight else 1.0, parameters.dtype)
        with np.errstate(all="ignore"):
            self._sum.result(parameters.gradients)
            np.multiply(parameters.gradients, factor, out=parameters.gradients)
        for p in parameters.tensors:
            if p.row_gradient:
                self._add_up_rows(p, factor)

    def _add_up_rows(self, p: Parameter, factor: Array) -> None:
        known: dict[Node, RowGradient] = {}
        for its in self.processes.gather(self._rows_of_shards[id(p)], "a training step"):
            known |= its
        total = sum_of((0, self.distribution.shards), known, _add_rows)
        gradient = rows_of(p)
        gradient.rows, gradient.values = total.rows, total.values * factor

    def _check_shards(self, size: int) -> None:
        """Check that the losses of shards add up to that of the batch.

        Raises:
            ConfigurationError: they do not.
        """
        loss = self.loss
        name = getattr(loss, "name", type(loss).__name__)
        if not getattr(loss, "is_quotient", True):
            raise ConfigurationError(
                f"DataParallel: the loss {name!r} of a batch is not that of its shards added up: "
                f"{getattr(loss, 'no_quotient', 'it is no sum over samples')}. Use another loss, "
                "or train without a distribution."
            )
        if not math.isclose(self._weight, size):
            raise ConfigurationError(
                "DataParallel: the model has penalties on activations, which are means over rows, "
                f"but the loss {name!r} is not divided by their number: leave out what makes it "
                "so, several losses for a row, sample weights, ignore_class, mask_nan or reduction."
            )

    # What all processes must know --------------------------------------------------------------

    def _report(
        self, found: list[Any], before: list[float], training: bool, seconds: float, rows: int
    ) -> tuple[float, float]:
        """Add up losses, statistics and metrics; return the loss, and its denominator."""
        signal = self.interrupts and self.interrupts.pending
        what = "a training step" if training else "an evaluation"
        gathered = self.processes.gather((found, signal, seconds), f"{what} of {rows} rows")
        if self.interrupts is not None:
            self.interrupts.agree([number for _, number, _ in gathered if number])
        self._seconds = [its for _, _, its in gathered]
        every = [its for those, _, _ in gathered for its in those]
        shards = self.distribution.shards
        known = {(i, i + 1): np.array(its[0]) for i, its in enumerate(every)}
        totals = sum_of((0, shards), known, np.add).tolist()
        self._set_sums(totals)
        metrics, self.metrics = self.metrics, {}
        value, weight = self.logs()["loss"], self._weight
        self.metrics = metrics
        self._set_sums([a + b for a, b in zip(before, totals, strict=True)])
        if training:
            for i, array in enumerate(self._statistics()):
                moments = {(k, k + 1): its[2][i] for k, its in enumerate(every)}
                array[...] = sum_of((0, shards), moments, np.add)
        self._states.join([its[3] for its in every])
        for _, calls, _, _ in every:
            for arguments in calls:
                for group in self._measured:
                    group.update(*arguments)
        return value, weight

    def _statistics(self) -> list[Array]:
        """Return the running statistics: those of the model's dtype, and others with fractions."""
        parameters = self.model.parameters
        own: list[Any] = [p.value for p in parameters.all if p.own_dtype is not None]
        return [parameters.statistics, *(a for a in own if a.dtype.kind == "f")]

    def _losses(self) -> list[RunningLoss]:
        found, waiting = [], list(self._parts.values())
        while waiting:
            its = waiting.pop(0)
            waiting += its.parts
            found += [] if its.parts else [its]
        return found

    def _take_sums(self) -> list[float]:
        """Return the sums of the losses, and set them to 0."""
        sums = [self._total, self._weight, self._penalties, self._rows]
        for its in self._losses():
            sums += [its._total, its._weight]
        self._set_sums([0.0] * len(sums))
        return sums

    def _set_sums(self, sums: list[float]) -> None:
        self._total, self._weight, self._penalties = sums[:3]
        self._rows = int(sums[3])
        for i, its in enumerate(self._losses()):
            its._total, its._weight = sums[4 + 2 * i : 6 + 2 * i]

    def compare_weights(self) -> None:
        """Compare the weights of all processes: now and then, and at the end of a run.

        Raises:
            RuntimeError: they differ.
        """
        if self.processes.size == 1:
            return
        mine = hashlib.blake2b(self.model.parameters.values.tobytes(), digest_size=16).hexdigest()
        if len(set(self.processes.gather(mine, "a comparison of the weights"))) > 1:
            raise RuntimeError(
                f"DataParallel: after update {self.optimizer.iterations} the weights of the "
                "processes differ. Something outside of the training changed those of some: a "
                "callback or set_weights that runs in one process alone."
            )


class _Recorder:
    """Takes the place of the metrics, and keeps copies of what they are given."""

    def __init__(self) -> None:
        self._calls: list[Any] = []

    def update(self, *arguments: Any) -> None:
        """Keep a copy."""
        self._calls.append(_copied(arguments))

    def take(self) -> list[Any]:
        """Return the calls since the last one."""
        calls, self._calls = self._calls, []
        return calls


def _copied(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return tuple(map(_copied, value))
    return value.copy() if isinstance(value, np.ndarray) else value


def _add_rows(a: RowGradient, b: RowGradient) -> RowGradient:
    total = RowGradient(a.shape, a.dtype)
    total.rows, total.values = a.rows, a.values
    if len(b.rows):
        total.add(b.rows, b.values)
    return total


def _keyed_streams(model: Any) -> tuple[list[KeyedStreams], list[tuple[Any, Any]]]:
    """Return streams whose numbers depend on step and shard alone, and the generator of each layer.

    Further calls of a layer get theirs here; that of a layer may also belong to another model.
    """
    streams, generators = [KeyedStreams(model._streams.entropy)], []
    model._use_streams(streams[0])
    for layer in model._flatten_layers():
        if layer.random:
            seed, its = getattr(layer, "seed", None), streams[0]
            if seed is not None:
                its = KeyedStreams(seed)
                streams.append(its)
            generators.append((layer, its.get(f"layer/{layer.path}")))
    return streams, generators


def _check_model(model: Any) -> None:
    """Check that a model can be computed in shards.

    Raises:
        ConfigurationError: a layer draws from a generator of its own.
    """
    layers = list(model._flatten_layers())
    for name, generator in generators_of(model).items():
        if not isinstance(generator, KeyedGenerator):
            layer = layers[int(name.partition(".")[0])]
            raise ConfigurationError(
                f"DataParallel: {layer.owner} draws from a generator of its own "
                f"({name.partition('.')[2]}), whose numbers would depend on how many shards a "
                "process computes; set random = True in its class and draw from self.rng."
            )
