"""What is shown of images: values, tables and refusals for networks of every form, line by line."""

import re
from functools import partial
from types import SimpleNamespace

import numpy as np

import netlayers as nl
from netlayers.diagnostics import diagnose_images, heat_maps
from netlayers.diagnostics.channels import channels_first, channels_last, idle_maps
from tests.golden import check_text
from tests.snapshots import numbers, numpy_kernels, outcome, shown  # noqa: F401

L = nl.layers


def network(*layers, shape=(5, 4, 2), **options):
    model = nl.Sequential([nl.Input(shape, name="x"), *layers], dtype="float64", seed=0, **options)
    for i, p in enumerate(model.parameters.all):
        p.value[...] = (
            np.abs(numbers(*p.shape)) + 0.5 if p.statistic else numbers(*p.shape, first=i)
        )
    return model


def functional(outputs=1, inputs=1):
    x = [nl.Input((4, 4, 1), name=f"in{i}") for i in range(inputs)]
    h = L.Conv2D(2, 2, activation="relu", name="conv")(x[0] if inputs == 1 else L.Add()(x))
    y = [L.Dense(2, name=f"y{i}")(L.Flatten()(h)) for i in range(outputs)]
    return nl.Model(x, y if outputs > 1 else y[0], seed=0, dtype="float64")


FIRST = {"data_format": "channels_first"}
NETWORKS = {
    "plain": lambda: network(L.Conv2D(3, 2, activation="relu", name="c"), L.Flatten(), L.Dense(3)),
    "softmax": lambda: network(
        L.Conv2D(2, 2, name="c"), L.BatchNormalization(), L.ReLU(), L.MaxPooling2D(2),
        L.GlobalAveragePooling2D(), L.Dense(3, "softmax", name="end"),
    ),
    "sigmoid": lambda: network(L.Conv2D(2, 2, name="c"), L.Flatten(), L.Dense(1, "sigmoid")),
    "two convolutions": lambda: network(
        L.Conv2D(2, 2, name="a"), L.Conv2D(3, 2, activation="tanh", name="b"), L.Dropout(0.5),
        L.AveragePooling2D((3, 2)), L.Flatten(), L.Dense(2), L.Softmax(),
    ),
    "first": lambda: network(
        L.Conv2D(3, 2, activation="relu", name="c", **FIRST), L.Flatten(), L.Dense(3),
        shape=(2, 5, 4),
    ),
    "series": lambda: network(
        L.Conv1D(3, 2, activation="relu", name="c"), L.Flatten(), L.Dense(2), shape=(6, 2)
    ),
    "rows": lambda: network(L.Dense(3, "tanh"), L.Dense(2, "softmax"), shape=(4,)),
    "no convolution": lambda: network(L.Rescaling(2.0, name="r"), L.Flatten(), L.Dense(2)),
    "a gate": lambda: network(
        L.Conv2D(2, 2, activation="sigmoid", name="c"), L.Flatten(), L.Dense(2)
    ),
    "no scores": lambda: network(L.Conv2D(2, 2, name="c")),
    "two outputs": lambda: functional(outputs=2), "two inputs": lambda: functional(inputs=2),
}  # fmt: skip


def data(name, rows=3):
    sizes = {"first": (2, 5, 4), "series": (6, 2), "rows": (4,), "two outputs": (4, 4, 1)}
    if name == "two inputs":
        return [numbers(rows, 4, 4, 1), numbers(rows, 4, 4, 1, first=1.0)]
    return numbers(rows, *sizes.get(name, (5, 4, 2)))


def report(found):
    """The lines of what was found."""
    html = re.sub(r'src="[^"]*"', "src", found._repr_html_())
    html = re.sub(r' style="[^"]*"', "", html)
    return [*str(found).splitlines(), html, *(f"{k} {shown(v)}" for k, v in fields(found))]


def fields(found):
    for name, value in vars(found).items():
        if isinstance(value, dict):
            yield from ((f"{name} of {k}", v) for k, v in value.items())
        else:
            yield name, value


def test_maps_of_networks(monkeypatch):
    d = nl.diagnostics
    monkeypatch.setattr("netlayers.diagnostics.heat_maps.png_of", lambda plot: b"png")
    monkeypatch.setattr("netlayers.diagnostics.image_maps.png_of", lambda plot: b"png")
    lines = []
    for name, make in NETWORKS.items():
        model, x = make(), data(name)
        before = model.get_weights()
        for title, call in {
            "saliency": lambda m=model, x=x: d.saliency(m, x),
            "saliency of 0": lambda m=model, x=x: d.saliency(m, x, 0),
            "grad_cam": lambda m=model, x=x: d.grad_cam(m, x),
            "grad_cam of each": lambda m=model, x=x: d.grad_cam(m, x, [1, 0, 1]),
            "feature_maps": lambda m=model, x=x: d.feature_maps(m, x),
            "filters": lambda m=model: d.filters(m),
        }.items():
            kept = []
            said = outcome(lambda c=call, k=kept: k.append(c()))
            lines += [f"{name} {title}: {said}", *(f"  {line}" for k in kept for line in report(k))]
        assert all(map(np.array_equal, before, model.get_weights()))
    check_text(__file__, "maps of networks.txt", "\n".join(lines))


