"""``model.trace`` of models with several outputs."""

import numpy as np
import pytest

import netlayers as nl
from tests.golden import check_text
from tests.snapshots import numpy_kernels, shown  # noqa: F401
from tests.trace.test_families import told

L = nl.layers
RNG = np.random.default_rng(0)
X, Z = RNG.normal(size=(6, 4)), RNG.normal(size=(6, 2))
KIND, SIZE = np.array([0, 1, 2, 1, 0, 2]), RNG.normal(size=6)


def network(**options):
    x, z = nl.Input((4,), name="x"), nl.Input((2,), name="z")
    h = L.Dense(5, "tanh", name="h")(L.Concatenate()([x, z]))
    tower = nl.Sequential([L.Dense(4, "relu"), L.Dense(3, "softmax")], name="kind")
    model = nl.Model([x, z], [L.Dense(1, name="size")(h), tower(h)], seed=0, dtype="float64")
    loss = {"size": "mse", "kind": "sparse_categorical_crossentropy"}
    model.compile(nl.optimizers.Adam(0.1), loss, **options)
    return model


@pytest.mark.parametrize("weights", [None, np.arange(6.0), {"size": np.arange(6.0)}])
def test_the_numbers_are_those_of_a_step(weights):
    model, other = network(loss_weights=[0.25, 2.0]), network(loss_weights=[0.25, 2.0])
    trace = model.trace([X, Z], [SIZE, KIND], weights)
    total, size, kind = other.train_on_batch([X, Z], [SIZE, KIND], weights)
    parts = trace.loss.parts
    assert trace.loss.total == total
    assert (parts["size"].value, parts["kind"].value) == (size, kind)
    after = dict(zip([p.path for p in other.parameters.all], other.get_weights(), strict=True))
    for record in trace.model.walk():
        for name, weight in record.weights.items():
            np.testing.assert_array_equal(weight.after, after[f"{record.name}/{name}"])
    np.testing.assert_array_equal(trace["size"].dy, parts["size"].gradient)
    np.testing.assert_array_equal(trace["kind/dense_1"].dz, parts["kind"].gradient)
    assert trace.model.y[1] is trace["kind/dense_1"].y is parts["kind"].y_pred


def test_the_gradients_at_a_value_with_several_uses_add_up():
    trace = network().trace([X, Z], [SIZE, KIND])
    np.testing.assert_allclose(trace["h"].dy, trace["size"].dx + trace["kind"].dx)


def test_each_loss_is_shown_and_the_sum():
    text = network(loss_weights=[0.25, 2.0]).trace([X, Z], [SIZE, KIND]).text()
    assert "Loss of size: mean squared error" in text
    assert "Loss of kind: sparse categorical crossentropy" in text
    assert "L = 0.25 · L_(size) + 2 · L_(kind)" in text


def test_one_loss_of_two_outputs():
    x = nl.Input((4,), name="x")
    model = nl.Model(x, [L.Dense(1, name="a")(x), L.Dense(2, name="b")(x)], seed=0)
    model.compile("sgd", {"b": "mse"})
    trace = model.trace(X, {"b": X[:, :2]})
    assert list(trace.loss.parts) == ["b"]
    assert trace["a"].dz is None
    assert trace.loss.total == trace.loss.parts["b"].value
    trace.html(), trace.markdown()


def test_losses_of_samples_are_those_of_losses_that_have_them():
    class Whole(nl.losses.Loss):
        """A loss with a forward of its own, which has no reduction."""

        def forward(self, y_true, y_pred, sample_weight=None):
            self.cache.d = y_pred - np.asarray(y_true).reshape(y_pred.shape)
            return float(np.sum(self.cache.d**2))

        def backward(self, denominator=None):
            return 2 * self.cache.d

    for loss, shape in (("mse", (6,)), (Whole(), None), (nl.losses.SplitLoss(["mse"], [1]), None)):
        model = nl.Sequential([L.Dense(1)], seed=0)
        model.compile("sgd", loss)
        samples = model.trace(X, SIZE[:, None]).loss.samples
        assert (None if samples is None else samples.shape) == shape
        weighted = model.trace(X, SIZE[:, None], np.arange(6.0)).loss.samples
        if samples is not None:
            np.testing.assert_allclose(weighted, samples * np.arange(6.0), rtol=1e-5)


ROWS = np.arange(6.0)
WEIGHTS = {"none": None, "shared": ROWS, "one output": {"size": ROWS},
           "the other": {"kind": ROWS + 1}, "each": {"size": ROWS, "kind": ROWS[::-1]},
           "list": [ROWS, ROWS + 1]}  # fmt: skip


def test_the_record_of_each_loss():
    """By weights of samples, of one output and of two, fused with the softmax or not."""
    lines = []
    for name, weights in WEIGHTS.items():
        for losses in (["mse", "sparse_categorical_crossentropy"], ["mae", None], ["mse", "mse"]):
            if losses[1] is None and isinstance(weights, (dict, list)):
                continue
            model = network(loss_weights=[0.25, 2.0] if losses[1] else None)
            model.compile("sgd", losses, loss_weights=[0.25, 2.0] if losses[1] else None)
            kind = np.eye(3)[KIND] if losses[1] == "mse" else KIND
            targets = [SIZE, kind] if losses[1] else {"size": SIZE}
            trace = model.trace([X, Z], targets, weights)
            loss = trace.loss
            for title, it in {"whole": loss, **loss.parts}.items():
                lines.append(f"{name} {losses} {title}: {type(it.loss).__name__} {it.fused}")
                lines += [
                    f"  {field}: {shown(getattr(it, field))}"
                    for field in ("y_true", "y_pred", "gradient", "value", "total", "probabilities",
                                  "sample_weight", "samples", "weight", "before", "after")
                ]  # fmt: skip
            if name in ("none", "each"):
                lines += told(trace.steps, "loss")
                for r in trace.model.walk():
                    arrays = {n: shown(getattr(r, n)) for n in ("x", "z", "y", "dy", "dz", "dx")}
                    lines.append(f"{r.name} {r.kind} {r.number} {r.fused} {r.call} {arrays}")
    check_text(__file__, "records of losses.txt", "\n".join(lines))
