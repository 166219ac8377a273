"""What ``docs/from_pytorch.md`` says of PyTorch, tried with it where it is installed."""

import re
from pathlib import Path

import numpy as np
import pytest

import netlayers as nl
from netlayers.registry import constructor_arguments

PAGE = (Path(__file__).parents[2] / "docs" / "from_pytorch.md").read_text(encoding="utf-8")
L = nl.layers
RNG = np.random.default_rng(0)


@pytest.fixture
def torch():
    """Return PyTorch, with a seed."""
    module = pytest.importorskip("torch")
    module.manual_seed(0)
    return module


def array(tensor):
    return tensor.detach().numpy()


def last(x):
    """Move the channels of a batch behind the other axes."""
    return np.moveaxis(x, 1, -1)


def layouts(nn):
    """Return (module, layer, its weights from those of the module, shape of x)."""
    return [
        (nn.Linear(3, 2), L.Dense(2), lambda w, b: [w.T, b], (4, 3)),
        (
            nn.Conv1d(3, 2, 3, stride=2),
            L.Conv1D(2, 3, 2),
            lambda w, b: [w.transpose(2, 1, 0), b],
            (2, 3, 9),
        ),
        (
            nn.Conv2d(3, 2, (3, 1), padding="same"),
            L.Conv2D(2, (3, 1), padding="same"),
            lambda w, b: [w.transpose(2, 3, 1, 0), b],
            (2, 3, 6, 5),
        ),
        (
            nn.Conv2d(4, 6, 3, groups=2, dilation=2),
            L.Conv2D(6, 3, groups=2, dilation_rate=2),
            lambda w, b: [w.transpose(2, 3, 1, 0), b],
            (2, 4, 7, 7),
        ),
        (
            nn.Conv2d(3, 3, 3, groups=3),
            L.DepthwiseConv2D(3),
            lambda w, b: [w.transpose(2, 3, 0, 1), b],
            (2, 3, 6, 5),
        ),
        (
            nn.ConvTranspose2d(3, 2, 3, stride=2),
            L.Conv2DTranspose(2, 3, 2),
            lambda w, b: [w.transpose(2, 3, 1, 0), b],
            (2, 3, 4, 5),
        ),
        (
            nn.BatchNorm2d(3),
            L.BatchNormalization(momentum=0.9, epsilon=1e-5),
            lambda w, b: [w, b],
            (4, 3, 5, 5),
        ),
        (nn.LayerNorm(3), L.LayerNormalization(epsilon=1e-5), lambda w, b: [w, b], (4, 3)),
        (
            nn.GroupNorm(2, 4),
            L.GroupNormalization(2, epsilon=1e-5),
            lambda w, b: [w, b],
            (4, 4, 5, 5),
        ),
        (nn.MaxPool2d(2), L.MaxPooling2D(2), None, (2, 3, 4, 6)),
        (nn.AvgPool2d(2), L.AveragePooling2D(2), None, (2, 3, 4, 6)),
        (nn.AdaptiveAvgPool2d(1), L.GlobalAveragePooling2D(keepdims=True), None, (2, 3, 4, 6)),
        (nn.LeakyReLU(), L.LeakyReLU(0.01), None, (4, 3)),
        (nn.GELU(), L.Activation("gelu"), None, (4, 3)),
        (nn.SiLU(), L.Activation("silu"), None, (4, 3)),
        (nn.Softmax(-1), L.Softmax(), None, (4, 3)),
        (nn.Upsample(scale_factor=2), L.UpSampling2D(2), None, (2, 3, 4, 6)),
        (nn.ZeroPad2d((1, 2, 0, 3)), L.ZeroPadding2D(((0, 3), (1, 2))), None, (2, 3, 4, 6)),
    ]


@pytest.mark.parametrize("case", range(18))
def test_layers_and_the_layouts_of_their_weights(torch, case):
    module, layer, weights, shape = layouts(torch.nn)[case]
    module.double()
    channels = len(shape) > 2
    x = torch.from_numpy(RNG.normal(size=shape)).requires_grad_()
    y = module(x)
    dy = RNG.normal(size=y.shape)
    y.backward(torch.from_numpy(dy))
    given = last(array(x)) if channels else array(x)
    model = nl.Sequential([L.Input(given.shape[1:]), layer], dtype="float64")
    if weights:
        layer.set_weights([*weights(*map(array, module.parameters())), *layer.get_weights()[2:]])
    ours = model.forward(given, training=True)
    dx = model.backward(last(dy) if channels else dy)
    np.testing.assert_allclose(ours, last(array(y)) if channels else array(y), atol=1e-12)
    expected = x.grad.numpy()
    np.testing.assert_allclose(dx, last(expected) if channels else expected, atol=1e-12)


