"""``python -m netlayers``: what it prints, and its exit codes."""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import netlayers as nl
from netlayers.__main__ import _parser, main
from tests.golden import check_text

X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Files of a model in the current folder."""
    monkeypatch.chdir(tmp_path)
    model = nl.Sequential([nl.layers.Dense(5, "relu"), nl.layers.Dense(2)], seed=0)
    model.compile("adam", "mse")
    model.build((None, 4))
    model.save("m.safetensors")
    model.save_weights("w.safetensors")
    np.save("x.npy", X)
    return model


def test_summary(model, capsys):
    assert main(["summary", "m.safetensors"]) == 0
    printed = capsys.readouterr()
    model.summary()
    assert printed.out == capsys.readouterr().out != ""
    assert printed.err == ""


def test_summary_of_nested_layers(tmp_path, capsys):
    inner = nl.layers.Residual([nl.layers.Dense(4, name="inside")])
    model = nl.Sequential([nl.layers.Input((4,)), inner])
    model.save(tmp_path / "m")
    for options, shown in (([], False), (["--expand-nested"], True)):
        assert main(["summary", str(tmp_path / "m"), *options]) == 0
        assert ("inside (Dense)" in capsys.readouterr().out) == shown


def test_check(model, capsys):
    for name, kind in (("m", "a model with 37 numbers in 4 arrays"), ("w", "weights with 37")):
        assert main(["check", f"{name}.safetensors"]) == 0
        printed = capsys.readouterr()
        assert printed.out.startswith(f"{name}.safetensors: ok, {kind}")
        assert printed.err == ""


def test_check_finds_numbers_that_are_not_finite(model, capsys):
    model.weights[2][1, 1] = np.nan
    for save in (model.save, model.save_weights):
        save("bad.safetensors", allow_nonfinite=True)
        assert main(["check", "bad.safetensors"]) == 1
        expected = "dense_1/kernel: expected finite numbers, got NaN or infinite ones.\n"
        assert capsys.readouterr() == ("", f"netlayers: error: bad.safetensors: {expected}")


def test_check_finds_a_changed_byte(model, capsys):
    path = Path("m.safetensors")
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    assert main(["check", "m.safetensors"]) == 1
    assert "checksum" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["npy", "csv"])
def test_predict(ending, model, capsys):
    expected = model.predict(X)
    np.savetxt("x.csv", X, delimiter=",")
    np.savetxt("named.csv", X, delimiter=",", header="a,b,c,d", comments="", encoding="utf-8")
    for source in ("x.npy", "x.csv", "named.csv"):
        target = f"y.{ending}"
        assert main(["predict", "m.safetensors", "--input", source, "--output", target]) == 0
        found = np.load(target) if ending == "npy" else np.loadtxt(target, delimiter=",")
        np.testing.assert_array_equal(found.astype(np.float32), expected)
        assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("target", ["y.npy", "y.csv"])
@pytest.mark.parametrize("source", ["x.npy", "fortran.npy", "x.csv"])
def test_a_table_is_read_and_written_in_blocks(source, target, model, monkeypatch):
    x = np.random.default_rng(0).normal(size=(11, 4))
    np.save("x.npy", x)
    np.save("fortran.npy", np.asfortranarray(x))
    np.savetxt("x.csv", x, delimiter=",", fmt="%.17g")
    sizes = []
    predict = nl.Sequential.predict

    def seen(self, x, **options):
        sizes.append(len(x))
        return predict(self, x, **options)

    monkeypatch.setattr(nl.Sequential, "predict", seen)
    command = ["predict", "m.safetensors", "--input", source, "--output", target]
    assert main([*command, "--batch-size", "4"]) == 0
    assert sizes == [4, 4, 3]
    found = np.load(target) if target == "y.npy" else np.loadtxt(target, delimiter=",")
    expected = model.predict(x, batch_size=4)
    np.testing.assert_array_equal(found.astype(np.float32), expected)


def test_a_table_without_rows(model):
    np.save("x.npy", np.empty((0, 4)))
    command = ["predict", "m.safetensors", "--input", "x.npy", "--output", "y.npy"]
    assert main(command) == 0
    assert np.load("y.npy").shape == model.predict(np.empty((0, 4))).shape


@pytest.mark.slow
def test_predict_needs_memory_for_a_block_only(model):
    """A table of 800 MB, under a limit of 300 MB of data beyond what the program itself needs."""
    pytest.importorskip("resource")
    rows = 25_000_000
    x = np.lib.format.open_memmap("x.npy", "w+", np.float64, (rows, 4))  # a sparse file
    x[-1] = 1
    del x
    code = (
        "import resource, netlayers.__main__ as line\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (300_000_000,) * 2)\n"
        "raise SystemExit(line.main(['predict', 'm.safetensors', '--input', 'x.npy', "
        "'--output', 'y.npy', '--batch-size', '100000']))"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(nl.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert done.returncode == 0
    y = np.load("y.npy", mmap_mode="r")
    assert len(y) == rows
    np.testing.assert_allclose(y[-1:], model.predict(np.ones((1, 4))), rtol=1e-6)


def test_predict_prints_without_an_output(model, capfdbinary):
    assert main(["predict", "m.safetensors", "--input", "x.npy", "--batch-size", "2"]) == 0
    lines = capfdbinary.readouterr().out.splitlines()
    found = [[float(cell) for cell in line.split(b",")] for line in lines]
    np.testing.assert_allclose(found, model.predict(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["summary", "none"], "none: No such file or directory."),
        (["summary", "w.safetensors"], "w.safetensors: description: kind: expected model, got "),
        (["check", "x.npy"], "x.npy: first 8 bytes: expected the length of a header"),
        (["check", "."], ".: path: expected an ordinary file, got a folder."),
        (["predict", "m.safetensors", "--input", "no.csv"], "no.csv: No such file or directory."),
        (["predict", "m.safetensors", "--input", "no.npy"], "no.npy: No such file or directory."),
        (
            ["predict", "m.safetensors", "--input", "words.csv"],
            "predict: words.csv, line 2, column 2: expected a number, got 'two'.",
        ),
        (["predict", "m.safetensors", "--input", "objects.npy"], "predict: objects.npy is not a "),
        (["predict", "m.safetensors", "--input", "one.npy"], "predict: one.npy holds a single "),
        (["predict", "m.safetensors", "--input", "wide.npy"], "layer 'dense' (Dense): expected"),
        (
            ["predict", "m.safetensors", "--input", "x.npy", "--output", "./x.npy"],
            "predict: --output ./x.npy would replace a file that is read.",
        ),
        (
            ["predict", "m.safetensors", "--input", "x.npy", "--output", "folder/../x.npy"],
            "predict: --output folder/../x.npy would replace a file that is read.",
        ),
        (["predict", "w.safetensors", "--input", "x.npy"], "w.safetensors: description: kind"),
    ],
)
def test_an_error_is_one_sentence(arguments, message, model, capsys):
    Path("words.csv").write_text("a,b\n1,two\n")
    np.save("objects.npy", np.array([{}, None]), allow_pickle=True)
    np.save("wide.npy", np.ones((2, 7)))
    np.save("one.npy", np.float64(1))
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"netlayers: error: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [],
            "the following arguments are required: summary, check or predict; see python -m "
            "netlayers --help",
        ),
        (["train"], "argument command: invalid choice: 'train'"),
        (["predict", "m"], "the following arguments are required: --input; see "),
        (["predict", "m", "--input", "x.txt"], "argument --input: the name must end in .npy or"),
        (["predict", "m", "--input", "x.csv", "--output", "y.txt"], "argument --output: the name"),
    ],
)
def test_wrong_arguments_end_with_code_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"netlayers: error: {message}")
    assert err.count("\n") == 1


def test_a_name_of_a_file_cannot_move_the_cursor(tmp_path, capsys):
    assert main(["check", str(tmp_path / "a\x1b[2Jb")]) != 0
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "a\\x1b[2Jb" in err


def test_ctrl_c_ends_with_code_130(model, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("netlayers.__main__.load_model", interrupted)
    assert main(["summary", "m.safetensors"]) == 130
    assert capsys.readouterr() == ("", "netlayers: error: interrupted\n")


def test_as_a_program(model, tmp_path):
    def run(*arguments, **environment):
        done = subprocess.run(
            [sys.executable, "-m", "netlayers", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    code, out, err = run("--help")
    assert (code, err) == (0, "")
    assert all(f"    {name} " in out for name in ("summary", "check", "predict"))
    assert run("--version") == (0, f"netlayers {nl.__version__}\n", "")
    code, out, err = run("check", "none", NETLAYERS_DEBUG="1")
    assert (code, out) == (1, "")
    assert err.startswith("Traceback")
    assert err.endswith("netlayers: error: none: No such file or directory.\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "x.csv has no rows of numbers."),
        (b"a,b\n", "x.csv has no rows of numbers."),
        (b"1,2\n1,2,3\n", "x.csv, line 2: expected 2 cells, as in the first row, got 3."),
        (
            b"1;2\n3;4\n",
            "x.csv, line 2, column 1: expected a number, got '3;4': separate cells by ",
        ),
        (b"1,2,,4\n", "x.csv, line 1, column 3: expected a number, got ''."),  # no names
        (b"a,b\n\n1,2\n3,\n", "x.csv, line 4, column 2: expected a number, got ''."),
        (b"1,2\n\xff,3\n", "x.csv is not a CSV file: 'utf-8' codec can't decode"),
    ],
)
def test_tables_with_faults(text, message, model, capsys):
    Path("x.csv").write_bytes(text)
    assert main(["predict", "m.safetensors", "--input", "x.csv"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"netlayers: error: predict: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "text",
    [
        "a,b,c,d\n1,2,3,4\n",
        "1,2,3,4\n",
        "\ufeffa,b,c,d\r\n\r\n1,2,3,4\r\n",
        '"1","2",3,4',
    ],
)
def test_tables(text, model):
    Path("X.CSV").write_text(text, encoding="utf-8")
    assert main(["predict", "m.safetensors", "--input", "X.CSV", "--output", "Y.NPY"]) == 0
    np.testing.assert_allclose(np.load("Y.NPY"), model.predict([[1, 2, 3, 4]]), rtol=1e-5)


@pytest.mark.parametrize("content", [b"hello", b"", b"PK\x03\x04" + bytes(30)])
def test_a_npy_file_that_is_none(content, model, capsys):
    Path("bad.npy").write_bytes(content)
    assert main(["predict", "m.safetensors", "--input", "bad.npy"]) == 1
    expected = "predict: bad.npy is not a .npy file that holds an array of numbers.\n"
    assert capsys.readouterr().err == f"netlayers: error: {expected}"


def test_an_archive_that_is_named_npy(model, capsys):
    np.savez("a.npz", x=X)
    os.rename("a.npz", "bad.npy")
    assert main(["predict", "m.safetensors", "--input", "bad.npy"]) == 1
    assert "bad.npy is not a .npy file" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["0", "-1", "1.5", "two", "²"])
def test_a_batch_size_that_is_none(size, model, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["predict", "m.safetensors", "--input", "x.npy", f"--batch-size={size}"])
    assert ended.value.code == 2
    assert f"expected a whole number above 0, got {size!r}" in capsys.readouterr().err


def test_a_model_with_two_outputs(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = nl.Input((4,))
    nl.Model(x, [nl.layers.Dense(1)(x), nl.layers.Dense(2)(x)]).save("two")
    np.save("x.npy", X)
    assert main(["predict", "two", "--input", "x.npy"]) == 1
    expected = "predict: the model has 2 outputs; a table holds one of them.\n"
    assert capsys.readouterr() == ("", f"netlayers: error: {expected}")


def test_what_the_arguments_say():
    parser = _parser()
    (commands,) = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    lines = [f"{parser.prog}: {parser.description} {commands.metavar} {commands.required}"]
    lines += [f"  {a.dest}: {a.help}" for a in commands._choices_actions]
    for name, its in commands.choices.items():
        lines.append(f"{name}: {its.description}")
        for a in its._actions:
            lines.append(f"  {a.option_strings} {a.dest} {a.metavar} {a.required} {a.help}")
            lines.append(f"    {type(a).__name__} {a.nargs} {a.default} {a.type}")
    text = re.sub(r" at 0x\w+", "", "\n".join(lines))
    check_text(__file__, "arguments.txt", text)


def test_without_a_command(capsys):
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "arguments are required: summary, check or predict; see" in capsys.readouterr().err


class Doubled(nl.layers.Dense):
    """A layer that the command line does not know."""


@pytest.mark.parametrize("command", ["summary", "check"])
def test_a_model_with_a_class_of_the_user(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    nl.Sequential([nl.layers.Input((3,)), Doubled(2)]).save("m")
    assert main([command, "m"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("netlayers: error: m: unknown layer 'Doubled'. No class of yours is ")
    assert err.endswith("use nl.load_model(path, custom_objects={...}) in Python.\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device")
def test_a_full_disk(model):
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "netlayers", "summary", "m.safetensors"]
        environment = os.environ | {"PYTHONPATH": str(Path(nl.__file__).parents[1])}
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith("netlayers: error: No space left on device.")