def test_what_is_refused():
    d, plain, x = nl.diagnostics, NETWORKS["two convolutions"](), data("plain")
    unbuilt = nl.Sequential([L.Conv2D(2, 2, name="c"), L.Flatten(), L.Dense(2)])
    both = network(L.Conv2D(2, 2, name="c"), L.Flatten(), L.Dense(2))
    cases = {
        "layer": partial(d.grad_cam, plain, x, 0, "a"),
        "another layer": partial(d.grad_cam, plain, x, 0, "bb"),
        "no layer": partial(d.grad_cam, NETWORKS["rows"](), data("rows"), 0, "dense"),
        "a layer that is flat": partial(d.grad_cam, plain, x, 0, "flatten"),
        "classes": partial(d.saliency, plain, x, 2), "below 0": partial(d.saliency, plain, x, -1),
        "classes of two": partial(d.saliency, plain, x, [0, 1]),
        "classes of numbers": partial(d.saliency, plain, x, 0.5),
        "no rows": partial(d.saliency, plain, x[:0]), "unbuilt": partial(d.filters, unbuilt),
        "filters of": partial(d.filters, plain, "b"), "no such": partial(d.filters, plain, "bb"),
        "maps of": partial(d.feature_maps, plain, x, "a"),
        "maps of two": partial(d.feature_maps, plain, x, ["b", "a"]),
        "maps of a flat": partial(d.feature_maps, plain, x, ["dense"]),
        "maps of none": partial(d.feature_maps, plain, x, "bb"),
        "of rows": partial(d.feature_maps, NETWORKS["rows"](), data("rows"), "dense"),
        "other sizes": partial(d.saliency, both, x[:, :2]), "text": partial(d.saliency, both, "x"),
    }  # fmt: skip
    lines = []
    for title, call in cases.items():
        kept = []
        said = outcome(lambda c=call, k=kept: k.append(c()))
        lines.append(f"{title}: {said} {[shown(v) for k in kept for _, v in fields(k)]}")
    check_text(__file__, "image maps refused.txt", "\n".join(lines))


def test_maps_that_say_nothing():
    base, lines = np.ones((3, 2, 2, 1)), []
    change = np.array([-1.0, 0.0, 1.0])[:, None, None, None]
    for size in (0.0, 5e-4, 1.2e-3, 1.25e-3, 0.01):
        for maps in (base + size * change, size * change * base, size * base, (base + size)[:1]):
            zero, constant = idle_maps(np.concatenate([maps, maps[..., ::-1] * 2], axis=-1))
            lines.append(f"{size} {maps.shape}: {zero.tolist()} {constant.tolist()}")
    for name in ("plain", "first", "rows", "series"):
        first = channels_first(NETWORKS[name]())
        shapes = [channels_last(a, first).shape for a in (np.ones((2, 3)), np.ones((2, 3, 4, 5)))]
        lines.append(f"{name}: {first} {shapes}")
    for sizes in ((3, 2), (4,), (2, 3, 2)):
        for target in (
            ((5, 4), (4, 2), (1, 1)) if len(sizes) == 2 else (tuple(n + 1 for n in sizes),)
        ):
            maps = numbers(2, *sizes)
            lines.append(f"{sizes} {target}: {shown(heat_maps._resized(maps, target))}")
    check_text(__file__, "idle maps.txt", "\n".join(lines))


def test_findings_at_their_limits():
    lines = []
    seen = SimpleNamespace
    layers = {"last": L.Conv2D(1, 1), "first": L.Conv2D(1, 1, **FIRST), "dense": L.Dense(1)}
    shapes = [(9, 3, 8, 8), (9, 4, 8, 9), (9, 5, 9, 9), (9, 3, 7, 9), (9, 3, 8, 7), (9, 8, 8, 3)]
    shapes += [(9, 9, 8, 4), (9, 8, 9, 5), (9, 7, 8, 1), (9, 8, 8), (9, 7, 7), (9, 8, 9), (9, 28)]
    shapes += [(9, 2, 2, 2), (9, 3, 3, 3, 3)]
    for name, layer in layers.items():
        for shape in shapes:
            image = seen(layer=layer, shape=shape)
            found = [*diagnose_images.channels("p", image), *diagnose_images.flattening("p", image)]
            lines += [
                f"{name} {shape}: {f.severity} {f.title if hasattr(f, 'title') else f}"
                for f in found
            ]
            lines += [f"  {vars(f)}" for f in found]
    for dead in ({"a": 0.7}, {"a": 0.69}, {"a": 0.9, "b": 0.91}, {"a": 0.95, "c": 1.0}):
        for maps in ({"a": 0.25, "b": 0.2}, {"b": 0.95}, {"a": 0.9}, {}):
            evidence = seen(images={}, values={"dead": dead}, maps=maps)
            for f in diagnose_images.findings(evidence):
                lines.append(f"{dead} {maps}: {vars(f)}")
    check_text(__file__, "findings of images.txt", "\n".join(lines))
