"""Mutated model files: each of them is a model or the one exception, in bounded time and memory.

    python tests/saving/fuzz.py [number of files] [seed]

Prints a table of what came out. The tests use the mutations too, in a smaller number.
"""

import copy
import hashlib
import importlib.util
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

import netlayers as nl
from netlayers.errors import FileError

try:
    import resource
except ImportError:  # not of POSIX
    resource = None

_place = Path(__file__).parent / "golden" / "v2_cases.py"
_spec = importlib.util.spec_from_file_location("v2_cases", _place)
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)

START = b'{"__metadata__":{"checksum":"'
SECONDS = 5  # of the processor; a file of a few KB takes milliseconds
MEMORY = 256 << 20  # that all of them together may add to the process

# Files that are whole -----------------------------------------------------------------------------


def whole_files(folder):
    """Return some models and the bytes of their files: ``{name: (model, bytes)}``."""
    nl_, found = nl.layers, {}
    x = np.random.default_rng(0).normal(size=(16, 4))
    y = np.arange(16) % 3
    layers = [nl_.Dense(6, "relu", kernel_regularizer="l2", kernel_constraint="max_norm")]
    layers += [nl_.BatchNormalization(), nl_.Dropout(0.2), nl_.Dense(3, "softmax")]
    plain = nl.Sequential(layers, seed=1)
    schedule = nl.optimizers.schedules.CosineDecay(0.01, 100)
    optimizer = nl.optimizers.AdamW(schedule, use_ema=True, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    plain.compile(optimizer, "crossentropy", metrics=["accuracy", nl.metrics.AUC()])
    plain.fit(x, y, verbose=0)
    normalization = nl_.Normalization()
    normalization.adapt(x)
    inner = nl.Sequential([nl_.Input((5,)), nl_.Dense(4, "gelu"), nl_.GaussianNoise(0.1, seed=2)])
    nested = [normalization, nl_.Residual([nl_.Dense(5)]), inner]
    nested += [nl_.Parallel([[nl_.Dense(2)], nl_.Dense(3), []]), nl_.Dense(1)]
    nested = nl.Sequential(nested, dtype="float64")
    nested.compile("sgd", nl.losses.Huber(), metrics=nl.metrics.R2Score())
    nested.fit(x, x[:, :1], verbose=0)
    unbuilt = nl.Sequential([nl_.Dense(3), nl_.LayerNormalization()], name="later")
    every = cases.train(cases.model(), 2)  # a file of version 2
    models = {"plain": plain, "nested": nested, "unbuilt": unbuilt, "every": every}
    for name, model in models.items():
        path = Path(folder) / name
        nl.saving.save_model(model, path, arrays={"order": np.arange(3)}, extra={"best": np.inf})
        found[name] = model, path.read_bytes()
        if model.built:  # what is read into it has to show
            model.parameters.values[...] += 1
            model.parameters.statistics[...] += 1
            model._streams.get("shuffle").random()
            model.optimizer.iterations += 1
            for vector in model.optimizer.state.values():
                vector += 1
    every.layers[1].words = ["another"]
    every.layers[2].count[...] += 1
    every.reset_states()
    return found


def opened(data):
    """Return the entries, the description and the arrays' bytes of a file."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    return header, json.loads(header.pop("__metadata__")["description"]), data[8 + length :]


def sealed(entries, description, body, edit=lambda text: text):
    """Return the bytes of a file whose checksum of the header is right, whatever it says.

    ``entries`` and ``description`` are dicts, or texts that need not be JSON; ``edit`` changes the
    text of the header.
    """
    if not isinstance(description, str):
        description = json.dumps(description)
    if not isinstance(entries, str):
        entries = json.dumps(entries)
    metadata = json.dumps({"format": "netlayers", "description": description})
    text = edit('",' + metadata[1:] + ("," if len(entries) > 2 else "") + entries[1:])
    tail = text.encode("utf-8", "surrogatepass")
    tail += b" " * (-(8 + len(START) + 64 + len(tail)) % 64)
    length = (len(START) + 64 + len(tail)).to_bytes(8, "little")
    return length + START + hashlib.sha256(length + tail).hexdigest().encode() + tail + body


def with_checksums(entries, description, body):
    """Return a description with the right checksums of whatever the arrays are."""
    found = {}
    for name, entry in entries.items():
        try:
            start, stop = entry["data_offsets"]
            found[name] = hashlib.sha256(body[start:stop]).hexdigest()
        except (KeyError, TypeError, ValueError):
            found[name] = "0" * 64
    return {**description, "checksums": found}


# Mutations ----------------------------------------------------------------------------------------

NAMES = ["Dense", "Sequential", "Residual", "Adam", "os.system", "builtins.eval", "Lambda", "relu"]
VALUES = [0, 1, -1, 2, 3, 10**6, 10**12, 2**47, 2**63, 2**64, 10**400, -(10**12), 0.5, 1e300, -0.0]
VALUES += [None, True, False, "", "a", "float64", "\ud800", "x" * 5000, [], {}, [[]], [None], [-1]]
VALUES += [{"$float": "nan"}, {"$float": "inf"}, {"$float": 3}, [10**12] * 3, list(range(200))]
VALUES += [{"class_name": name, "config": {}} for name in NAMES]
VALUES += [{"class_name": "Dense", "config": {"units": 10**12}}, {"custom": "open"}, *NAMES]
TEXTS = ["NaN", "Infinity", "1e999", "[" * 5000, '{"a":' * 5000, "[" * 100_000, "\x00", "é", "{}"]
TEXTS += ['"format":"netlayers",', "9" * 5000, "," * 10_000, "//", "'", "\\ud800", "[]" * 10, '"']


def places_in(value, found=None):
    """Return every (container, key) in nested dicts and lists."""
    found = [] if found is None else found
    for key in value if isinstance(value, dict) else range(len(value)):
        found.append((value, key))
        if isinstance(value[key], (dict, list)):
            places_in(value[key], found)
    return found


def edited(value, rng, times):
    """Return a copy of nested data with some places replaced, deleted, renamed or swapped."""
    value = copy.deepcopy(value)
    for _ in range(times):
        places = places_in(value)
        if not places:
            break
        container, key = rng.choice(places)
        how = rng.randrange(6)
        if how <= 2:
            container[key] = copy.deepcopy(rng.choice(VALUES))
        elif how == 3:
            del container[key]
        elif how == 4:
            other, place = rng.choice(places)
            container[key] = copy.deepcopy(other[place])
        elif isinstance(container, list):
            container.extend(copy.deepcopy(container[key]) for _ in range(rng.choice([1, 3, 50])))
        else:
            container[str(rng.choice(["x", "dense/kernel", "name", *NAMES]))] = container.pop(key)
    return value


def flip(data, rng, _):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        place = rng.randrange(min(len(data), rng.choice([8, 100, 10**9])))
        data[place] ^= 1 << rng.randrange(8)
    return bytes(data)


def cut(data, rng, _):
    place = rng.randrange(len(data))
    return rng.choice([data[:place], data[place:], data + data[:place], data + b"\0" * 64])


def splice(data, rng, other):
    a, b = sorted(rng.randrange(len(data)) for _ in range(2))
    c = rng.randrange(len(other))
    return rng.choice(
        [
            data[:a] + other[c : c + b - a] + data[b:],
            data[:a] + other[c:],
            data[:a] + data[b:],
            data[:a] + rng.randbytes(b - a) + data[b:],
        ]
    )


def length(data, rng, _):
    new = rng.choice(
        [0, 1, 8, 100, len(data), 2**31, 2**63, 2**64 - 1, rng.randrange(2 * len(data))]
    )
    return new.to_bytes(8, "little") + data[8:]


def entries_edited(data, rng, _):
    entries, description, body = opened(data)
    entries = edited(entries, rng, rng.choice([1, 1, 2, 5]))
    if rng.random() < 0.5:
        description = with_checksums(entries, description, body)
    if rng.random() < 0.2:
        body += b"\0" * rng.choice([1, 8, 64])
    return sealed(entries, description, body)


def description_edited(data, rng, _):
    entries, description, body = opened(data)
    return sealed(entries, edited(description, rng, rng.choice([1, 1, 1, 2, 5])), body)


def model_edited(data, rng, _):
    """Edit the architecture, the settings of compile, the counters or the random streams."""
    entries, description, body = opened(data)
    keys = ["model", "compile", "optimizer", "random", "built", "weights", "extra"]
    keys = [key for key in [*keys, "states", "assets"] if description.get(key)]
    key = rng.choice([*keys, "model"])
    description[key] = edited(description[key], rng, rng.choice([1, 1, 2]))
    return sealed(entries, description, body)


def array_edited(data, rng, _):
    """Other numbers, under the right checksums: such a file is a model."""
    entries, description, body = opened(data)
    body = bytearray(body)
    for _ in range(4 if body else 0):
        body[rng.randrange(len(body))] = rng.randrange(256)
    return sealed(entries, with_checksums(entries, description, bytes(body)), bytes(body))


def renamed(data, rng, _):
    """Arrays added, dropped, renamed or of another shape, under the right checksums."""
    entries, description, body = opened(data)
    names = list(entries)
    for _ in range(rng.choice([1, 2])):
        name = rng.choice(names)
        if name not in entries:
            continue
        how = rng.randrange(4)
        if how == 0:
            entries[rng.choice(["x", "extra.x", "optimizer.x", "memory/state.x"])] = entries.pop(
                name
            )
        elif how == 1:
            shape = entries[name]["shape"]
            entries[name]["shape"] = rng.choice([shape[::-1], [1, *shape], [*shape, 1], shape[:1]])
        elif how == 2:
            entries[f"extra.{rng.random()}"] = {
                "dtype": "F32",
                "shape": [0],
                "data_offsets": [0, 0],
            }
        else:
            entries[name]["dtype"] = rng.choice(["F16", "I32", "F64", "U8", "BF16", "BOOL"])
    return sealed(entries, with_checksums(entries, description, body), body)


def text_edited(data, rng, _):
    """Edit the text of the header, or that of the description, as text."""
    entries, description, body = opened(data)
    piece = rng.choice(TEXTS)

    def edit(text):
        a = rng.randrange(len(text))
        return text[:a] + piece + text[a + rng.choice([0, 0, 1, len(piece)]) :]

    if rng.random() < 0.5:
        return sealed(entries, edit(json.dumps(description)), body)
    return sealed(entries, description, body, edit)


def grown(data, rng, _):
    """Architectures that are large in one way or another."""
    entries, description, body = opened(data)
    layer = rng.choice(
        [
            {"class_name": "ReLU", "config": {}},
            {"class_name": "Dense", "config": {"units": rng.choice([1, 10**12])}},
            {"class_name": "Sequential", "config": {"layers": []}},
        ]
    )
    if rng.random() < 0.5:
        for _ in range(rng.choice([5, 50, 60, 150, 250])):
            name = rng.choice(["Sequential", "Residual"])
            layer = {"class_name": name, "config": {"layers": [layer]}}
        layers = [layer]
    else:
        layers = [layer] * rng.choice([100, 1000, 4000, 5000, 30_000])
    description["model"] = {"class_name": "Sequential", "config": {"layers": layers}}
    description["built"] = rng.choice([{}, {"": [None, 4]}, {"": [None, 10**12]}])
    return sealed(entries, description, body)


MUTATIONS = {
    f.__name__: f
    for f in (
        flip,
        cut,
        splice,
        length,
        entries_edited,
        description_edited,
        model_edited,
        array_edited,
        renamed,
        text_edited,
    )
}
SLOW = {"grown": grown}  # one in a hundred: each is as large as a header may be

# What comes out -----------------------------------------------------------------------------------


def outcome(path, original):
    """Return ``"loaded"`` or the place of the error; anything else is raised.

    The model in memory has to be as it was when a file is refused, byte by byte.
    """
    try:
        nl.load_model(path, cases.CUSTOM)
        result = "loaded"
    except FileError as error:
        result = place_of(error)
    if original.built:
        model = copy.deepcopy(original)
        before = snapshot(model)
        for load in (nl.saving.restore, lambda p, m: m.load_weights(p)):
            try:
                load(path, model)
            except FileError:
                assert snapshot(model) == before, "half of a file was loaded"
            else:
                model = copy.deepcopy(original)
                before = snapshot(model)
    return result


def snapshot(model):
    optimizer = model.optimizer
    return (
        cases.state(model),
        model.parameters.values.tobytes(),
        model.parameters.statistics.tobytes(),
        {name: vector.tobytes() for name, vector in optimizer.state.items()},
        (optimizer.iterations, optimizer.learning_rate_factor, optimizer.accumulated),
        {name: g.bit_generator.state["state"]["state"] for name, g in streams(model).items()},
    )


def streams(model):
    return model._streams._generators


def place_of(error):
    place, *rest = error.place.split(": ")
    if place == "description" and rest and rest[0] in ("built", "compile", "optimizer", "random"):
        place = rest[0]
    known = ("header", "first 8 bytes", "description", "data", "model", "compile", "optimizer")
    known += ("built", "checksums", "names of arrays", "random", "weights", "states", "assets")
    return place if place in known else "an array"


def peak_memory():
    """Return the most memory that this process has held, in bytes; 0 where that is not known."""
    if resource is None:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def run(count, seed=0, folder=None):
    """Return a Counter of (mutation, outcome), the longest time and the growth of memory."""
    rng = random.Random(seed)
    found = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory(dir=folder) as place:
        files = whole_files(place)
        path = os.path.join(place, "mutated")
        for model, data in files.values():  # what loads once, such as caches, is no growth
            Path(path).write_bytes(data)
            assert outcome(path, model) == "loaded"
        memory = peak_memory()
        for i in range(count):
            names = list(files)
            model, data = files[rng.choice(names)]
            name = rng.choice(list(MUTATIONS)) if i % 100 else "grown"
            mutate = {**MUTATIONS, **SLOW}[name]
            mutated = mutate(data, rng, files[rng.choice(names)][1])
            Path(path).write_bytes(mutated)
            start = time.process_time()
            try:
                result = "the same file" if mutated == data else outcome(path, model)
            except BaseException:
                kept = Path(tempfile.gettempdir()) / f"netlayers-fuzz-{seed}-{i}"
                kept.write_bytes(mutated)
                print(f"file {i} ({name}), kept as {kept}", file=sys.stderr)
                raise
            took = time.process_time() - start
            assert took < SECONDS, f"file {i} ({name}) took {took:.1f} s"
            slowest = max(slowest, took)
            found[name, result] += 1
    grown_by = peak_memory() - memory
    assert grown_by < MEMORY, f"memory grew by {grown_by / 2**20:.0f} MiB"
    return found, slowest, grown_by


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    limit = 3 << 30  # a claim of more than that, believed, would end the run
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    start = time.perf_counter()
    found, slowest, memory = run(count, seed)
    outcomes = sorted({result for _, result in found}, key=lambda r: (r != "loaded", r))
    print(f"| mutation | files | {' | '.join(outcomes)} |")
    print(f"| --- | --- | {' | '.join('---' for _ in outcomes)} |")
    for name in [*MUTATIONS, *SLOW]:
        row = [found[name, result] for result in outcomes]
        print(f"| {name} | {sum(row)} | {' | '.join(str(n or '') for n in row)} |")
    print(
        f"\n{count} files with seed {seed} in {time.perf_counter() - start:.0f} s; nothing but a "
        f"model or a FileError. Slowest {slowest:.2f} s of the processor; memory grew by "
        f"{memory / 2**20:.0f} MiB."
    )


if __name__ == "__main__":
    main()