def test_running_statistics_keep_what_the_momentum_of_pytorch_leaves(torch):
    module, layer = torch.nn.BatchNorm1d(3, momentum=0.25), L.BatchNormalization(momentum=0.75)
    x = RNG.normal(size=(8, 3))
    module(torch.from_numpy(x).float())
    layer.forward(x, training=True)
    mean, variance = layer.get_weights()[2:]
    np.testing.assert_allclose(mean, module.running_mean, rtol=1e-5)
    unbiased = np.float64(module.running_var) - 0.75
    np.testing.assert_allclose((variance - 0.75) * 8 / 7, unbiased, rtol=1e-5)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_recurrent_layers(torch, kind):
    module = getattr(torch.nn, kind)(3, 2, batch_first=True).double()
    layer = {"RNN": L.SimpleRNN, "LSTM": L.LSTM, "GRU": L.GRU}[kind](2, return_sequences=True)
    w, u, b, c = map(array, module.parameters())
    if kind == "GRU":  # the gates r, z, n are z, r, h here
        w, u, b, c = (np.concatenate([a[2:4], a[:2], a[4:]]) for a in (w, u, b, c))
    bias = np.stack([b, c]) if kind == "GRU" else b + c
    x = RNG.normal(size=(2, 5, 3))
    model = nl.Sequential([L.Input((None, 3)), layer], dtype="float64")
    layer.set_weights([w.T, u.T, bias])
    expected = array(module(torch.from_numpy(x))[0])
    np.testing.assert_allclose(model.forward(x), expected, atol=1e-12)


LOSSES = [
    ("CrossEntropyLoss", {}, "SparseCategoricalCrossentropy", {"from_logits": True}, "classes"),
    (
        "CrossEntropyLoss",
        {"ignore_index": 2},
        "SparseCategoricalCrossentropy",
        {"from_logits": True, "ignore_class": 2},
        "classes",
    ),
    (
        "CrossEntropyLoss",
        {"label_smoothing": 0.1},
        "CategoricalCrossentropy",
        {"from_logits": True, "label_smoothing": 0.1},
        "one hot",
    ),
    ("BCEWithLogitsLoss", {}, "BinaryCrossentropy", {"from_logits": True}, "zeros and ones"),
    ("MSELoss", {}, "MeanSquaredError", {}, "numbers"),
    ("L1Loss", {}, "MeanAbsoluteError", {}, "numbers"),
    ("HuberLoss", {"delta": 0.5}, "Huber", {"delta": 0.5}, "numbers"),
    ("SmoothL1Loss", {}, "Huber", {}, "numbers"),
]


@pytest.mark.parametrize(("theirs", "options", "ours", "arguments", "kind"), LOSSES)
def test_losses(torch, theirs, options, ours, arguments, kind):
    z = torch.from_numpy(RNG.normal(size=(6, 3))).requires_grad_()
    classes = np.array([0, 1, 2, 0, 1, 2])
    y = {
        "classes": classes,
        "one hot": np.eye(3)[classes],
        "zeros and ones": RNG.integers(0, 2, (6, 3)).astype(float),
        "numbers": RNG.normal(size=(6, 3)),
    }[kind]
    value = getattr(torch.nn, theirs)(**options)(z, torch.from_numpy(y))
    value.backward()
    loss = getattr(nl.losses, ours)(dtype="float64", **arguments)
    np.testing.assert_allclose(loss.forward(y, array(z)), value.item(), rtol=1e-12)
    np.testing.assert_allclose(loss.backward(), z.grad.numpy(), atol=1e-12)


