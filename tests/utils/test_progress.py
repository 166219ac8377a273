"""What Progbar writes, update by update, the order of the images of a folder, and plot_model."""

import os

import numpy as np
import pytest

from netlayers import utils
from netlayers.errors import ConfigurationError
from tests.golden import check_text, messages

CASES = {
    "plain": {"target": 4},
    "narrow": {"target": 12, "width": 3, "unit_name": "row"},
    "no target": {"target": None, "unit_name": "row"},
    "no target, at the end": {"target": None, "verbose": 2},
    "silent": {"target": 2, "verbose": 0},
    "one line": {"target": 4, "verbose": 2},
    "often": {"target": 4, "interval": 0},
    "seldom": {"target": 4, "interval": 2.5},
    "stateful": {"target": 4, "stateful_metrics": ["b"]},
    "nothing": {"target": 0},
}


def test_what_a_progress_bar_writes(monkeypatch, capsys):
    lines, now = [], [10.0]
    monkeypatch.setattr("netlayers.utils.progress.time.monotonic", lambda: now[0])
    for title, options in CASES.items():
        lines.append(title)
        bar = utils.Progbar(**{"interval": 1, **options})
        for step, values, finalize, passed in (
            (1, [("a", 1.0), ("b", 2.0)], None, 0), (1, [("a", 4.0)], None, 0.5),
            (3, [("a", 3.0), ("b", 5.0)], None, 0.5), (3, None, None, 1.0),
            (4, {"c": 12345.678}.items(), None, 0.25), (5, (), False, 0.25), (5, [], True, 0),
        ):  # fmt: skip
            now[0] += passed
            bar.update(step, values, finalize)
            lines.append(f"  {step} {capsys.readouterr().out!r}")
        now[0] += 3
        bar.add(2, [("a", 1.0)])
        bar.add(1)
        lines.append(f"  added {capsys.readouterr().out!r}")
    wrong = (
        {"target": "a"}, {"target": 1.5}, {"width": 0}, {"verbose": 3}, {"verbose": "auto"},
        {"interval": -1}, {"interval": "a"}, {"stateful_metrics": 3}, {"stateful_metrics": "ab"},
    )  # fmt: skip
    cases = [(f"{w}", lambda w=w: utils.Progbar(**{"target": 3, **w})) for w in wrong]
    check_text(__file__, "progress.txt", "\n".join([*lines, messages(cases)]))


def test_images_are_in_the_order_of_folders_and_names(tmp_path, monkeypatch, capsys):
    """Whatever order the file system has."""
    pytest.importorskip("PIL")
    for name in ("b/2.png", "b/1.png", "b/x/3.png", "b/a/9.PNG", "a/0.png", "a/5.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if name.lower().endswith(".png"):
            value = int(os.path.basename(name)[0])
            utils.save_img(tmp_path / name, np.full((2, 3, 3), value), "channels_last", scale=False)
    walk = os.walk

    def backwards(folder, **options):
        return [(place, folders, names[::-1]) for place, folders, names in walk(folder, **options)][
            ::-1
        ]

    monkeypatch.setattr(os, "walk", backwards)
    for options in ({}, {"labels": None}, {"labels": [3, 1, 0, 2, 0]}, {"batch_size": None}):
        data = utils.image_dataset_from_directory(
            tmp_path, **{"image_size": (2, 3), "batch_size": 2, "shuffle": False, **options}
        )
        names = [os.path.relpath(p, tmp_path).replace(os.sep, "/") for p in data.file_paths]
        assert names == ["a/0.png", "b/1.png", "b/2.png", "b/a/9.PNG", "b/x/3.png"]
        found = [data[i] for i in range(len(data))]
        labels = [batch[1] for batch in found] if isinstance(found[0], tuple) else []
        images = [batch[0] if isinstance(batch, tuple) else batch for batch in found]
        whole = np.concatenate([i.reshape(-1, 2, 3, 3) for i in images])
        np.testing.assert_array_equal(whole[:, 0, 0, 0], [0, 1, 2, 9, 3])
        expected = {"None": [], "[3, 1, 0, 2, 0]": [3, 1, 0, 2, 0]}
        expected = expected.get(str(options.get("labels", "inferred")), [0, 1, 1, 1, 1])
        assert [*map(int, np.hstack(labels) if labels else [])] == expected
        for wrong in (len(data), -1):
            with pytest.raises(IndexError):
                data[wrong]
        classes = {"None": "", "[3, 1, 0, 2, 0]": " belonging to 4 classes"}
        told = classes.get(str(options.get("labels", "inferred")), " belonging to 2 classes")
        assert capsys.readouterr().out == f"Found 5 files{told}.\n"


def test_plot_model_hands_its_arguments_on():
    class Model:
        def plot(self, *arguments):
            return arguments

    assert utils.plot_model(Model()) == ("model.png", False, False, False, 200, None)
    given = utils.plot_model(Model(), None, True, False, True, "LR", True, 50, True, False)
    assert given == (None, True, True, True, 50, "LR")
    for name in ("show_dtype", "show_trainable"):
        with pytest.raises(ConfigurationError) as raised:
            utils.plot_model(Model(), **{name: True})
        assert str(raised.value) == f"plot_model: {name}=True is not supported; leave it out."
