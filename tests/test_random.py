"""Keyed streams: what a shard draws follows from seed, name, call, step and shard alone."""

import copy
import hashlib
import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netlayers as nl
from netlayers import layers
from netlayers.core.layer import Layer
from netlayers.random import PARTS, KeyedStreams, Streams, keep_mask

WORDS = st.one_of(st.integers(0, 5), st.integers(0, 2**64 - 1))
# Draws that leave something behind: half of a word, a part of a block of four, or nothing.
DRAWS = {
    "raw": lambda rng: rng.bit_generator.random_raw(5),
    "double": lambda rng: rng.random(3),
    "single": lambda rng: rng.random(5, np.float32),
    "normal": lambda rng: rng.standard_normal(7),
    "normal32": lambda rng: rng.standard_normal(3, np.float32),
    "small": lambda rng: rng.integers(0, 10, 3, np.uint8),
    "half": lambda rng: rng.integers(0, 1000, 1, np.uint32),
    "order": lambda rng: rng.permutation(5),
}
NAMES = ["layer/dropout", "layer/residual/noise"]


def draw(rng, kinds=DRAWS):
    """Return what a generator gives in each way, as bytes."""
    return b"".join(np.asarray(DRAWS[kind](rng)).tobytes() for kind in kinds)


def numbers(seed=42, name=NAMES[0], call=0, step=0, shard=0):
    streams = KeyedStreams(seed)
    streams.rekey(step, shard)
    return draw(streams.get(name, call))


@given(
    st.lists(st.tuples(WORDS, WORDS, st.lists(st.sampled_from(sorted(DRAWS)))), max_size=6),
    WORDS,
    WORDS,
)
@settings(deadline=None)
def test_what_was_drawn_before_does_not_matter(before, step, shard):
    streams = KeyedStreams(42)
    generators = [streams.get(name, call) for name in NAMES for call in (0, 1)]
    for other_step, other_shard, kinds in before:
        streams.rekey(other_step, other_shard)
        for rng in generators:
            draw(rng, kinds)
    streams.rekey(step, shard)
    state = generators[0].bit_generator.state
    assert [state[n] for n in ("buffer_pos", "has_uint32", "uinteger")] == [4, 0, 0]
    got = [draw(rng) for rng in generators]
    expected = [numbers(42, name, call, step, shard) for name in NAMES for call in (0, 1)]
    assert got == expected


def test_draws_leave_something_behind():
    """Otherwise the test above would not see it if that were kept."""
    rng = KeyedStreams(0).get("layer/a")
    draw(rng, ["half", "raw"])
    state = rng.bit_generator.state
    assert (state["has_uint32"], state["buffer_pos"]) == (1, 2)


@given(st.permutations(range(5)), st.integers(0, 5), st.integers(0, 3))
@settings(deadline=None)
def test_order_and_number_of_shards(order, count, step):
    streams = KeyedStreams(1)
    rng = streams.get(NAMES[0])
    for shard in order[:count]:
        streams.rekey(step, shard)
        assert draw(rng) == numbers(1, step=step, shard=shard)


def test_what_tells_streams_apart():
    sizes = {"seed": range(2), "name": NAMES, "call": range(2), "step": range(3), "shard": range(3)}
    found = [
        numbers(**dict(zip(sizes, values, strict=True)))[:40]  # the raw words
        for values in itertools.product(*sizes.values())
    ]
    words = np.frombuffer(b"".join(found), np.uint64)
    assert len(words) == 5 * 72
    assert len(set(words.tolist())) == len(words)


def test_the_key_is_what_is_written_down():
    """Numbers stay the same for ever: key and counter as in the docstring, and NumPy's Philox."""
    text = b'[42, "layer/dropout", 3]'
    key = np.frombuffer(hashlib.blake2b(text, digest_size=16).digest(), "<u8")
    other = np.random.Generator(
        np.random.Philox(key=key, counter=np.array([0, 0, 5, 7], np.uint64))
    )
    streams = KeyedStreams(42)
    rng = streams.get("layer/dropout", 3)
    streams.rekey(7, 5)
    assert draw(rng) == draw(other)
    streams.rekey(7, 5)
    assert rng.bit_generator.random_raw() == 2910804527591433839


