"""CSVLogger, compared with the files that Keras writes."""

import csv
import json

import numpy as np
import pytest

from netlayers.callbacks import CSVLogger, LambdaCallback
from netlayers.errors import ConfigurationError
from tests.callbacks.runs import X, Y, make


def drive(callback, epochs, first=0):
    callback.set_model(None)
    callback.on_train_begin({})
    for epoch, logs in enumerate(epochs, first):
        callback.on_epoch_end(epoch, logs)
    callback.on_train_end({})


def read(path):
    return path.read_bytes().decode()


# The two files are, to the byte, what the CSVLogger of Keras 3.15.1 writes for these logs.
def test_csv_as_keras(tmp_path):
    path = tmp_path / "log.csv"
    first = {"loss": 1.0, "accuracy": 0.5}
    second = {"loss": 0.9, "accuracy": 0.6, "val_loss": 2.0, "val_accuracy": 0.1}
    logger = CSVLogger(path)
    drive(logger, [first, second])
    expected = (
        "epoch,accuracy,loss,val_accuracy,val_loss\r\n0,0.5,1.0,NA,NA\r\n1,0.6,0.9,0.1,2.0\r\n"
    )
    assert read(path) == expected
    drive(logger, [{"loss": 1.0, "val_loss": np.nan}])  # again: written over
    assert read(path) == "epoch,loss,val_loss\r\n0,1.0,nan\r\n"


def test_csv_is_readable_after_each_epoch(tmp_path):
    path, seen = tmp_path / "log.csv", []
    look = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(len(read(path).split())))
    fail = LambdaCallback(on_epoch_begin=lambda epoch, logs: 1 // (2 - epoch))
    with pytest.raises(ZeroDivisionError):
        make().fit(X, Y, epochs=9, callbacks=[CSVLogger(path), look, fail], verbose=0)
    assert seen == [2, 3]  # the header and the lines
    assert read(path).endswith("\r\n")


def test_csv_arrays_separators_and_the_rate(tmp_path):
    path = tmp_path / "log.csv"
    logs = {"loss": 1.0, "matrix": np.array([[1, 2], [3, 4]]), "learning_rate": 0.1, "text": "a;b"}
    drive(CSVLogger(path, separator=";"), [logs])
    with open(path, newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file, delimiter=";")
    assert list(row)[:5] == ["epoch", "learning_rate", "loss", "matrix", "text"]
    assert "val_learning_rate" not in row
    assert json.loads(row["matrix"]) == [[1, 2], [3, 4]]
    assert row["text"] == "a;b"
    assert row["val_loss"] == "NA"


def test_csv_goes_on_in_the_columns_of_the_file(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss,accuracy\n0,1.0,0.5\n1,0.9")  # the last line was cut by a crash
    logger = CSVLogger(path, append=True)
    drive(logger, [{"accuracy": 0.7, "loss": 0.8}], first=2)
    assert read(path).splitlines() == ["epoch,loss,accuracy", "0,1.0,0.5", "1,0.9", "2,0.8,0.7"]
    with pytest.warns(UserWarning, match="no column for val_loss"):
        drive(logger, [{"loss": 0.7, "val_loss": 1.0}], first=3)
    assert read(path).splitlines()[-1] == "3,0.7,NA"
    new = tmp_path / "new.csv"
    drive(CSVLogger(new, append=True), [{"loss": 1.0}])
    assert read(new).splitlines() == ["epoch,loss,val_loss", "0,1.0,NA"]


def test_csv_refuses(tmp_path):
    for separator in ("", ", ", "\n", None):
        with pytest.raises(ConfigurationError, match="separator"):
            CSVLogger(tmp_path / "log.csv", separator=separator)
    with pytest.raises(FileNotFoundError):
        make().fit(X, Y, callbacks=[CSVLogger(tmp_path / "no" / "log.csv")], verbose=0)
