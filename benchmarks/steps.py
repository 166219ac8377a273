"""Parts 1 and 6: training steps, and training steps by number of threads."""

from __future__ import annotations

import contextlib
import statistics
from dataclasses import replace
from typing import Any

from benchmarks import products
from benchmarks.cases import CASES, Case
from benchmarks.images import IMAGE_CASES, ImageCase
from benchmarks.peers import PEERS
from benchmarks.sequences import SEQUENCE_CASES, STREAMS, SequenceCase
from benchmarks.stats import agreement
from benchmarks.turns import Client, Clients, PeerError, take_turns

FIRST_STEPS = 20
# Peers whose function or update rule differs, so that losses cannot agree.
DIFFERENT = {
    ("sklearn", "tiny"): "no sigmoid on its output",
    ("sklearn", "tabular"): "one output for two classes",
    ("sklearn", "deep"): "no clipping",
}


# Peers that have the convolutional networks.
WITH_IMAGES = ("ours", "floor", "pytorch", "jaxed", "keras_jax")


def run_images(names: list[str], options: Any) -> dict[str, Any]:
    """Return what :func:`run` does for the convolutional networks."""
    names = [name for name in names if PEERS[name].module in WITH_IMAGES]
    return run(names, list(IMAGE_CASES), options)


# Peers that have the recurrent networks.
WITH_SEQUENCES = ("netlayers", "with numba", "torch", "jax", "keras")


def run_sequences(names: list[str], options: Any) -> dict[str, Any]:
    """Return what :func:`run` does for the recurrent networks, and times of single observations."""
    names = [name for name in names if name in WITH_SEQUENCES]
    return run(names, list(SEQUENCE_CASES), options) | {"streams": run_streams(names, options)}


def run_streams(names: list[str], options: Any) -> dict[str, Any]:
    """Return the times of one step of inference with the state kept, by layer and peer."""
    found = {}
    with Clients(names, options.threads[-1]) as clients:
        for kind, inputs, units in STREAMS:
            for client in clients.values():
                client.ask("open_stream", kind=kind, inputs=inputs, units=units)
            times = take_turns(dict(clients), "observe", options.seconds, options.rounds)
            found[f"{kind} {inputs} {units}"] = times
    return found


def run(names: list[str], cases: list[str], options: Any) -> dict[str, Any]:
    """Return the times of steps by case and peer, and the agreement of their losses."""
    found: dict[str, Any] = {}
    with Clients(names, options.threads[-1]) as clients:
        for name in cases:
            case: Any = (CASES | IMAGE_CASES | SEQUENCE_CASES)[name]
            taking, checks = opened(clients, case)
            times = take_turns(taking, "step", options.seconds, options.rounds)
            found[name] = {"times": times, "checks": checks}
            print(f"  {name}: {1e6 * statistics.median(times['netlayers']):,.0f} µs", flush=True)
        idle = {n: statistics.median(c.idle) for n, c in clients.items() if c.idle}
    return {"cases": found, "idle": idle, "threads": options.threads[-1]}


def opened(
    clients: Clients, case: Case | ImageCase | SequenceCase
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the clients that can train a case, and the check of their losses."""
    taking: dict[str, Any] = {}
    losses: dict[str, list[float]] = {}
    checks: dict[str, Any] = {}
    exact = replace(case, dropout=0.0)
    for name, client in clients.items():
        try:
            first = client.ask("open", case=exact.to_dict(), steps=FIRST_STEPS)
            losses[name] = first["losses"]
            answer = first
            if case.dropout:
                answer = client.ask("open", case=case.to_dict(), steps=2 * FIRST_STEPS)
                losses[f"{name} random"] = answer["losses"]
            checks[name] = {"first": answer["first"]}
        except PeerError as error:
            print(f"  {case.name}: {name} is left out: {error}", flush=True)
            checks[name] = {"error": str(error)}
            continue
        taking[name] = client
        if name == "floor":
            continue
        if (name, case.name) in DIFFERENT:
            checks[name]["different"] = DIFFERENT[name, case.name]
            continue
        apart, agrees = agreement(losses[name], losses["netlayers"], random=False)
        checks[name] |= {"loss": losses[name][-1], "apart": apart, "agrees": agrees}
        if case.dropout:
            random = losses[f"{name} random"], losses["netlayers random"]
            apart, close = agreement(*random, random=True)
            checks[name] |= {"apart_random": apart, "agrees": agrees and close}
        if not checks[name]["agrees"]:
            print(f"  {case.name}: the losses of {name} do NOT agree with ours", flush=True)
    return taking, checks


def run_threads(names: list[str], cases: list[str], options: Any) -> dict[str, Any]:
    """Return the times of steps for each number of threads, alternating."""
    chosen = [n for n in names if n in ("netlayers", "with numba", "floor", "torch", "jax")]
    found: dict[str, Any] = {}
    for case in cases:
        with contextlib.ExitStack() as stack:
            taking: dict[str, Client] = {}
            for count in options.threads:
                clients = stack.enter_context(Clients(chosen, count))
                ready, _ = opened(clients, CASES[case])
                taking |= {f"{count} {name}": client for name, client in ready.items()}
            times = take_turns(taking, "step", options.seconds / 2, options.rounds)
        found[case] = {}
        for key, taken in times.items():
            count, _, name = key.partition(" ")
            found[case].setdefault(count, {})[name] = taken
        ours = [statistics.median(t["netlayers"]) for t in found[case].values()]
        print(f"  {case}: " + ", ".join(f"{1e6 * t:,.0f} µs" for t in ours), flush=True)
    return {"cases": found, "libraries": libraries(), "products": products.run(options)}


def libraries() -> list[dict[str, Any]]:
    """Return the threaded libraries of this process, from threadpoolctl."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        print("  threadpoolctl is not installed: the libraries are not named")
        return []
    import numpy  # noqa: F401

    return [{k: v for k, v in i.items() if k != "filepath"} for i in threadpool_info()]