def paths(torch, theirs, options, optimizer, regularizer=None):
    """Return the weights of a Linear after 5 steps of each, the same batch again and again."""
    x, y = RNG.normal(size=(8, 3)), RNG.normal(size=(8, 2))
    module = torch.nn.Linear(3, 2).double()
    layer = L.Dense(2, kernel_regularizer=regularizer, bias_regularizer=regularizer)
    model = nl.Sequential([L.Input((3,)), layer], dtype="float64")
    model.compile(optimizer, "mse")
    w, b = map(array, module.parameters())
    layer.set_weights([w.T, b])
    steps = getattr(torch.optim, theirs)(module.parameters(), **options)
    for _ in range(5):
        steps.zero_grad()
        torch.nn.MSELoss()(module(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        steps.step()
        model.train_on_batch(x, y)
    return array(module.weight).T, layer.kernel


O = nl.optimizers  # noqa: E741


@pytest.mark.parametrize(
    ("theirs", "options", "optimizer"),
    [
        ("SGD", {"lr": 0.1}, O.SGD(0.1)),
        ("SGD", {"lr": 0.1, "momentum": 0.9}, O.SGD(0.1, 0.9)),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}, O.SGD(0.1, 0.9, True)),
        ("Adam", {"lr": 0.1, "eps": 1e-12}, O.Adam(0.1, epsilon=1e-12)),
        (
            "AdamW",
            {"lr": 0.1, "eps": 1e-12, "weight_decay": 0.1},
            O.AdamW(0.1, 0.1, epsilon=1e-12),
        ),
        ("RMSprop", {"lr": 0.1, "alpha": 0.9, "eps": 1e-12}, O.RMSprop(0.1, epsilon=1e-24)),
        ("Adagrad", {"lr": 0.1, "eps": 1e-12}, O.Adagrad(0.1, 0.0, 1e-24)),
        ("Adamax", {"lr": 0.1, "eps": 1e-12}, O.Adamax(0.1, epsilon=1e-12)),
        ("Adadelta", {"lr": 1.0}, O.Adadelta(1.0, 0.9, 1e-6)),
    ],
    ids=str,
)
def test_optimizers_with_the_same_arguments_take_the_same_path(torch, theirs, options, optimizer):
    expected, found = paths(torch, theirs, options, optimizer)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_weight_decay_of_sgd_and_adam_is_twice_that_of_a_regularizer(torch):
    for theirs, optimizer in (("SGD", O.SGD(0.1)), ("Adam", O.Adam(0.1, epsilon=1e-12))):
        options = {"lr": 0.1, "weight_decay": 0.02}
        options |= {"eps": 1e-12} if theirs == "Adam" else {}
        expected, found = paths(torch, theirs, options, optimizer, nl.regularizers.L2(0.01))
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_initial_weights_of_linear(torch):
    weights = array(torch.nn.Linear(100, 2000).weight)
    initial = nl.initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed=0)((100, 2000))
    for its in (weights, initial):
        assert 0.0999 < np.abs(its).max() <= 0.1
        assert abs(its.std() - 0.1 / np.sqrt(3)) < 1e-3


def rows(section):
    """Return the cells of the tables of a section of the page."""
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("section", ["Layers", "Losses"])
def test_what_the_page_names_is_there(section):
    known = {**vars(nl), **vars(nl.losses), **vars(L)}
    codes = [code for row in rows(section)[1:] for code in re.findall(r"`([A-Z][^`]+)`", row[1])]
    assert len(codes) > 10
    for code in codes:
        eval(code, known)


def defaults():
    """Return the rows of the page: names, and arguments with defaults, in PyTorch and here."""
    table = [[re.findall(r"`([^`]+)`", cell) for cell in row[:2]] for row in rows("Defaults")]
    return [row for row in table if row[0] and "=" in row[0][-1]]


@pytest.mark.parametrize("row", defaults(), ids=lambda row: row[1][0])
def test_the_defaults_here(row):
    name, *arguments = row[1]
    known = constructor_arguments(getattr(nl.optimizers, name, None) or getattr(L, name))
    for argument in arguments:
        key, value = argument.split("=")
        assert known[key] == float(value), argument


@pytest.mark.parametrize("row", defaults(), ids=lambda row: row[0][0])
def test_the_defaults_of_pytorch(torch, row):
    import inspect

    name, *arguments = row[0]
    cls = getattr(torch.optim, name, None) or getattr(torch.nn, name)
    known = inspect.signature(cls).parameters
    for argument in arguments:
        key, value = argument.split("=")
        default = known[key.partition("[")[0]].default
        index = re.search(r"\[(\d)\]", key)
        assert (default[int(index[1])] if index else default) == float(value), argument
