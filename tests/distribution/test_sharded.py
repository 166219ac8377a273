"""Training in shards, in one process: what is computed, and what is refused."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers
from netlayers.distribution import DataParallel, distribution, set_distribution
from netlayers.errors import ConfigurationError, ShapeError
from netlayers.kernels import threads
from netlayers.training.together import check_together

X = np.random.default_rng(0).normal(size=(60, 4))
Y = (X.sum(axis=1) > 0).astype(int)
WEIGHTS = np.random.default_rng(1).random(60)


@pytest.fixture(autouse=True)
def none_before_and_after():
    yield
    set_distribution(None)


def trained(shards, its, *, optimizer="sgd", loss="sparse_categorical_crossentropy", **options):
    compiled = {k: options.pop(k) for k in ("metrics", "weighted_metrics") if k in options}
    model = nl.Sequential([*its(), layers.Dense(2, "softmax")], seed=0, dtype="float64")
    its = None if shards is None else DataParallel(shards)
    model.compile(nl.optimizers.get(optimizer), loss, distribution=its, **compiled)
    given = {"batch_size": 16, "epochs": 3, "verbose": 0, "validation_split": 0.2, **options}
    return model, model.fit(X, Y, **given)


@pytest.mark.parametrize("shards", [1, 3, 8, 20])
@pytest.mark.parametrize("name", ["plain", "weights", "penalties", "accumulated", "summed"])
def test_without_random_numbers_shards_change_nothing_but_rounding(shards, name):
    def parts():
        if name != "penalties":
            return [layers.Dense(5, "tanh")]
        its = layers.ActivityRegularization(l2=0.1)
        return [layers.Dense(5, "tanh", kernel_regularizer="l2"), its]

    def run(shards):
        options = {"metrics": ["accuracy"], "weighted_metrics": ["accuracy"]}
        if name in ("weights", "accumulated"):
            options["sample_weight"] = WEIGHTS
        if name == "summed":
            options["loss"] = nl.losses.SparseCategoricalCrossentropy(reduction="sum")
        steps = {"gradient_accumulation_steps": 2} if name == "accumulated" else {}
        return trained(shards, parts, optimizer=nl.optimizers.SGD(0.1, **steps), **options)

    one, first = run(None)
    two, second = run(shards)
    np.testing.assert_allclose(two.parameters.values, one.parameters.values, rtol=1e-9, atol=1e-12)
    assert second.history.keys() == first.history.keys()
    for key, values in first.history.items():
        np.testing.assert_allclose(second.history[key], values, rtol=1e-9, err_msg=key)


def test_batch_normalization_normalizes_by_shard_and_averages_the_moments():
    x = X[:8]
    model = nl.Sequential([layers.BatchNormalization(momentum=0.5, epsilon=1e-9)], seed=0)
    model.build((None, 4))
    model.compile(nl.optimizers.SGD(0.0), "mse", distribution=DataParallel(2))
    model.train_on_batch(x, np.zeros((8, 4)))
    norm, halves = model.layers[0], np.split(x, 2)
    means = np.mean([h.mean(axis=0) for h in halves], axis=0)
    variances = np.mean([h.var(axis=0) for h in halves], axis=0)
    np.testing.assert_allclose(norm.moving_mean, 0.5 * means, rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, 0.5 + 0.5 * variances, rtol=1e-5)


def stateful(shards, batch_size=15, **options):
    parts = [layers.Reshape((2, 2)), layers.GRU(3, stateful=True)]
    options = {"validation_split": 0, "shuffle": False, "batch_size": batch_size, **options}
    return trained(shards, lambda: parts, **options)


@pytest.mark.parametrize("shards", [1, 2, 20])
def test_states_go_on_with_the_rows_of_each_shard(shards):
    (one, first), (two, second) = stateful(None), stateful(shards)
    np.testing.assert_allclose(two.parameters.values, one.parameters.values, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(second.history["loss"], first.history["loss"], rtol=1e-9)
    for its in (one, two):
        assert its.layers[1].states["state_0"].value.shape == (15, 3)
    expected = one.evaluate(X, Y, batch_size=15, verbose=0)
    assert two.evaluate(X, Y, batch_size=15, verbose=0) == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(two.predict(X, 15), one.predict(X, 15), rtol=1e-9)


def test_states_stay_as_they_were_after_an_error():
    model, _ = stateful(2)
    before = model.layers[1].states["state_0"].value.copy()
    with pytest.raises(ShapeError, match="belongs to batches of 15 samples, got 12"):
        model.fit(X, Y, batch_size=12, verbose=0)
    forward, calls = model.layers[1].forward, []

    def fail(x, training=False):
        calls.append(x)
        return forward(x, training) if len(calls) == 1 else 1 / 0

    model.layers[1].forward = fail
    with pytest.raises(ZeroDivisionError):
        model.train_on_batch(X[:15], Y[:15])
    np.testing.assert_array_equal(model.layers[1].states["state_0"].value, before)


def test_shards_and_steps_draw_their_own_numbers():
    seen = []

    class Noise(layers.Layer):
        random = True

        def forward(self, x, training=False):
            if training:
                seen.append(self.rng.random())
            return self.prepare(x)

        def backward(self, dy):
            return dy

    trained(4, lambda: [Noise()], epochs=2, validation_split=0)
    first = list(seen)
    assert len(set(first)) == len(first) == 2 * 4 * 4  # epochs, batches, shards
    seen.clear()
    trained(4, lambda: [Noise()], epochs=2, validation_split=0)
    assert seen == first


def test_layers_of_functional_models_and_of_two_models_draw_by_shard():
    def run(other):
        x = nl.Input((4,))
        h = layers.Dropout(0.5)(layers.Dense(8)(x))
        model = nl.Model(x, layers.Dense(2)(h), seed=0)
        model.compile("sgd", "mse", distribution=DataParallel(2))
        part = nl.Model(x, h, seed=1)
        part.compile("sgd", "mse", distribution=DataParallel(2))
        for _ in range(2):
            model.train_on_batch(X[:8], X[:8, :2])
            if other:
                part._steps or part.evaluate(X[:8], np.zeros((8, 8)), verbose=0)
        return model.parameters.values.copy()

    np.testing.assert_array_equal(run(False), run(True))


@pytest.mark.parametrize("shards", [1, 3, 50])
def test_predictions_in_shards(shards):
    model, _ = trained(shards, lambda: [layers.Dense(5, "tanh")], metrics=["accuracy"])
    expected = model.predict_on_batch(X)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X, exact=True), model.predict(X, 7, exact=True))
    batches = [(X[:30],), (X[30:31],), (X[31:],)]
    np.testing.assert_allclose(model.predict(batches), expected, rtol=1e-12)
    assert model.predict(X[:0]).shape == (0, 2)
    correct = np.mean(expected.argmax(axis=1) == Y)
    for options in ({}, {"batch_size": 7}, {"batch_size": 7, "exact": True}):
        loss, accuracy = model.evaluate(X, Y, verbose=0, **options)
        assert accuracy == pytest.approx(correct)
        assert loss == pytest.approx(-np.log(expected[np.arange(60), Y]).mean())


def test_one_of_several_processes_predicts_in_its_main_thread():
    model, _ = trained(2, list)
    model.distribution.processes = type("Several", (), {"rank": 0, "size": 2})()
    with ThreadPoolExecutor(1) as pool, pytest.raises(ConfigurationError, match="in the main thr"):
        pool.submit(model.predict, X).result()


def test_blas_has_one_thread_until_the_last_leaves(monkeypatch):
    counts = [4]
    monkeypatch.setattr(threads, "_openblas", lambda: (counts.append, lambda: counts[-1]))
    first, second = threads.one_thread(), threads.one_thread()
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:  # two threads of Python
        one.submit(first.__enter__).result()
        other.submit(second.__enter__).result()
        one.submit(first.__exit__, None, None, None).result()
        assert counts == [4, 1]
        other.submit(second.__exit__, None, None, None).result()
    assert counts == [4, 1, 4]


def test_what_is_set_holds_for_models_that_are_compiled_later():
    its = DataParallel(3)
    set_distribution(its)
    assert distribution() is its
    model = nl.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    assert model.distribution is its
    set_distribution(None)
    assert distribution() is None
    model.compile("sgd", "mse")
    assert model.distribution is None


def test_copies():
    its = DataParallel(3, shared_memory=False, move_shards=False)
    again = pickle.loads(pickle.dumps(its))
    assert (again.shards, again.shared_memory, again.move_shards) == (3, False, False)
    assert again.size == 1
    assert copy.deepcopy(its) is its
    assert repr(its) == "<DataParallel of 3 shards, process 0 of 1>"


def test_rows():
    its = DataParallel(4)
    assert [its.rows_of(10, shard) for shard in range(4)] == [
        slice(0, 2),
        slice(2, 5),
        slice(5, 7),
        slice(7, 10),
    ]
    assert its.own_rows(10) == slice(0, 10)


class WithTrainStep(nl.Sequential):
    def train_step(self, data):
        return super().train_step(data)


class OwnGenerator(layers.Layer):
    def __init__(self):
        super().__init__()
        self.numbers = np.random.default_rng(0)

    def forward(self, x, training=False):
        return self.prepare(x)

    def backward(self, dy):
        return dy


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DataParallel(0), "shards"),
        (lambda: set_distribution(8), "set_distribution: expected a netlayers.distribution."),
        (lambda: nl.Sequential([layers.Dense(1)]).compile("sgd", "mse", distribution=8), "compile"),
        (lambda: trained(2, lambda: [OwnGenerator()]), "draws from a generator of its own (num"),
        (
            lambda: trained(2, list, loss=nl.losses.Circle()),
            "DataParallel: the loss 'circle' of a batch is not that of its shards added up",
        ),
        (
            lambda: trained(
                2,
                lambda: [layers.ActivityRegularization(l2=0.1)],
                loss=nl.losses.SparseCategoricalCrossentropy(reduction="mean_with_sample_weight"),
                sample_weight=WEIGHTS,
            ),
            "penalties on activations, which are means over rows",
        ),
    ],
)
def test_what_cannot_be_computed_in_shards_is_refused(make, message):
    with pytest.raises(ConfigurationError) as error:
        make()
    assert message in str(error.value)


def test_a_train_step_of_its_own_is_refused():
    model = WithTrainStep([layers.Dense(1)])
    model.compile("sgd", "mse", distribution=DataParallel(2))
    with pytest.raises(ConfigurationError, match=r"its own train_step\(\) cannot be trained in sh"):
        model.fit(X, Y, verbose=0)


def test_more_processes_than_shards(monkeypatch):
    class Several:
        rank, size = 0, 3

    monkeypatch.setattr("netlayers.distribution.data_parallel.processes_of_mpi", lambda: 3)
    monkeypatch.setattr("netlayers.distribution.data_parallel.MPI", lambda shared: Several())
    with pytest.raises(ConfigurationError, match="3 processes for shards=2; start at most as many"):
        DataParallel(2)


def test_mpi_without_mpi4py(monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setitem(__import__("sys").modules, "mpi4py.MPI", None)
    with pytest.raises(ConfigurationError, match="MPI started 2 processes, which needs the packa"):
        DataParallel(2)


@pytest.mark.parametrize(
    ("variable", "version", "vendor", "seen"),
    [
        ("PMI_SIZE", "Open MPI v4.1.4, package: Debian\n", "Open MPI", "1: mpi.*4.1.4"),
        ("OMPI_COMM_WORLD_SIZE", "MPICH Version: 5.0.2\nDate:\n", "MPICH", "none .* 5.0.2"),
    ],
)
def test_a_launcher_of_another_mpi(variable, version, vendor, seen, monkeypatch):
    its = SimpleNamespace(
        COMM_WORLD=SimpleNamespace(rank=0, size=1),
        Is_initialized=lambda: False,
        Init_thread=lambda: vendor == "MPICH" and pytest.fail("this would end the process"),
        Get_library_version=lambda: version,
        get_vendor=lambda: (vendor, (4, 1, 4)),
    )
    monkeypatch.setenv(variable, "2")
    monkeypatch.setattr("netlayers.distribution.processes._mpi4py", lambda: its)
    with pytest.raises(ConfigurationError, match=rf"2 processes .* MPI sees {seen}\)\. Start"):
        DataParallel(2)


@pytest.mark.parametrize(
    ("where", "value", "named"),
    [
        ("_digest_of_code", lambda: "0123", "code of netlayers: '"),
        ("_digest_of_script", lambda: "0123", "code of the script: "),
        ("__version__", "0.0", "netlayers: '"),
        ("np.__version__", "1.0", "NumPy: '"),
        ("platform.python_version", lambda: "3.0", "Python: '"),
        ("_processor", lambda: "z80", "processor: '"),
        ("kernels_in_use", lambda: "abacus", "kernels: '"),
    ],
)
def test_other_code_versions_and_processors_are_refused_by_name(where, value, named, monkeypatch):
    seen = []

    class Processes:
        def gather(self, value, what):
            seen.append(value)
            return [seen[0], value]

    its = SimpleNamespace(size=2, move_shards=True, processes=Processes())
    model = nl.Sequential([layers.Dense(1)], seed=0)
    model.build((None, 4))
    model.compile("sgd", "mse")
    check_together(its, model, {})
    check_together(its, model, {})
    monkeypatch.setattr(f"netlayers.training.together.{where}", value)
    with pytest.raises(ConfigurationError) as error:
        check_together(its, model, {})
    assert f"process 1 differs from process 0. {named}" in str(error.value)


def test_a_backup_of_other_shards_is_refused(tmp_path):
    def fail(epoch, logs):
        raise RuntimeError

    def run(shards):
        backup = nl.callbacks.BackupAndRestore(tmp_path)
        calls = nl.callbacks.LambdaCallback(on_epoch_begin=lambda e, logs: e == 1 and fail(e, logs))
        return trained(shards, list, callbacks=[backup, calls])

    with pytest.raises(RuntimeError):
        run(4)
    with pytest.raises(ConfigurationError, match=r"shards: 4 there, 2 here"):
        run(2)
