"""The Markdown report, generated from the JSON results."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks import jobs as told
from benchmarks.cases import CASES, TARGETS
from benchmarks.growth import LEAST_MIB, LEAST_SECONDS, lines
from benchmarks.stats import ratio

# Our variants, and their names in the text.
OURS = {"netlayers": "NumPy", "with numba": "numba"}


# Parts whose numbers are on a page of the documentation while a run of them is not kept here.
ELSEWHERE = {
    "images": "A training step of seven convolutional networks, beside PyTorch, JAX and the time "
    "of the matrix products alone, and the memory: see [Images](../docs/images.md#speed). "
    "`python -m benchmarks images` measures them again.",
}


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table; the first column is text, the others are numbers."""
    lines = ["| " + " | ".join(header) + " |", "| --- |" + " ---: |" * (len(header) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def markdown(results: dict[str, Any]) -> str:
    """Return the report of a run."""
    parts = ["# Results", machine(results["machine"]), *results.get("missing", [])]
    for title, key, write in SECTIONS:
        if key in results:
            parts += [f"## {title}", write(results[key])]
        elif key in ELSEWHERE:
            parts += [f"## {title}", ELSEWHERE[key]]
    return "\n\n".join(parts) + "\n"


def machine(found: dict[str, Any]) -> str:
    """Return a description of the machine."""
    versions = ", ".join(f"{name} {v}" for name, v in found["versions"].items())
    line = (
        f"{found['processor']}, {found['cores']} cores, {found['system']}; Python "
        f"{found['python']}, {versions}; threads {', '.join(map(str, found['threads']))}."
    )
    if found["environment"]:
        line += " Set: " + ", ".join(f"`{k}={v}`" for k, v in found["environment"].items()) + "."
    if found["load"]:
        line += f" Load at the start: {found['load'][0]:.2f}."
    return line


def steps(found: dict[str, Any]) -> str:
    """Return the tables of ratios and targets, and the check of the losses."""
    cases = found["cases"]
    names = list(dict.fromkeys(n for c in cases.values() for n in c["times"]))
    parts = [
        "The time of each peer divided by ours in the same round, on "
        f"{found['threads']} threads: median (smallest to largest) / target. Above 1, netlayers is "
        "faster.",
        *(["![Ratios by case](plots/steps.png)"] if cases.keys() & CASES.keys() else []),
    ]
    for ours, kernels in OURS.items():
        if ours not in names:
            continue
        times = {case: c["times"] for case, c in cases.items()}
        rows = [[f"{ours}, µs", *(microseconds(t[ours]) for t in times.values())]]
        rows += [
            [name, *(ratio_cell(t, name, ours, case) for case, t in times.items())]
            for name in names
            if name != ours
        ]
        parts += [f"### Relative to netlayers with {kernels}", table(["", *cases], rows)]
    checks = [[n, *(check_cell(c["checks"].get(n)) for c in cases.values())] for n in names]
    checks = [row for row in checks if row[0] not in ("netlayers", "floor")]
    idle = ", ".join(f"{n} {1e3 * s:.0f} ms" for n, s in found["idle"].items())
    return "\n\n".join(
        [
            *parts,
            "### Agreement of the losses",
            "Largest difference between the losses of steps 11 to 20 and ours, relative to the "
            "first loss. With dropout: first without it, then the means of later steps with it.",
            table(["", *cases], checks),
            f"Processor time of each process while it waits, median: {idle}.",
        ]
    )


def sequences(found: dict[str, Any]) -> str:
    """Return the tables of steps, the means of their ratios, and single observations."""
    cases = found["cases"]
    names = list(dict.fromkeys(n for c in cases.values() for n in c["times"]))
    ours = [n for n in OURS if n in names]
    rows = []
    for name in names:
        means = []
        for own in ours:
            taken = [c["times"] for c in cases.values() if name in c["times"]]
            ratios = [ratio(times[name], times[own]).median for times in taken]
            means.append(f"{statistics.geometric_mean(ratios):.2f} ({min(ratios):.2f})")
        rows.append([name, *means])
    parts = [
        "Recurrent networks, named by batch, steps, inputs and units, with one dense output on the "
        "last state; forward, loss, backward, Adam. Targets: with numba at least 1.2 times "
        "PyTorch's speed in each case and 1.5 in the geometric mean, and ahead of the others; with "
        "NumPy 0.6 and 0.8.",
        "Geometric mean of the ratios over all cases, and the smallest:",
        table(["", *(f"by {own}" for own in ours)], rows),
        steps(found),
    ]
    if "streams" in found:
        rows = [
            [
                f"{case}: {own}, µs",
                microseconds(times[own]),
                *(str(ratio(times[n], times[own])) for n in names),
            ]
            for case, times in found["streams"].items()
            for own in ours
        ]
        parts += [
            "### One observation of a stream",
            "One step of inference of a layer that keeps its state, named by inputs and units: the "
            "time of each peer divided by ours. Target: a quarter of PyTorch's time, a ratio of 4.",
            table(["", "", *names], rows),
        ]
    return "\n\n".join(parts)


def ratio_cell(times: dict[str, list[float]], name: str, ours: str, case: str) -> str:
    """Return a ratio with its range and target."""
    if name not in times or ours not in times:
        return "-"
    target = TARGETS.get(name, {}).get(case)
    return str(ratio(times[name], times[ours])) + (f" / {target:.3g}" if target else "")


def check_cell(check: dict[str, Any] | None) -> str:
    """Return the difference of the losses; bold if they do not agree."""
    if check is None or not check.keys() & {"different", "apart"}:
        return "-"
    if "different" in check:
        return check["different"]
    apart = f"{check['apart']:.0e}"
    if "apart_random" in check:
        apart += f", {check['apart_random']:.0%}"
    return apart if check["agrees"] else f"**{apart}**"


def microseconds(times: list[float]) -> str:
    """Return the median in microseconds."""
    return f"{1e6 * statistics.median(times):,.0f}"


def threads(found: dict[str, Any]) -> str:
    """Return the times of steps and of single products by number of threads."""
    rows = []
    for case, counts in found["cases"].items():
        names = next(iter(counts.values()))
        rows += [[f"{case}, {n}", *by_threads({c: t[n] for c, t in counts.items()})] for n in names]
    counts = list(next(iter(found["cases"].values())))
    parts = [table(["µs on threads", *counts, "best"], rows)]
    if products := found.get("products"):
        rows = [[f"{n} x {n}", *by_threads(times)] for n, times in products.items()]
        parts += [
            "Single products of two square matrices by NumPy, in one process that changes its "
            "number of threads:",
            table(["µs on threads", *next(iter(products.values())), "best"], rows),
        ]
    parts += [
        f"{library.get('internal_api')} {library.get('version')}, "
        f"{library.get('threading_layer')}, {library.get('architecture')}."
        for library in found["libraries"]
    ]
    return "\n\n".join(parts)


def by_threads(times: dict[str, list[float]]) -> list[str]:
    """Return the medians, and the best number of threads if it is at least 5 % faster."""
    medians = {n: statistics.median(t) for n, t in times.items()}
    best = min(medians, key=medians.__getitem__)
    clear = all(medians[best] < 0.95 * m for n, m in medians.items() if n != best)
    cells = [f"{1e6 * m:,.1f}" if m < 1e-4 else f"{1e6 * m:,.0f}" for m in medians.values()]
    return [*cells, best if clear else "same"]


def kernels(found: dict[str, Any]) -> str:
    """Return the cost of leaving out each kernel, and the number of cases with 10 % or more."""
    if not found:
        return "numba is not installed."
    names = list(dict.fromkeys(n for times in found.values() for n in times if n != "all"))
    rows = [["all, µs", *(microseconds(times["all"]) for times in found.values()), ""]]
    for name in names:
        ratios = [ratio(t[name], t["all"]) if name in t else None for t in found.values()]
        wins = sum(r is not None and r.median >= 1.1 for r in ratios)
        rows.append([f"`{name}`", *(str(r or "-") for r in ratios), str(wins)])
    text = (
        "The time of a step without this compiled kernel (with NumPy's instead), divided by the "
        "time with all kernels in the same round: above 1, the kernel is faster. The last column "
        "counts the cases with a gain of 10 % or more; - marks a kernel that a step does not call."
    )
    return text + "\n\n" + table(["", *found, "wins"], rows)


def profile(found: dict[str, str]) -> str:
    """Return the profiles of the steps."""
    return "\n\n".join(f"{case}:\n\n```\n{text}\n```" for case, text in found.items())


def inference(found: dict[str, Any]) -> str:
    """Return the times of predictions."""
    names = next(iter(found.values()))
    labels = {"first": "first prediction of a new process"}
    parts = [
        "The time of each peer divided by ours in the same round: median (smallest to largest). "
        "Target: half of PyTorch's time for one row, a ratio of 2."
    ]
    for ours, kernels in OURS.items():
        if ours not in names:
            continue
        others = [n for n in names if n != ours]
        rows = [
            [labels.get(count, f"{count} rows"), microseconds(times[ours])]
            + [str(ratio(times[n], times[ours])) for n in others]
            for count, times in found.items()
        ]
        parts += [
            f"### Relative to netlayers with {kernels}",
            table(["", f"{ours}, µs", *others], rows),
        ]
    return "\n\n".join(parts)


def exact(found: dict[str, Any]) -> str:
    """Return what exact=True costs."""
    times = found["times"]
    methods = list(next(iter(times.values())))
    rows = [
        [f"{name}, {method}", microseconds(its[method][0]), str(ratio(*reversed(its[method])))]
        for name, its in times.items()
        for method in methods
    ]
    about = (
        "The time of `predict` and `evaluate` with `exact=True` divided by that without, on "
        f"{found['threads']} threads: median (smallest to largest)."
    )
    return f"{about}\n\n{table(['', 'without, µs', 'ratio'], rows)}"


def footprint(found: dict[str, Any]) -> str:
    """Return sizes, import times and memory."""
    rows = [
        [n, *(f"{f[k]:,.1f}" for k in ("size", "seconds", "memory", "training"))]
        for n, f in found.items()
    ]
    header = ["", "installed, MB", "import, s", "resident after import, MiB", "training mnist"]
    text = "Target: a tenth of PyTorch's size and import time."
    if "torch" in found:
        text += " Relative to PyTorch: " + "; ".join(
            f"{n} {f['size'] / found['torch']['size']:.2f} of the size, "
            f"{f['seconds'] / found['torch']['seconds']:.2f} of the import"
            for n, f in found.items()
            if n.startswith("netlayers")
        )
        text += "."
    return f"{text}\n\n{table(header, rows)}"


def jobs(found: dict[str, Any]) -> str:
    """Return the seconds to the goal, their parts, and the accuracies."""
    if not found:
        return "MNIST was not available."
    middle = {loop: told.summary(one) for loop, one in found.items()}
    ours = [loop for loop in (told.OURS, told.NUMBA) if loop in middle]
    first, when, parts_of, shares = next(iter(middle.values())), [], [], []
    seeds, epochs = len(first["epochs"]), len(first["shares"])
    for loop, m in middle.items():
        reached = [e for e in m["epochs"] if e <= epochs]
        ends = sorted({min(reached), max(reached)}) if reached else []
        in_epoch = " to ".join(f"{e:.0f}" for e in ends) or "-"
        beside = [quotient(m["seconds"], middle[o]["seconds"]) for o in ours]
        seconds = goal(m["seconds"], m["all_seconds"])
        when.append([loop, seconds, *beside, f"{len(reached)} of {seeds}", in_epoch])
        whole = [str(ratio(m["whole"], middle[o]["whole"])) for o in ours]
        numbers = [m["ready"], m["first_epoch"], m["later_epoch"], statistics.median(m["whole"])]
        parts_of.append(
            [loop, *(f"{n:.2f}" for n in numbers), *whole, f"{m['warm']:.1f}", f"{m['cold']:.1f}"]
        )
        shares.append([loop, *(f"{100 * s:.2f}" for s in m["shares"])])
    beside = [f"by {o}" for o in ours]
    header = ["", "start-up", "first epoch", "later epoch", f"all {epochs} epochs"]
    return "\n\n".join(
        [
            f"From the start of a process to {100 * told.GOAL:.0f} % test accuracy on MNIST, "
            f"784-512-512-10: {seeds} seeds, {epochs} epochs each, learning rate of Adam divided "
            "by ten after two. Compiled code that can be cached on disk was cached by an earlier "
            "run. Seconds: median (smallest to largest) over the seeds; a run that does not reach "
            "the goal counts as slower than all others. Target: the fewest seconds of all.",
            table(["", "seconds to 98 %", *beside, "reached by", "in epoch"], when),
            "Parts of the time in seconds, medians over the seeds. The last column is a run with "
            "empty caches, to the end of its first epoch.",
            table([*header, *beside, "start and first epoch", "the first run ever"], parts_of),
            "Test accuracy after each epoch in %, mean over the seeds.",
            table(["", *(str(e + 1) for e in range(epochs))], shares),
        ]
    )


def goal(middle: float, seconds: list[float]) -> str:
    """Return a median with its range, or that the goal was not reached."""
    texts = [
        "not reached" if s == float("inf") else f"{s:.1f}" for s in (min(seconds), max(seconds))
    ]
    if middle == float("inf"):
        return "not reached"
    return f"{middle:.1f} ({texts[0]} to {texts[1]})"


def quotient(a: float, b: float) -> str:
    """Return the ratio of two medians, if both runs reached the goal."""
    return f"{a / b:.2f}" if max(a, b) < float("inf") else "-"


def growth(found: dict[str, Any]) -> str:
    """Return the fitted exponents, with their standard errors."""
    text = table(
        ["grows with", "sizes", "exponent of time", "of memory", "(backward + update) / forward"],
        lines(found),
    )
    about = (
        "Slopes of lines fitted on logarithmic axes, with standard errors. Time: medians of "
        f"alternating rounds, points of at least {1e6 * LEAST_SECONDS:.0f} µs. Memory: increase in "
        f"a process that has trained a tiny network, points of at least {LEAST_MIB:.0f} MiB. "
        "Width and parameters: three hidden layers, batch 128, the same networks. Depth: hidden "
        "layers of 256, batch 128. Batch: three hidden layers of 512. Smaller sizes are left out: "
        "their time is overhead and does not follow a power law. Target: an exponent of time by "
        "parameters of at most 1.05."
    )
    pictures = "![time](plots/growth_step.png)\n\n![memory](plots/growth_memory.png)"
    return f"{about}\n\n{text}\n\n{pictures}"


SECTIONS = [
    ("Steps", "steps", steps),
    ("Steps of convolutional networks", "images", steps),
    ("Steps of recurrent networks", "sequences", sequences),
    ("Whole jobs", "jobs", jobs),
    ("Inference", "inference", inference),
    ("Exact answers", "exact", exact),
    ("Growth", "growth", growth),
    ("Footprint", "footprint", footprint),
    ("Threads", "threads", threads),
    ("Compiled kernels, one by one", "kernels", kernels),
    ("Profile of a step", "profile", profile),
]