def test_generators_stay_the_same_objects():
    streams = KeyedStreams(3)
    rng, bits = streams.get("layer/a"), streams.get("layer/a").bit_generator
    streams.rekey(1, 2)
    assert streams.get("layer/a") is rng
    assert rng.bit_generator is bits
    late = streams.get("layer/b")  # asked for after the shard was begun
    assert draw(late) == numbers(3, "layer/b", step=1, shard=2)


def test_initial_values_are_those_of_ordinary_streams():
    a, b = Streams(5).new("dense/kernel"), KeyedStreams(5).new("dense/kernel")
    assert draw(a) == draw(b)


@pytest.mark.parametrize("place", [(-1, 0), (0, -1), (2**64, 0), (0, 2**64)])
def test_words_that_are_too_large(place):
    streams = KeyedStreams(3)
    streams.get("layer/a")
    with pytest.raises(OverflowError):
        streams.rekey(*place)


# Layers ------------------------------------------------------------------------------------------


def network(dtype=None):
    inner = [layers.GaussianNoise(0.5), layers.Dropout(0.5)]
    drops = [layers.Dropout(0.5), layers.GaussianNoise(1.0), layers.AlphaDropout(0.25)]
    chain = [*drops, nl.Sequential(inner, name="inner"), layers.GaussianDropout(0.25)]
    model = nl.Sequential([*chain, layers.Dense(2)], seed=7, dtype=dtype)
    model.build((None, 3))
    model.compile("sgd", "mse")
    return model


SHARDS = np.random.default_rng(0).normal(size=(4, 5, 3))


