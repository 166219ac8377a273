"""The loss around the weights, along two directions."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._html import shown_width
from netlayers.arrays.convert import shapes_of
from netlayers.checks import check_integer, check_list, check_number, check_seed
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.plotting.figures import png_of
from netlayers.training.samples import one_batch

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from netlayers._typing import Array, ArrayLike
    from netlayers.core.parameters import Parameters
    from netlayers.training.compilation import CompilableModel


@dataclass(frozen=True)
class LossSurface:
    """What :func:`loss_surface` computed.

    Attributes:
        a: places along the first direction; 0 is the model.
        b: places along the second direction.
        loss: the loss at each place, shape ``(len(b), len(a))``.
        directions: the two directions, each as long as ``model.parameters.values``.
        path: places of a trajectory, shape (n, 2), or ``None``.
        explained: share of the trajectory's variation along each direction, or ``None``.
    """

    a: Array
    b: Array
    loss: Array
    directions: tuple[Array, Array]
    path: Array | None = None
    explained: tuple[float, float] | None = None

    def _repr_png_(self) -> tuple[bytes, dict[str, int]] | None:
        png = png_of(self.plot)
        return None if png is None else (png, {"width": shown_width(png)})

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        a, b = len(self.a), len(self.b)
        lowest, highest = np.nanmin(self.loss), np.nanmax(self.loss)
        printer.text(f"<LossSurface of {b} × {a} losses from {lowest:.4g} to {highest:.4g}>")

    def plot(
        self, to_file: str | os.PathLike[str] | None = None, three_dimensional: bool = False
    ) -> Any:
        """Draw lines of equal loss; return the ``matplotlib.figure.Figure``.

        Between the computed places the picture shows a smooth interpolation.

        Args:
            to_file: path of a picture to write; its ending names the format (png, svg, pdf).
            three_dimensional: draw the surface beside them.

        Raises:
            ConfigurationError: matplotlib is not installed (``pip install matplotlib``), or
                no loss is finite.
        """
        from netlayers.plotting.surface import plot_surface

        return plot_surface(self, to_file, three_dimensional)


def loss_surface(
    model: CompilableModel,
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

    The plane is spanned by two random directions, each filter of which (a column of a kernel) is as
    long as that of the weights; or, for a trajectory, by its two principal directions. The loss is
    that of ``evaluate``, of all rows at once, ``size²`` times.

    Args:
        model: a compiled model.
        x: inputs, (n, ...); of data that come in batches, the first batch is taken.
        y: targets, n rows.
        sample_weight: weight of each sample.
        size: places along each direction.
        span: the largest place; at 1 the step is as long as the weights.
        trajectory: weights of a run, copies of ``model.parameters.values``.
        seed: seed of the random directions.

    Returns:
        The losses; ``plot(to_file)`` draws them.

    Raises:
        ConfigurationError, DataError, ShapeError, NotCompiledError: the arguments do not fit.

    Source:
        H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein, "Visualizing the loss landscape of neural
        nets", NeurIPS 2018, sections 4 and 7.2.

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
    owner = "loss_surface"
    size = check_integer(owner, "size", size, minimum=2)
    span = check_number(owner, "span", span, above=0)
    seed = check_seed(owner, seed)
    trial = copy.deepcopy(model)
    trial._require_compiled()
    trial._metrics = trial._weighted_metrics = ()
    batch = one_batch(trial, owner, x, y, sample_weight)
    steps = trial._make_steps(shapes_of(batch.targets))
    rng = np.random.default_rng(seed)
    return surface_around(trial.parameters, lambda: steps.test(batch), rng, size, span, trajectory)


def surface_around(
    parameters: Parameters,
    evaluate: Callable[[], float],
    rng: np.random.Generator,
    size: int,
    span: float,
    trajectory: Sequence[Array] | None = None,
) -> LossSurface:
    """Evaluate the loss on a grid around the weights; see :func:`loss_surface`.

    Args:
        parameters: the vectors of a model, whose values are changed.
        evaluate: returns the loss at these values.
        rng: draws directions.
        size: places along each direction.
        span: the largest place, where there is no trajectory.
        trajectory: weights of a run.
    """
    centre = parameters.values.copy()
    path = explained = None
    if trajectory is None:
        first, second = (filter_normalized(parameters, rng) for _ in range(2))
        a = b = np.linspace(-span, span, size)
    else:
        first, second, path, explained = principal_directions(centre, trajectory)
        a, b = (_around(path[:, i], size) for i in range(2))
    loss = np.empty((len(b), len(a)))
    with np.errstate(all="ignore"):  # far out, a loss may overflow
        for i, along_b in enumerate(b):
            for j, along_a in enumerate(a):
                parameters.values[...] = centre + along_a * first + along_b * second
                loss[i, j] = evaluate()
    parameters.values[...] = centre
    return LossSurface(a, b, loss, (first, second), path, explained)


def filter_normalized(parameters: Parameters, rng: np.random.Generator) -> Array:
    """Return a random direction, each filter of which is as long as that of the weights.

    A filter is what feeds one unit: a column of a kernel. Vectors (biases, ``gamma``, ``beta``) are
    not moved, as in the authors' program, nor is what is frozen.

    Source:
        H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein, "Visualizing the loss landscape of neural
        nets", NeurIPS 2018, section 4: ``d_ij <- d_ij / ‖d_ij‖ ‖θ_ij‖``.
    """
    direction = np.zeros(parameters.values.shape)
    for p in parameters.tensors:
        if len(p.shape) < 2:
            continue
        assert p.value is not None
        filters = rng.normal(size=p.shape).reshape(-1, p.shape[-1])
        theta = p.value.reshape(filters.shape).astype(np.float64)
        filters *= np.linalg.norm(theta, axis=0) / np.linalg.norm(filters, axis=0)
        direction[p.slice] = filters.reshape(-1)
    return direction


def principal_directions(
    centre: Array, trajectory: Sequence[Array]
) -> tuple[Array, Array, Array, tuple[float, float]]:
    """Return two unit directions, the places of the trajectory along them, and their shares.

    The directions are the first two principal components of the weights' differences from the last
    ones (Li et al. 2018, section 7.2).

    Raises:
        ConfigurationError, ShapeError: the trajectory spans no plane, or is of other weights.
    """
    owner = "loss_surface"
    trajectory = check_list(owner, "trajectory", trajectory, "weights")
    if len(trajectory) < 2:
        raise ConfigurationError(f"{owner}: a trajectory needs at least 2 weights before the last.")
    for i, weights in enumerate(trajectory):
        if np.shape(weights) != centre.shape:
            raise ShapeError(
                f"{owner}: trajectory[{i}] has the shape {np.shape(weights)}, expected "
                f"{centre.shape}: copies of model.parameters.values."
            )
    difference = np.array(trajectory, np.float64) - centre
    _, sizes, rows = np.linalg.svd(difference, full_matrices=False)
    if not sizes[1] > 10 * np.finfo(centre.dtype).eps * sizes[0]:  # more than rounding
        raise ConfigurationError(f"{owner}: the trajectory lies on a line; it must span a plane.")
    share = sizes**2 / np.sum(sizes**2)
    path = difference @ rows[:2].T
    return rows[0], rows[1], path, (float(share[0]), float(share[1]))


def _around(places: Array, size: int) -> Array:
    low, high = min(float(places.min()), 0.0), max(float(places.max()), 0.0)
    margin = 0.15 * (high - low)
    return np.linspace(low - margin, high + margin, size)
