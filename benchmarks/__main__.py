"""Compare the speed of netlayers with other frameworks.

python -m benchmarks                     # all parts, all installed frameworks
python -m benchmarks steps --cases tiny  # one part, one case
python -m benchmarks --quick             # under a minute, without other frameworks
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import time
from pathlib import Path
from typing import Any

from benchmarks import exact, footprint, growth, jobs, kernels, machine, picture, report, steps
from benchmarks.cases import CASES, Case, data
from benchmarks.peers import PEERS, missing, missing_line
from benchmarks.turns import Clients, PeerError, take_turns

PARTS = (
    "steps",
    "images",
    "sequences",
    "jobs",
    "inference",
    "exact",
    "growth",
    "footprint",
    "threads",
    "kernels",
    "profile",
)
OWN = ["netlayers", "train_on_batch", "floor"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "parts", nargs="*", help=f"parts to run, of {', '.join(PARTS)}; all by default"
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="seconds per peer and round")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds of the jobs")
    count = os.cpu_count() or 1
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2] if count > 1 else [1])
    parser.add_argument(
        "--out",
        type=Path,
        help="folder for results.json and RESULTS.md; parts that are not run are kept",
    )
    parser.add_argument("--data", help="folder of MNIST; see netlayers.datasets.mnist")
    parser.add_argument("--quick", action="store_true", help="check that everything runs")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if options.quick:
        options.rounds, options.seconds = 1, 0.01
        options.peers, options.cases = OWN, ["tiny", "tabular", "regress"]
        options.parts = options.parts or ["steps", "exact", "footprint", "profile"]
    results: dict[str, Any] = {"machine": machine.describe(options.threads), "missing": []}
    names = []
    for name in dict.fromkeys(["netlayers", *options.peers]):
        if packages := missing(name):
            results["missing"].append(missing_line(name, packages))
            print(results["missing"][-1])
        else:
            names.append(name)
    kept: dict[str, Any] = {}
    path = options.out and options.out / "results.json"
    if path and path.exists():
        before = json.loads(path.read_text())
        if before["machine"]["versions"] == results["machine"]["versions"]:
            kept = before  # parts that are not measured again
    for part in options.parts or PARTS:
        print(f"{part} ...", flush=True)
        begin = time.perf_counter()
        results[part] = RUN[part](names, options)
        print(f"{part}: {time.perf_counter() - begin:.0f} s", flush=True)
        if path:  # after each part, so that a later failure loses nothing
            options.out.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({**kept, **results}, indent=1) + "\n")
    print(f"\n{report.markdown(results)}")
    if path:
        results = {**kept, **results}
        if "growth" in results:
            growth.draw(results["growth"], options.out / "plots")
        if "steps" in results:
            picture.draw(results["steps"], options.out / "plots")
        (options.out / "RESULTS.md").write_text(report.markdown(results))


def run_inference(names: list[str], options: Any) -> dict[str, Any]:
    """Return the times of predictions for 1, 32 and 10,000 rows."""
    case = Case("predict", (784, 128, 10), "relu", 128, "adam")
    found: dict[str, Any] = {}
    chosen = [n for n in names if not (PEERS[n].steps_only or PEERS[n].images_only)]
    with Clients(chosen, options.threads[-1]) as clients:
        taking = {}
        for name, client in clients.items():
            try:
                client.ask("open_predictor", case=case.to_dict(), rows=[1, 32, 10_000])
                taking[name] = client
            except PeerError as error:
                print(f"  {name} is left out: {error}")
        for rows in ("1", "32", "10000"):
            found[rows] = take_turns(taking, rows, options.seconds, options.rounds)
    found["first"] = {name: [] for name in taking}
    for _ in range(options.rounds):  # the first prediction of a new process, from its start
        for name in taking:
            begin = time.perf_counter()
            with Clients([name], options.threads[-1]) as clients:
                clients[name].ask("open_predictor", case=case.to_dict(), rows=[1])
                found["first"][name].append(time.perf_counter() - begin)
    return found


def run_profile(names: list[str], options: Any) -> dict[str, str]:
    """Return the profile of a step of each case as a table."""
    ours = importlib.import_module("benchmarks.peers.ours")
    chosen = [
        CASES[name] for name in options.cases if name != "deep"
    ]  # its table has a hundred rows
    few = 5 if options.quick else 60
    return {c.name: str(ours.make_model(c).profile(*data(c), steps=few)) for c in chosen}


RUN = {
    "steps": lambda names, options: steps.run(
        [n for n in names if not PEERS[n].images_only], options.cases, options
    ),
    "images": steps.run_images,
    "sequences": steps.run_sequences,
    "jobs": jobs.run,
    "inference": run_inference,
    "exact": lambda names, options: exact.run(options),
    "growth": growth.run,
    "footprint": footprint.run,
    "threads": lambda names, options: steps.run_threads(names, options.cases, options),
    "kernels": kernels.run,
    "profile": run_profile,
}

if __name__ == "__main__":
    main()
