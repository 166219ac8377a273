"""What an optimizer takes hold of: weights that do not decay, rows, states of copies, old names."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import optimizers as opt
from netlayers.errors import ConfigurationError

L = nl.layers
IDS = np.array([[0, 2], [2, 4]])


def words(optimizer, multiplier=1.0, **options):
    """A table of words and a layer, after one step with the gradient 1 of rows 0, 2 and 4."""
    table = L.Embedding(6, 2, name="table", learning_rate_multiplier=multiplier)
    model = nl.Sequential([table, L.Flatten(), L.Dense(1, name="d")], seed=0, dtype="float64")
    model.build((None, 2))
    model.compile(optimizer, "mse", **options)
    before = table.embeddings.copy()
    gradient = np.zeros_like(before)
    gradient[[0, 2, 4]] = 1.0
    for p in model.parameters.all:
        if p.row_gradient:
            p.gradient.set_dense(gradient)
        else:
            p.gradient[...] = 1.0
    model.optimizer.step(model.parameters)
    return before, table.embeddings, gradient


@pytest.mark.parametrize("multiplier", [1.0, 0.25, 3.0])
@pytest.mark.parametrize("decay", [None, 0.1])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_rows_are_updated_with_their_own_rate_and_decay(multiplier, decay, momentum):
    optimizer = opt.SGD(0.5, momentum=momentum, weight_decay=decay)
    before, after, gradient = words(optimizer, multiplier)
    rate = 0.5 * multiplier
    expected = before * (1 - rate * (decay or 0.0)) - rate * gradient
    np.testing.assert_allclose(after, expected, rtol=1e-12)


@pytest.mark.parametrize("rule", ["SGD", "Adam", "Adagrad", "LazyAdam", "RMSprop"])
@pytest.mark.parametrize("decay", [None, 0.1])
def test_a_multi_optimizer_of_one_updates_rows_as_it_does(rule, decay):
    def make():
        return getattr(opt, rule)(0.1, weight_decay=decay)

    whole = opt.MultiOptimizer(opt.OptimizerMap(make(), {".*table.*": make()}))
    np.testing.assert_array_equal(words(whole)[1], words(make())[1])


def dense():
    model = nl.Sequential([nl.Input((3,)), L.Dense(2, name="d"), L.Dense(2, name="e")], seed=0)
    model.compile("sgd", "mse")
    model.parameters.gradients[...] = 0
    return model


def decayed(optimizer, model):
    """Return the names of the weights that a step without gradients makes smaller."""
    model.parameters.values[...] = 1
    optimizer.step(model.parameters)
    return {p.path for p in model.parameters.all if (p.value != 1).all()}


def test_weights_left_out_of_the_decay_by_view_parameter_or_name():
    everything = {"d/kernel", "d/bias", "e/kernel", "e/bias"}
    model = dense()
    first, second = model.layers[0], model.layers[1]
    for left_out, expected in (
        ({"var_list": [first.kernel]}, everything - {"d/kernel"}),
        ({"var_list": [second.bias, first.bias]}, everything - {"d/bias", "e/bias"}),
        ({"var_list": [first.declared_parameters[0]]}, everything - {"d/kernel"}),
        ({"var_names": ["bias"]}, everything - {"d/bias", "e/bias"}),
        ({"var_names": ["^e/"], "var_list": [first.bias]}, {"d/kernel"}),
    ):
        optimizer = opt.SGD(0.5, weight_decay=0.5)
        optimizer.exclude_from_weight_decay(**left_out)
        assert decayed(optimizer, model) == expected, left_out
        optimizer.weight_decay = 0.25  # the layout is made anew, the exclusions stay
        assert decayed(optimizer, model) == expected, left_out
    # Views that begin where a weight does are other arrays.
    for other in (model.parameters.values, first.kernel.reshape(-1), first.kernel[:1], 3, "kernel"):
        optimizer = opt.SGD(0.5, weight_decay=0.5)
        optimizer.exclude_from_weight_decay(var_list=[other])
        with pytest.raises(ConfigurationError, match="an entry of var_list is no weight"):
            optimizer.step(model.parameters)


def test_a_step_takes_parameters():
    for wrong in ([np.ones(2)], np.ones(2), {"kernel": np.ones(2)}, 3):
        with pytest.raises(ConfigurationError, match=r"SGD: step\(\) takes model.parameters, got"):
            opt.SGD().step(wrong)
    optimizer = opt.SGD(momentum=0.5)
    optimizer.step(dense().parameters)
    with pytest.raises(ConfigurationError, match="holds the state of other weights"):
        optimizer.step(dense().parameters)


def test_names_of_old_versions_say_what_they_are_called_now():
    for read in (lambda o: o.lr, lambda o: setattr(o, "lr", 3.0)):
        with pytest.raises(AttributeError, match=r"^SGD has no lr; it is called learning_rate\.$"):
            read(opt.SGD())


def test_states_of_earlier_versions_and_of_memory_maps():
    model = dense()
    optimizer = opt.Adam(0.1)
    optimizer.step(model.parameters)
    state = optimizer.__getstate__()
    assert state["_parameters"] is None
    assert state["transforms"] == []
    assert "_layout" not in state
    for name in ("denominators", "_made_dense"):
        del state[name]
    state["state"] = {name: vector.copy() for name, vector in state["state"].items()}
    for vector in state["state"].values():
        vector.flags.writeable = False
    other = opt.Adam.__new__(opt.Adam)
    other.__setstate__(state)
    assert (other.denominators, other._made_dense) == (None, set())
    assert all(vector.flags.writeable for vector in other.state.values())
    twin = dense()
    twin.parameters.values[...] = model.parameters.values
    model.parameters.gradients[...] = twin.parameters.gradients[...] = 0.5
    optimizer.step(model.parameters)
    other.step(twin.parameters)
    np.testing.assert_array_equal(model.parameters.values, twin.parameters.values)


def test_parts_of_a_multi_optimizer_know_the_number_of_updates():
    schedule = opt.schedules.ExponentialDecay(1.0, 1, 0.5)
    whole = opt.MultiOptimizer(opt.OptimizerMap(opt.SGD(schedule)))
    model = dense()
    whole.iterations = 3
    whole.bind(model.parameters)
    assert whole.optimizers[0].iterations == 3
    assert whole.optimizers[0].learning_rate == pytest.approx(0.125)
    model.parameters.values[...], model.parameters.gradients[...] = 1, 1
    whole.step(model.parameters)
    np.testing.assert_allclose(model.parameters.values, 1 - 0.125)
    assert whole.optimizers[0].iterations == whole.iterations == 4


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [("b" * 200, True), ("b" * 201, False), ("a+b*", True), ("a+b*c?", False), ("(a)b", True)],
)
def test_which_patterns_a_file_may_hold(pattern, taken, tmp_path):
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile(nl.optimizers.LARS(0.1, exclude_from_layer_adaptation=[pattern]), "mse")
    model.build((None, 2))
    model.save(tmp_path / "m.safetensors")
    if taken:
        assert nl.load_model(tmp_path / "m.safetensors").compiled
    else:
        with pytest.raises(nl.errors.NetlayersError, match="is not accepted from a file"):
            nl.load_model(tmp_path / "m.safetensors")
