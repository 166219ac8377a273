"""Markdown from the numbers; all of it from the JSON that a run writes."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.cases import TARGETS
from benchmarks.growth import lines
from benchmarks.stats import ratio


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
    return "\n\n".join(parts) + "\n"


def machine(found: dict[str, Any]) -> str:
    """Say what was measured on."""
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
    """Return the table of ratios with the targets, the times, and the check of the losses."""
    cases = found["cases"]
    names = list(dict.fromkeys(n for c in cases.values() for n in c["times"]))
    ours = [microseconds(c["times"]["netlayers"]) for c in cases.values()]
    rows = [["netlayers, µs", *ours]]
    rows += [
        [name, *(ratio_cell(c["times"], name, case) for case, c in cases.items())]
        for name in names
        if name != "netlayers"
    ]
    text = (
        f"Time by that of netlayers in the same round, on {found['threads']} threads: median "
        "(smallest to largest); behind it what is to be reached. Above 1, netlayers is faster."
    )
    checks = [[n, *(check_cell(c["checks"].get(n)) for c in cases.values())] for n in names]
    checks = [row for row in checks if row[0] not in ("netlayers", "floor")]
    idle = ", ".join(f"{n} {1e3 * s:.0f} ms" for n, s in found["idle"].items())
    return "\n\n".join(
        [
            text,
            table(["", *cases], rows),
            "How far the losses of steps 11 to 20 are from ours, by the first loss; with dropout, "
            "first without it, then the means of later steps with it.",
            table(["", *cases], checks),
            f"Processor time of a process while it waited, median: {idle}.",
        ]
    )


def ratio_cell(times: dict[str, list[float]], name: str, case: str) -> str:
    """Return a ratio with its spread and target."""
    if name not in times:
        return "-"
    target = TARGETS.get(name, {}).get(case)
    return str(ratio(times[name], times["netlayers"])) + (f" / {target:.3g}" if target else "")


def check_cell(check: dict[str, Any] | None) -> str:
    """Say whether losses agree."""
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
    """Return the times of steps on each number of threads, and which of ours is shorter."""
    rows = []
    for case, counts in found["cases"].items():
        names = next(iter(counts.values()))
        for name in names:
            medians = {n: statistics.median(t[name]) for n, t in counts.items()}
            best = min(medians, key=medians.__getitem__)
            rows.append([f"{case}, {name}", *(f"{1e6 * m:,.0f}" for m in medians.values()), best])
    counts = list(next(iter(found["cases"].values())))
    text = table(["µs on threads", *counts, "best"], rows)
    for library in found["libraries"]:
        text += f"\n\n{library.get('internal_api')} {library.get('version')}, "
        text += f"{library.get('threading_layer')}, {library.get('architecture')}."
    return text


def profile(found: dict[str, str]) -> str:
    """Return the tables of where the time goes."""
    return "\n\n".join(f"{case}:\n\n```\n{text}\n```" for case, text in found.items())


def inference(found: dict[str, Any]) -> str:
    """Return the times of predictions."""
    names = next(iter(found.values()))
    labels = {"first": "first answer of a new process"}
    rows = [
        [labels.get(count, f"{count} rows"), microseconds(times["netlayers"])]
        + [str(ratio(times[n], times["netlayers"])) for n in names if n != "netlayers"]
        for count, times in found.items()
    ]
    return table(["", "netlayers, µs", *(n for n in names if n != "netlayers")], rows)


def footprint(found: dict[str, Any]) -> str:
    """Return sizes, import times and memory."""
    rows = [
        [n, *(f"{f[k]:,.1f}" for k in ("size", "seconds", "memory", "training"))]
        for n, f in found.items()
    ]
    return table(
        ["", "installed, MB", "import, s", "resident after it, MiB", "training mnist"], rows
    )


def jobs(found: dict[str, Any]) -> str:
    """Return the seconds to the goal, and what they are made of."""
    if not found:
        return "MNIST was not there."
    epochs = statistics.median(one["epochs"] for runs in found.values() for one in runs)
    rows = []
    for loop, runs in found.items():
        column = {key: [one[key] for one in runs] for key in runs[0]}
        middle = {key: statistics.median(values) for key, values in column.items()}
        even = middle["ready"] + middle["first_epoch"] + (epochs - 1) * middle["epoch"]
        spread = f"{min(column['seconds']):.1f} to {max(column['seconds']):.1f}"
        training = statistics.median(one["seconds"] - one["ready"] for one in runs)
        numbers = [training, middle["ready"], middle["first_epoch"], middle["epoch"], even]
        cells = [f"{middle['seconds']:.1f} ({spread})", *(f"{n:.2f}" for n in numbers)]
        rows.append([loop, *cells, f"{middle['epochs']:.0f}"])
    header = ["", "seconds to 98 %", "without start-up", "start-up", "first epoch", "later epoch"]
    return table([*header, f"all, of {epochs:.0f} epochs", "epochs needed"], rows)


def growth(found: dict[str, Any]) -> str:
    """Return the fitted exponents, with their standard errors."""
    text = table(
        ["grows with", "exponent of time", "of memory", "backward and update by forward"],
        lines(found),
    )
    return text + "\n\n![time](plots/growth_step.png)\n\n![memory](plots/growth_memory.png)"


SECTIONS = [
    ("Steps", "steps", steps),
    ("Whole jobs", "jobs", jobs),
    ("Inference", "inference", inference),
    ("Growth", "growth", growth),
    ("Footprint", "footprint", footprint),
    ("Threads", "threads", threads),
    ("Where the time goes", "profile", profile),
]
