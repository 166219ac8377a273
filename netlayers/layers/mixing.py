"""Images, and their labels, that are mixed with those of other samples in training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_number
from netlayers.errors import ConfigurationError, DataError, ShapeError
from netlayers.layers.augmentation import Augmentation, bounds, check_range
from netlayers.layers.boxes import area, draw_boxes
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples


class Mixing(Augmentation):
    """Base class of layers that mix each sample with another one of the batch."""

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Array:
        """``w t_i + (1 - w) t_j`` for the labels t of sample i and its partner j.

        Raises:
            ShapeError: the labels are classes rather than one-hot rows.
        """
        labels = np.asarray(labels)
        if labels.ndim < 2:
            raise ShapeError(
                f"{self.owner} ({type(self).__name__}): labels are mixed, so they must be rows "
                f"such as one-hot ones, got the shape {labels.shape}. Encode classes with "
                "nl.utils.to_categorical(labels, num_classes)."
            )
        return self._mixed(labels, transformation) if training else labels.copy()

    def _mixed(self, values: Array, drawn: dict[str, Any]) -> Array:
        """``w v_i + (1 - w) v_j`` for the values v of sample i and its partner j."""
        weight = np.reshape(drawn["mix_weight"], (-1,) + (1,) * (values.ndim - 1))
        weight = weight.astype(self._dtype)
        others = values[np.asarray(drawn["permutation_order"])]
        mixed: Array = weight * values + (1 - weight) * others
        return mixed


@register("layer")
class MixUp(Mixing):
    """Mix each image with another one of the batch, and their labels, in training.

    ``y_i = w_i x_i + (1 - w_i) x_j``, where j is the partner of i in a random permutation and w is
    drawn from the distribution Beta(alpha, alpha). Labels and segmentation masks are mixed with the
    same weights.

    A layer of a model sees no labels. Call it with a dict of images and one-hot labels where the
    batches are made, as in the example; as a layer of a model it mixes the images alone, which
    suits targets that do not follow from the image.

    Shapes: (batch, height, width, channels); the output has the shape of the input; labels (batch,
    classes). The values of the images may be uint8; the output is float.

    Args:
        alpha: parameter of the distribution, above 0; small ones leave most images nearly as they
            are.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        seed: see :class:`RandomFlip`.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        H. Zhang et al., "mixup: Beyond empirical risk minimization" (2018), equation 1.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> mix = nl.layers.MixUp(alpha=0.4, seed=0)
        >>> x, t = np.zeros((4, 2, 2, 1)), nl.utils.to_categorical([0, 1, 1, 0], 2)
        >>> mixed = mix({"images": x, "labels": t})
        >>> mixed["images"].shape, mixed["labels"].sum(axis=1).tolist()
        ((4, 2, 2, 1), [1.0, 1.0, 1.0, 1.0])

        The batches of ``fit``:

        >>> def batches(x, t):
        ...     for i in range(0, len(x), 2):
        ...         mixed = mix({"images": x[i : i + 2], "labels": t[i : i + 2]})
        ...         yield mixed["images"], mixed["labels"]
        >>> sum(len(images) for images, labels in batches(x, t))
        4
    """

    arguments_without_effect = ("data_format",)

    def __init__(
        self,
        alpha: float = 0.2,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.alpha = check_number("MixUp", "alpha", alpha, minimum=0)
        if not self.alpha:
            raise ConfigurationError(f"MixUp: alpha must be above 0, got {alpha!r}.")
        self._set_data_format(data_format)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, (4, 2, 3, 2)),
            ({"alpha": 1.0, "seed": 3, "data_format": "channels_first"}, (4, 2, 2, 3)),
        ]

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        order = rng.permutation(shape[0])
        return {
            "mix_weight": rng.beta(self.alpha, self.alpha, shape[0]),
            "permutation_order": order,
        }

    def _partners(self, drawn: dict[str, Any], count: int) -> list[tuple[int, int, float]]:
        """Return each sample, its partner, and its weight."""
        weights = np.broadcast_to(np.reshape(drawn["mix_weight"], -1), count)
        return list(zip(range(count), drawn["permutation_order"], weights.tolist(), strict=True))

    def _transformed(self, x: Array, drawn: dict[str, Any]) -> Array:
        """``y_i = w_i x_i + (1 - w_i) x_j``."""
        y, term = self.workspace("y", x.shape, self._dtype), self.buffer("term", x.shape[1:])
        for i, j, w in self._partners(drawn, len(x)):
            np.multiply(x[i], w, out=y[i])
            y[i] += np.multiply(x[j], 1 - w, out=term)
        return y

    def backward(self, dy: Array) -> Array:
        """``dx_i = w_i dy_i + (1 - w_k) dy_k``, where i is the partner of k."""
        dy = self.check_gradient(dy, self.cache.shape)
        dx, term = self.workspace("dx", dy.shape, self._dtype), self.buffer("term", dy.shape[1:])
        dx.fill(0)
        for i, j, w in self._partners(self.cache.drawn, len(dy)):
            dx[i] += np.multiply(dy[i], w, out=term)
            dx[j] += np.multiply(dy[i], 1 - w, out=term)
        return dx

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Array:
        """``w m_i + (1 - w) m_j`` for masks m, as ``transformation`` mixes the images.

        Raises:
            DataError: the masks hold classes rather than shares such as one-hot ones.
        """
        masks = np.asarray(segmentation_masks)
        if masks.size and not 0 <= masks.min() <= masks.max() <= 1:
            raise DataError(
                f"{self.owner} (MixUp): segmentation_masks are mixed, so they must hold shares "
                f"from 0 to 1, got values from {masks.min()} to {masks.max()}. Encode classes with "
                "nl.utils.to_categorical(masks, num_classes)."
            )
        return self._mixed(masks, transformation) if training else masks.copy()


@register("layer")
class CutMix(Mixing):
    """Replace a rectangle of each image by that of another one, and mix their labels, in training.

    The rectangle has ``√(1 - v)`` of the height and the width, with v from Beta(a, a), a drawn for
    each batch between the bounds of ``factor``. The label of the image counts by the share of the
    pixels that it keeps; segmentation masks get the rectangle of those of the other image.

    A layer of a model sees no labels: call it with a dict of images and one-hot labels where the
    batches are made, see :class:`MixUp`.

    Shapes: (batch, height, width, channels); the output has the shape of the input; labels (batch,
    classes). The values of the images may be uint8; the output is float.

    Args:
        factor: bounds of a, in [0, 1]; a number f stands for (0, f).
        seed: see :class:`RandomFlip`.
        data_format: ``"channels_last"`` (also for ``None``) or ``"channels_first"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        S. Yun et al., "CutMix: Regularization strategy to train strong classifiers with localizable
        features" (2019), section 3.1.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> mix = nl.layers.CutMix(seed=0)
        >>> x, t = np.zeros((4, 8, 8, 1)), nl.utils.to_categorical([0, 1, 1, 0], 2)
        >>> mixed = mix({"images": x, "labels": t})
        >>> mixed["images"].shape, mixed["labels"].sum(axis=1).tolist()
        ((4, 8, 8, 1), [1.0, 1.0, 1.0, 1.0])
    """

    def __init__(
        self,
        factor: Any = 1.0,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.factor = check_range("CutMix", "factor", factor, 0, 1)
        self._set_data_format(data_format)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [
            ({}, (4, 4, 3, 2)),
            (
                {"factor": (0.9, 1.0), "seed": 2, "data_format": "channels_first"},
                (4, 2, 8, 9),
            ),
        ]

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
        sizes, a = self._sizes(shape), rng.uniform(*bounds(self.factor, 0.0)) + 1e-6
        sides = np.sqrt(1 - rng.beta(a, a, shape[0]))
        boxes = draw_boxes(rng, sizes, sides, sides)
        kept = [1 - area(box) / max(1, sizes[0] * sizes[1]) for box in boxes]
        order = rng.permutation(shape[0])
        return {"boxes": boxes, "mix_weight": np.array(kept), "permutation_order": order}

    def _transformed(self, x: Array, drawn: dict[str, Any]) -> Array:
        """``y_i = x_i``, but ``x_j`` in the rectangle, for the partner j."""
        return self._cut(x, drawn, self.workspace("y", x.shape, self._dtype))

    def _cut(self, x: Array, drawn: dict[str, Any], y: Array) -> Array:
        """Copy x to y, with the rectangles of the partners."""
        np.copyto(y, x)
        for image, j, box in zip(y, drawn["permutation_order"], drawn["boxes"], strict=True):
            at = self._at(box)[1:]
            image[at] = x[j][at]
        return y

    def backward(self, dy: Array) -> Array:
        """``dx_i = dy_i`` outside of the rectangle of i, plus ``dy_k`` in that of k.

        Here i is the partner of k.
        """
        drawn = self.cache.drawn
        dy = self.check_gradient(dy, self.cache.shape)
        dx = self.workspace("dx", dy.shape, self._dtype)
        np.copyto(dx, dy)
        for image, box in zip(dx, drawn["boxes"], strict=True):
            image[self._at(box)[1:]] = 0
        for given, j, box in zip(dy, drawn["permutation_order"], drawn["boxes"], strict=True):
            at = self._at(box)[1:]
            dx[j][at] += given[at]
        return dx

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Array:
        """Return the masks with the rectangles of others, by ``transformation``."""
        masks = np.array(segmentation_masks)
        return self._cut(masks, transformation, np.empty_like(masks)) if training else masks
