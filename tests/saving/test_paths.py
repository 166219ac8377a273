"""Where a model may be written."""

import os
import stat

import pytest

import netlayers as nl

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