def outputs(model, streams, order, step=3):
    """Return what each shard gives in training, by its number."""
    found = {}
    for shard in order:
        streams.rekey(step, shard)
        found[shard] = np.array(model.forward(SHARDS[shard], training=True))
    return [found[shard].tobytes() for shard in sorted(found)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layers_draw_the_same_in_every_order(dtype):
    model, streams = network(dtype), KeyedStreams(7)
    model._use_streams(streams)
    first = outputs(model, streams, range(4))
    for order in itertools.permutations(range(4)):
        assert outputs(model, streams, order) == first
    for shard in range(4):  # each in a process of its own
        other = network(dtype)
        other._use_streams(alone := KeyedStreams(7))
        assert outputs(other, alone, [shard]) == [first[shard]]
    assert all(
        a != b for a, b in zip(outputs(model, streams, range(4), step=4), first, strict=True)
    )


def test_each_layer_has_a_stream_of_its_own():
    model, streams = network(), KeyedStreams(7)
    model._use_streams(streams)
    random = [part for part in model._flatten_layers() if part.rng is not None]
    assert len(random) == 6
    streams.rekey(2, 1)
    assert [draw(part.rng) for part in random] == [
        numbers(7, f"layer/{part.path}", step=2, shard=1) for part in random
    ]


def by_pickle(thing):
    return pickle.loads(pickle.dumps(thing))


@pytest.mark.parametrize("copied", [copy.deepcopy, by_pickle])
def test_copies_of_streams(copied):
    """They stand at the same place, and go on alone."""
    streams = KeyedStreams(7)
    rngs = [streams.get(name) for name in NAMES]
    streams.rekey(3, 1)
    draw(rngs[0], ["half", "raw"])
    keyed, others, alone = copied((streams, rngs, rngs[0]))
    assert others == [keyed.get(name) for name in NAMES]
    assert alone is others[0]
    streams.rekey(9, 9)
    expected = draw(rngs[0])
    keyed.rekey(3, 1)
    draw(alone, ["half", "raw"])
    assert draw(copied(alone)) == draw(alone) != expected
    assert draw(others[1]) == numbers(7, NAMES[1], step=3, shard=1)
    streams.rekey(9, 9)
    assert draw(rngs[0]) == expected  # by its own key and counter


@pytest.mark.parametrize("copied", [copy.deepcopy, by_pickle])
def test_copies_of_models(copied):
    """A copy draws from the model's own streams, until it is given others."""
    model, plain, streams = network(), network(), KeyedStreams(7)
    model._use_streams(streams)
    first = outputs(model, streams, range(4))
    other = copied(model)
    x = SHARDS[0]
    assert (other.forward(x, training=True) == plain.forward(x, training=True)).all()
    other._use_streams(keyed := copied(streams))
    assert outputs(other, keyed, [2, 0, 3, 1]) == first
    assert outputs(model, streams, [3, 1, 2, 0]) == first


def test_a_model_is_saved_without_the_state_of_keyed_streams(tmp_path):
    model, plain = network(), network()
    for one in (model, plain):
        one.fit(SHARDS.reshape(-1, 3), np.zeros((20, 2)), batch_size=5, verbose=0)
    model._use_streams(streams := KeyedStreams(7))
    outputs(model, streams, range(4))
    assert type(copy.deepcopy(model.layers[0]).rng) is type(model.layers[0].rng)
    model.save(tmp_path / "keyed")
    again = nl.load_model(tmp_path / "keyed")
    again._use_streams(other := KeyedStreams(7))
    assert outputs(again, other, range(4)) == outputs(model, streams, range(4))
    # In an ordinary run it goes on with the ordinary streams, where these stood.
    again, x = nl.load_model(tmp_path / "keyed"), SHARDS[0]
    assert (again.forward(x, training=True) == plain.forward(x, training=True)).all()


class OwnPhilox(Layer):
    """A layer with a generator of another kind, as a user may write one."""

    random = True

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.own = np.random.Generator(np.random.Philox(3))

    def forward(self, x, training=False):
        return self.prepare(x) + self.own.random()


def test_a_philox_of_a_layer_is_saved(tmp_path):
    model = nl.Sequential([OwnPhilox(), layers.Dense(1)], seed=0)
    model.build((None, 3))
    model.layers[0].own.random(5)
    model.layers[0].own.integers(0, 9, 1, np.uint32)
    model.save(tmp_path / "m")
    again = nl.load_model(tmp_path / "m", {"OwnPhilox": OwnPhilox})
    assert draw(again.layers[0].own) == draw(model.layers[0].own)


# How the numbers are spread ----------------------------------------------------------------------


def test_words_over_streams_are_uniform():
    """The first words of many shards: each bit is set half of the time, bytes are spread evenly."""
    streams = KeyedStreams(0)
    rng = streams.get("layer/a")
    words = []
    for step in range(64):
        for shard in range(64):
            streams.rekey(step, shard)
            words.append(rng.bit_generator.random_raw(4))
    raw = np.array(words, np.uint64)
    n = raw.size
    bits = np.unpackbits(raw.reshape(-1, 1).view(np.uint8), axis=1).sum(axis=0)
    assert np.abs(bits - n / 2).max() < 5 * np.sqrt(n / 4)
    counts = np.bincount(raw.view(np.uint8).ravel(), minlength=256)
    expected = n * 8 / 256
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert abs(chi2 - 255) < 5 * np.sqrt(2 * 255)
    # Shards that follow each other, and words within one, have nothing to do with each other.
    x = (raw >> np.uint64(11)) * 2.0**-53 - 0.5
    for a, b in ((x[:-1], x[1:]), (x[:, :-1], x[:, 1:]), (x[:-64], x[64:])):
        assert abs((a * b).mean() * 12) < 5 / np.sqrt(a.size)


@given(st.integers(0, PARTS), st.integers(1, 70000))
@settings(deadline=None, max_examples=30)
def test_masks(dropped, size):
    rng = KeyedStreams(2).get("layer/a")
    words = KeyedStreams(2).get("layer/a").bit_generator.random_raw(-(-size // 4))
    mask = np.empty(size, bool)
    keep_mask(rng, dropped, mask)
    # Chunks take whole words, so that they do not matter.
    assert (mask == (words.view(np.uint16)[:size] >= dropped)).all()
    q = dropped / PARTS
    assert abs(mask.mean() - (1 - q)) <= 6 * np.sqrt(q * (1 - q) / size) + 1e-9 + 4 / size
