"""Mutated model files: each is a model or the one exception, in bounded time and memory.

    python -m tests.saving.fuzz [number of files] [seed]

Prints a table of the results. The tests use fewer of the same mutations.
"""

import copy
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
from tests.saving.golden import v2_cases as cases
from tests.saving.mutations import MUTATIONS, SLOW

try:
    import resource
except ImportError:  # not of POSIX
    resource = None

SECONDS = 5  # of the processor; a file of a few KB takes milliseconds
MEMORY = 256 << 20  # that all of them together may add to the process


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
    """Return the peak memory of this process in bytes; 0 where it is unknown."""
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
