"""The examples of texts and series, on small settings and data that are made up."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import netlayers as nl

FOLDER = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def seed_is_forgotten():
    """Forget the seed that an example sets."""
    yield
    nl.random.forget_seed()


def example(name):
    """Return an example as a module."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_questions_have_different_numbers():
    addition = example("addition_rnn")
    asked = addition.questions(55, 1, np.random.default_rng(0))  # all of one digit
    pairs = {tuple(sorted(map(int, text.split("+")))) for text in asked}
    assert len(pairs) == len(asked) == 55
    assert all(sum(map(int, text.split("+"))) == int(answer) for text, answer in asked.items())
    x = addition.one_hot(["1+2", "7"], 4)
    assert x.shape == (2, 4, 12)
    assert "".join(addition.CHARS[i] for i in x[1].argmax(axis=1)) == "7   "


def test_windows_continue_those_of_the_batch_before():
    codes = np.arange(50)
    x, y = example("character_rnn").windows(codes, batch=3, steps=4)
    assert x.shape == y.shape == (12, 4)
    np.testing.assert_array_equal(y, x + 1)
    for part, start in enumerate((0, 16, 32)):
        np.testing.assert_array_equal(x[part::3].ravel(), np.arange(start, start + 16))


def test_characters_are_written_with_the_state_kept():
    character = example("character_rnn")
    model = character.make_model(5, 6, 1, 0.0, 1)
    model.build((1, None))
    model.set_weights([4 * w for w in model.get_weights()])
    # The likeliest character each time: the same from the whole text as from single characters.
    text = character.write(model, "abcde", "ab", 8, temperature=1.0, top_p=1e-9)
    model.reset_states()
    codes = ["abcde".index(char) for char in text]
    likeliest = model.predict(np.array([codes]), verbose=0)[0].argmax(axis=1)
    assert len(text) == 10
    assert likeliest[1:-1].tolist() == codes[2:]


def test_dates_are_written_step_by_step_as_they_were_trained(monkeypatch, capsys):
    dates = example("seq2seq")
    found = {}
    translate = dates.translate

    def kept(encoder, decoder, x, longest=11):
        found["x"], found["said"] = x, translate(encoder, decoder, x, longest)
        return found["said"]

    make = dates.make
    monkeypatch.setattr(dates, "translate", kept)
    monkeypatch.setattr(dates, "make", lambda units: found.setdefault("model", make(units)))
    assert dates.main(count=100, units=8, epochs=1) == 0.0  # nothing is learned in one pass
    assert "of 1,000 test dates are right" in capsys.readouterr().out
    late = dates.one_hot([dates.START + text for text in found["said"]], dates.OUTPUT, 12)
    likeliest = found["model"].predict([found["x"], late], verbose=0).argmax(axis=2)
    for row, text in zip(likeliest, found["said"], strict=True):
        assert "".join(dates.OUTPUT[i] for i in row[: len(text)]) == text


def test_all_forms_of_a_date_are_drawn():
    dates = example("seq2seq")
    texts, answers = dates.draw(200, np.random.default_rng(0))
    assert len(set(answers)) == 200
    assert set("".join(texts)) <= set(dates.INPUT)
    assert any("rd of" in text for text in texts)
    assert any("/" in text for text in texts)


def test_sentences_are_classified(monkeypatch, capsys, tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("train", 120), ("test", 20)):
        rows = rng.integers(0, 2, count)
        lines = [f"{row} {'Who' if row else 'Where'} is the {rng.integers(9)} ?" for row in rows]
        (tmp_path / f"TREC.{part}.all").write_text("\n".join(lines))
    monkeypatch.setattr(sys, "argv", ["sentences.py", "--data", str(tmp_path), "--epochs", "3"])
    example("sentences").main()
    assert "mean of 1: 100.0%" in capsys.readouterr().out


def demand(days, seed=0):
    """Return made-up demand, work days and temperatures."""
    rng = np.random.default_rng(seed)
    t = np.arange(48 * days)
    work = (t // 48 % 7 < 5).astype(float)
    load = 5 + np.sin(2 * np.pi * t / 48) + work + 0.2 * rng.normal(size=t.size)
    return np.column_stack([load, work, 20 + rng.normal(size=t.size)])


def test_forecasts_know_only_the_past_and_the_calendar():
    forecasting = example("forecasting")
    table, day = demand(40), forecasting.DAY
    later = table.copy()
    later[30 * day :, [0, 2]] += 100  # demand and temperature from midnight on
    starts = np.array([30 * day])
    (past, future), change = forecasting.Windows(table, 25 * day, 96).at(starts)
    (past2, future2), change2 = forecasting.Windows(later, 25 * day, 96).at(starts)
    np.testing.assert_array_equal(past, past2)
    np.testing.assert_array_equal(future, future2)
    assert np.abs(change2 - change).min() > 10


def test_forecast_of_the_last_day_of_the_same_kind():
    forecasting = example("forecasting")
    table = demand(10)
    like = forecasting.last_of_kind(table).reshape(-1, 48)
    days = table[:, 0].reshape(-1, 48)
    for day, same in ((1, 0), (6, 5), (7, 4), (9, 8)):
        np.testing.assert_array_equal(like[day], days[same])
    assert np.isnan(like[5]).all()  # the first day without work


def test_omega_of_music_has_the_gradient_of_its_formula():
    """The immediate derivative, and dh and dz of the layer: those of backpropagation."""
    music, rng = example("music"), np.random.default_rng(0)
    dh, u = rng.normal(size=(4, 3, 5)), rng.normal(size=(5, 5))
    dh[2, 1] = 0  # which counts for nothing
    dz = dh * rng.uniform(0.2, 1, dh.shape)
    value, d_u = music.omega(dh, dz, u)
    ratio = (((dz @ u.T) ** 2).sum(axis=2) / np.maximum((dh**2).sum(axis=2), 1e-9)).ravel()
    assert value == pytest.approx(np.mean((np.delete(ratio, 7) - 1) ** 2))
    for i in ((0, 0), (3, 1)):
        moved = [u.copy(), u.copy()]
        moved[0][i] += 1e-6
        moved[1][i] -= 1e-6
        above, below = (music.omega(dh, dz, each)[0] for each in moved)
        assert d_u[i] == pytest.approx((above - below) / 2e-6, rel=1e-6)

    x, dy = rng.normal(size=(3, 6, 5)), rng.normal(size=(3, 6, 5))
    gradients = []
    for alpha in (0.0, 2.0):
        layer = music.RegularizedRNN(5, alpha, return_sequences=True, dtype="float64")
        layer.build((None, 6, 5))
        layer.kernel[...], layer.recurrent_kernel[...] = np.eye(5), u  # so dx is dz
        h = layer.forward(x, training=True).swapaxes(0, 1).copy()
        dz = layer.backward(dy).swapaxes(0, 1)
        gradients.append(layer.d_recurrent_kernel.copy())
    expected = 2 * music.omega((dz / (1 - h**2))[1:], dz[1:], u)[1]
    np.testing.assert_allclose(gradients[1] - gradients[0], expected)
