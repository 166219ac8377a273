"""Looking into a model: what it computes, why it does not learn, where its time goes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import shapes_of
from netlayers.checks import check_choice, check_integer, check_number
from netlayers.data.arrays import ArrayData
from netlayers.training.lock import refuse_elsewhere
from netlayers.training.samples import columns_in_memory, one_batch, one_input

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlayers._typing import Array, ArrayLike
    from netlayers.diagnostics.activations import ActivationHistograms
    from netlayers.diagnostics.diagnosis import Diagnosis
    from netlayers.diagnostics.surface import LossSurface
    from netlayers.diagnostics.profiling import ProfileReport
    from netlayers.trace.trace import Trace


class Inspected:
    """What looks into a model: for the class ``Model``.

    What each method needs is loaded when it is called: a fifth of the time of importing all.
    """

    def diagnose(
        self,
        x: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        batch_size: int = 32,
        verbose: int = 1,
    ) -> Diagnosis:
        """Say in plain words why the network does not learn, and what to try.

        A copy of the model looks at up to 512 rows and makes 20 updates with the compiled
        optimizer; nothing of the model, its optimizer or its random streams changes. What is looked
        for: gradients that vanish or explode, dead and saturated units, a learning rate that is too
        high or too low, inputs and targets that are not scaled, initializers that do not go with
        the activation, a loss that does not go with the last activation, labels that are constant,
        and numbers that are not finite. A diagnosis that finds nothing is no proof of health.

        Args:
            x: inputs, (n, ...), as for ``fit``; of data that come in batches, as many as needed.
            y: targets, n rows.
            sample_weight: weight of each sample.
            batch_size: samples in one update; batches of a source have their own size.
            verbose: 0 prints nothing.

        Returns:
            The findings, with their evidence.

        Raises:
            DataError, ShapeError, ConfigurationError, NotCompiledError: as ``fit``.
            BusyError: another thread trains the model.

        Source:
            X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
            networks", AISTATS 2010; K. He et al., "Delving deep into rectifiers", ICCV 2015;
            R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural
            networks", ICML 2013. The thresholds, each with its reason, are the constants of
            ``netlayers.diagnostics.diagnose_layers`` and ``diagnose_data``.

        Example:
            >>> import numpy as np, netlayers as nl
            >>> layers = [nl.layers.Dense(20, "sigmoid") for _ in range(10)]
            >>> model = nl.Sequential([*layers, nl.layers.Dense(1)], seed=0)
            >>> model.compile("adam", "mse")
            >>> x = np.random.default_rng(0).normal(size=(200, 3))
            >>> report = model.diagnose(x, x.sum(axis=1), verbose=0)
            >>> report.findings[0].illness, report.findings[0].layer
            ('vanishing gradient', 'dense')
        """
        from netlayers.diagnostics import diagnosis

        model: Any = self
        owner = "diagnose"
        size = check_integer(owner, "batch_size", batch_size, minimum=1)
        check_choice(owner, "verbose", verbose, (0, 1, 2))
        refuse_elsewhere(model, owner)
        model._require_compiled()
        trial = copy.deepcopy(model)
        enough = max(diagnosis.LOOK_ROWS, diagnosis.STEPS * size)
        columns, theirs = columns_in_memory(trial, owner, x, y, sample_weight, enough)
        rng = trial._streams.get("shuffle")
        look = next(ArrayData(columns, diagnosis.LOOK_ROWS, rng).batches())
        batches = _endless(ArrayData(columns, theirs or size, rng))
        targets: Any = columns[1].values  # type: ignore[union-attr]
        steps = trial.make_steps(shapes_of(targets))
        report = diagnosis.examine(trial, steps, batches, look, targets)
        if verbose:
            print(report, flush=True)
        return report

    def activation_histograms(self, x: Any, bins: int = 60) -> ActivationHistograms:
        """Return how the outputs of each layer are distributed for a batch, at inference.

        Args:
            x: inputs, (n, ...); of data that come in batches, the first batch is taken.
            bins: bars of each histogram.

        Returns:
            Printed, it is a table with mean, deviation, and shares of dead units and saturated
            outputs; its ``plot(to_file)`` draws the histograms.

        Raises:
            DataError, ShapeError: the input does not fit the model.

        Example:
            >>> import numpy as np, netlayers as nl
            >>> model = nl.Sequential([nl.layers.Dense(8, "relu"), nl.layers.Dense(1)], seed=0)
            >>> found = model.activation_histograms(np.ones((4, 3)))
            >>> [(a.layer, a.kind, int(a.counts.sum())) for a in found.layers]
            [('dense', 'ReLU', 32), ('dense_1', 'Dense', 4)]
        """
        from netlayers.diagnostics.activations import activation_histograms

        owner: Any = self
        count = check_integer("activation_histograms", "bins", bins, minimum=2)
        return activation_histograms(self, one_input(owner, "activation_histograms", x), count)

    def loss_surface(
        self,
        x: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        size: int = 25,
        span: float = 1.0,
        trajectory: Sequence[Array] | None = None,
        seed: int = 0,
    ) -> LossSurface:
        """Compute the loss in a plane through the weights, on a copy of the model.

        Two random directions span it, each filter of which (a column of a kernel) is as long as
        that of the weights; or, for a trajectory, its two principal directions. The loss is that of
        ``evaluate``, of all rows at once, ``size``² times.

        Args:
            x: inputs, (n, ...); of data that come in batches, the first batch is taken.
            y: targets, n rows.
            sample_weight: weight of each sample.
            size: places along each direction.
            span: how far to go: 1 is as far as the weights are long.
            trajectory: weights of a run, copies of ``model.parameters.values``.
            seed: draws the random directions.

        Returns:
            The losses; ``plot(to_file)`` draws them.

        Raises:
            ConfigurationError, DataError, ShapeError, NotCompiledError: the arguments do not fit.

        Source:
            H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein, "Visualizing the loss landscape of
            neural nets", NeurIPS 2018, sections 4 and 7.2.

        Example:
            >>> import numpy as np, netlayers as nl
            >>> model = nl.Sequential([nl.layers.Dense(1)], seed=0)
            >>> model.compile("sgd", "mse")
            >>> x = np.random.default_rng(0).normal(size=(64, 3))
            >>> surface = model.loss_surface(x, x[:, 0], size=5)
            >>> surface.loss.shape, bool(abs(surface.loss[2, 2] - model.evaluate(
            ...     x, x[:, 0], verbose=0)) < 1e-6)
            ((5, 5), True)
        """
        from netlayers.diagnostics.surface import loss_surface

        owner = "loss_surface"
        size = check_integer(owner, "size", size, minimum=2)
        span = check_number(owner, "span", span, above=0)
        seed = check_integer(owner, "seed", seed, minimum=0)
        trial: Any = copy.deepcopy(self)
        trial._require_compiled()
        trial._metrics = ()
        batch = one_batch(trial, owner, x, y, sample_weight)
        steps = trial.make_steps(shapes_of(batch.targets))
        return loss_surface(
            trial.parameters,
            lambda: steps.test(batch),
            np.random.default_rng(seed),
            size,
            span,
            trajectory,
        )

    def trace(
        self,
        x: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        digits: int = 4,
        rows: int = 6,
        columns: int = 6,
    ) -> Trace:
        """Return one training step with all its numbers: forward, loss, backward, update.

        The step is made on a copy: the model, its optimizer, statistics and random streams stay as
        they are. The numbers are those that ``train_on_batch`` would compute, to the bit.

        Args:
            x: one batch of inputs; of data that come in batches, the first is taken.
            y: its targets.
            sample_weight: weight of each sample.
            digits: significant digits of the largest number of an array; the others have as many
                decimals, and a smaller one an exponent.
            rows: most rows of an array that are shown; of more, the first and the last, with the
                smallest number, the largest, and the norm of all.
            columns: most columns that are shown.

        Returns:
            A :class:`netlayers.trace.trace.Trace`: print it, ``save("trace.html")`` it as a
            page to step through with the arrow keys, or read its arrays.

        Raises:
            DataError, ShapeError, NotCompiledError: see :meth:`fit`.
            NonFiniteError: a gradient exploded.
            BusyError: another thread trains the model.

        Example:
            >>> import netlayers as nl
            >>> model = nl.Sequential([nl.layers.Dense(1, "sigmoid", name="out")], dtype="float64")
            >>> model.compile(nl.optimizers.SGD(0.5), "mse")
            >>> model.build((None, 2))
            >>> model.set_weights([[[0.4], [0.45]], [0.6]])
            >>> trace = model.trace([[0.593, 0.597]], [[0.01]])
            >>> trace["out"].y, trace["out"].dz
            (array([[0.75135461]]), array([[0.27700101]]))
        """
        from netlayers.trace.trace import trace_step

        model: Any = self
        model._require_compiled()
        refuse_elsewhere(model, "trace")
        traced = copy.deepcopy(model)
        traced._metrics = ()
        batch = one_batch(traced, "trace", x, y, sample_weight)
        learner = traced.make_steps(shapes_of(batch.targets))
        return trace_step(learner, batch, digits=digits, rows=rows, columns=columns)

    def profile(
        self,
        x: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        steps: int = 30,
    ) -> ProfileReport:
        """Return where the time of a training step goes, by layer and operation.

        The steps are made with a copy: the model, its optimizer and its random numbers stay as they
        are. A model that is not built is built in the copy alone.

        Args:
            x: one batch of inputs, as large as in training: shares depend on its size. Of data that
                come in batches, the first is taken.
            y: its targets.
            sample_weight: weight of each sample.
            steps: how many steps are watched; times are means over the middle half of them. As many
                more are timed without watching.

        Returns:
            A :class:`netlayers.diagnostics.profiling.ProfileReport`; printed, it is a table: for each
            layer and activation its time forward and backward, without that of the parts in it, for
            ``Dense`` the operations of its matrix products too; the loss, the metrics, the
            optimizer; and how long the whole step takes when nobody watches.

        Raises:
            DataError, ShapeError, ConfigurationError, NotCompiledError: see :meth:`fit`.

        Example:
            >>> import numpy as np, netlayers as nl
            >>> layers = [nl.layers.Dense(64, activation="relu"), nl.layers.Dense(1)]
            >>> model = nl.Sequential(layers, seed=0)
            >>> model.compile("adam", "mse")
            >>> report = model.profile(np.ones((32, 16)), np.ones((32, 1)), steps=5)
            >>> [row.name for row in report.rows][:3]
            ['dense', 'dense (ReLU)', 'dense_1']
            >>> report.rows[0].flop  # 2 * 32 * 16 * 64 for x W, the same for the gradient of W
            131072
        """
        from netlayers.diagnostics.profiling import profile_steps

        check_integer("profile", "steps", steps, minimum=1)
        self._require_compiled()  # type: ignore[attr-defined]
        model: Any = copy.deepcopy(self)
        batch = one_batch(model, "profile", x, y, sample_weight)
        return profile_steps(model.make_steps(shapes_of(batch.targets)), batch, steps)


def _endless(data: ArrayData) -> Iterator[Any]:
    while True:
        yield from data.batches()
