"""Mutated files: each is what it claims to be or the one exception, in bounded time and memory.

    python -m tests.saving.fuzz [number of files] [seed]

Models, and the files of runs (``files_of_runs.py``): backups, snapshots, checkpoints. Prints a
table of the results; a file that fails is kept, and the others are still tried. The tests use fewer
of the same mutations.
"""

import copy
import faulthandler
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np

import netlayers as nl
from netlayers.errors import FileError
from tests.saving import files_of_runs
from tests.saving.golden import v2_cases as cases
from tests.saving.mutations import MUTATIONS, SLOW

try:
    import resource
except ImportError:  # not of POSIX
    resource = None

SECONDS = 5  # of the processor; a file of a few KB takes milliseconds
HANGS = 600  # by the clock; then the process ends with the place where it is
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


def all_cases(folder):
    """Return a case for each file: models, and what runs write."""
    folder = Path(folder)
    models = folder / "models"
    models.mkdir()
    found = {}
    for name, (model, data) in whole_files(models).items():
        path = models / "mutated"

        def use(path, model=model):
            return outcome(path, model)

        found[name] = files_of_runs.Case(data, path, use)
    return found | files_of_runs.cases(folder)


def run(count, seed=0, folder=None, failures=None):
    """Return a Counter of (file, mutation, outcome), the longest time and the growth of memory.

    Errors are raised, or counted as outcomes and added to the list ``failures``.
    """
    rng = random.Random(seed)
    found = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory(dir=folder) as place:
        files = all_cases(place)
        for case in files.values():  # what loads once, such as caches, is no growth
            assert case.outcome(case.data) == "loaded"
        memory = peak_memory()
        names = [name for name in files for _ in range(1 if "previous" in name else 3)]
        for i in range(count):
            which = rng.choice(names)
            case = files[which]
            name = rng.choice(list(MUTATIONS)) if i % 100 else "grown"
            mutate = {**MUTATIONS, **SLOW}[name]
            mutated = mutate(case.data, rng, files[rng.choice(names)].data)
            start = time.process_time()
            faulthandler.dump_traceback_later(HANGS, exit=True)
            try:
                result = "the same file" if mutated == case.data else case.outcome(mutated)
                took = time.process_time() - start
                assert took < SECONDS, f"it took {took:.1f} s"
            except BaseException as error:
                kept = Path(tempfile.gettempdir()) / f"netlayers-fuzz-{seed}-{i}"
                kept.write_bytes(mutated)
                print(f"file {i} ({which}, {name}), kept as {kept}", file=sys.stderr)
                if failures is None or not isinstance(error, Exception):
                    raise
                traceback.print_exc(limit=-3)
                failures.append((i, which, name, error))
                result, took = "failed", 0.0
            finally:
                faulthandler.cancel_dump_traceback_later()
            slowest = max(slowest, took)
            found[which, name, result] += 1
    grown_by = peak_memory() - memory
    assert grown_by < MEMORY, f"memory grew by {grown_by / 2**20:.0f} MiB"
    return found, slowest, grown_by


def table(found, column, rows):
    """Return lines of a table: how many files of each row had each outcome."""
    outcomes = sorted({result for *_, result in found}, key=lambda r: (r != "loaded", r))
    yield f"| {('file', 'mutation')[column]} | files | {' | '.join(outcomes)} |"
    yield f"| --- | --- | {' | '.join('---' for _ in outcomes)} |"
    for name in rows:
        counts = Counter()
        for key, count in found.items():
            counts[key[2]] += count * (key[column] == name)
        cells = " | ".join(str(counts[result] or "") for result in outcomes)
        yield f"| {name} | {counts.total()} | {cells} |"


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    limit = 3 << 30  # a claim of more than that, believed, would end the run
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    faulthandler.enable()  # the process may read beyond an array
    start = time.perf_counter()
    failures = []
    found, slowest, memory = run(count, seed, failures=failures)
    for column, rows in enumerate((sorted({key[0] for key in found}), [*MUTATIONS, *SLOW])):
        print("\n".join(table(found, column, rows)), end="\n\n")
    print(
        f"{count} files with seed {seed} in {time.perf_counter() - start:.0f} s, {len(failures)} "
        f"failed. Slowest {slowest:.2f} s of the processor; memory grew by "
        f"{memory / 2**20:.0f} MiB."
    )
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
