"""Where a model may be written."""

import os
import stat

import pytest

import netlayers as nl

# One rule for the names of files ----------------------------------------------------------------

WRITERS = {
    "save": lambda model, name: model.save(name),
    "save_weights": lambda model, name: model.save_weights(name),
    "ModelCheckpoint": lambda _, name: nl.callbacks.ModelCheckpoint(name),
    "TerminateOnNaN": lambda _, name: nl.callbacks.TerminateOnNaN(snapshot=name),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_name_has_the_ending_of_the_format_or_none(writer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.build((None, 2))
    for name, better in (
        ("m.keras", "m.safetensors"),
        ("m.weights.h5", "m.weights.safetensors"),
        ("run-0.25", "run-0.25.safetensors"),
        ("of.tests/m.pt", "of.tests/m.safetensors"),
    ):
        with pytest.raises(nl.errors.ConfigurationError) as caught:
            WRITERS[writer](model, name)
        message = str(caught.value)
        assert message.startswith(f"{writer}: ")
        assert message.endswith(f"or have no ending, got '{name}'; pass '{better}'.")
    assert not os.listdir(tmp_path)
    for name in ("m", "of.tests/m", "m.safetensors", "m.weights.safetensors"):
        WRITERS[writer](model, name)
    if writer.startswith("save"):
        written = [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()]
        assert sorted(written) == ["m", "m.safetensors", "m.weights.safetensors", "of.tests/m"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04\x14\0\0\0\0\0", "a ZIP archive, such as Keras's .keras"),
        (b"\x89HDF\r\n\x1a\n\0\0", "an HDF5 file, such as Keras's .h5"),
        (b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c", "a pickle"),
    ],
)
def test_a_file_of_another_format_is_refused_by_the_name_of_that(content, kind, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(nl.errors.FileError, match=kind):
        nl.load_model(path)


# Arguments --------------------------------------------------------------------------------------


def test_paths(path, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.build((None, 2))
    model.save("~/home.safetensors")
    assert (tmp_path / "home.safetensors").exists()
    model.load_weights(b"~/home.safetensors")
    assert nl.load_model("~/home.safetensors", safe_mode=False).built
    calls = [nl.load_model, model.save, model.save_weights, model.load_weights]
    for call in calls:
        for wrong in ("", None, 3, "a\0b"):
            with pytest.raises(nl.errors.ConfigurationError, match="must be the path of a file"):
                call(wrong)
        with pytest.raises(nl.errors.FileError, match="a folder"):
            call(tmp_path)
    for make in (nl.callbacks.ModelCheckpoint, nl.callbacks.CSVLogger):
        with pytest.raises(nl.errors.ConfigurationError, match="must be the path of a file"):
            make(None)
    with pytest.raises(nl.errors.ConfigurationError, match="must be the path of a folder"):
        nl.callbacks.BackupAndRestore(None)
    with pytest.raises(nl.errors.FileError, match="expected a folder"):
        nl.callbacks.BackupAndRestore(tmp_path / "home.safetensors")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_neither_replaced_nor_waited_for(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.build((None, 2))
    for call in (nl.load_model, model.save, model.save_weights, model.load_weights):
        with pytest.raises(nl.errors.FileError, match="a pipe or a device"):
            call(path)
    assert stat.S_ISFIFO(path.stat().st_mode)
