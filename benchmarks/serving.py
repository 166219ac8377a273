"""Serving: cold start, one row, memory, and an HTTP service under load, beside two others.

    pip install ".[bench,serve]" onnx onnxruntime
    OPENBLAS_NUM_THREADS=1 python benchmarks/serving.py

The same network, 784-128-10 with ReLU and softmax, as a file of netlayers, of scikit-learn (joblib)
and of ONNX. Cold start is the time from the start of a process to its first prediction. Each is
served by FastAPI and uvicorn in one process; clients in another process keep their connections and
send the next request when a reply has come. Both processes share the processors.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROWS = np.random.default_rng(0).random((1000, 784), dtype=np.float32)
Predict = Callable[[np.ndarray], np.ndarray]


def write(folder: str) -> None:
    """Write the network for each library, with the same weights."""
    import joblib
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from sklearn.neural_network import MLPClassifier

    import netlayers as nl

    layers = [nl.layers.Dense(128, "relu"), nl.layers.Dense(10, "softmax")]
    model = nl.Sequential(layers, seed=0)
    model.build((None, 784))
    model.save(f"{folder}/netlayers.safetensors")
    w1, b1, w2, b2 = model.get_weights()

    other = MLPClassifier((128,), max_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one iteration: only the form counts
        other.fit(ROWS[:100], np.arange(100) % 10)
    other.coefs_, other.intercepts_ = [w1, w2], [b1, b2]
    joblib.dump(other, f"{folder}/sklearn.joblib")

    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["a"]),
        helper.make_node("Relu", ["a"], ["h"]),
        helper.make_node("Gemm", ["h", "w2", "b2"], ["z"]),
        helper.make_node("Softmax", ["z"], ["y"], axis=1),
    ]
    arrays = {"w1": w1, "b1": b1, "w2": w2, "b2": b2}
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 784])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, f"{folder}/onnxruntime.onnx")


def load_netlayers(folder: str) -> Predict:
    import netlayers as nl

    return nl.load_model(f"{folder}/netlayers.safetensors", compile=False).predict


def load_netlayers_batch(folder: str) -> Predict:
    import netlayers as nl

    return nl.load_model(f"{folder}/netlayers.safetensors", compile=False).predict_on_batch


def load_sklearn(folder: str) -> Predict:
    import joblib

    return joblib.load(f"{folder}/sklearn.joblib").predict_proba


def load_onnxruntime(folder: str) -> Predict:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(f"{folder}/onnxruntime.onnx", options)
    return lambda x: session.run(["y"], {"x": x})[0]


PEERS = {
    "netlayers": load_netlayers,
    "netlayers, predict_on_batch": load_netlayers_batch,
    "scikit-learn": load_sklearn,
    "ONNX Runtime": load_onnxruntime,
}
SERVED = ("netlayers", "scikit-learn", "ONNX Runtime")


def resident() -> float:
    """Return the memory of this process in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


# In processes of their own -----------------------------------------------------------------------


def first(peer: str, folder: str) -> None:
    """Print the memory after the first prediction."""
    PEERS[peer](folder)(ROWS[:1])
    print(json.dumps(resident()))


def latency(peer: str, folder: str) -> None:
    """Print the microseconds of a prediction of one row, the best of many turns, and its value."""
    predict, row = PEERS[peer](folder), ROWS[:1]
    predict(row)
    best = float("inf")
    for _ in range(200):
        begin = time.perf_counter()
        for _ in range(50):
            predict(row)
        best = min(best, (time.perf_counter() - begin) / 50)
    print(json.dumps([best * 1e6, predict(row).tolist()]))


def serve(peer: str, folder: str, port: str) -> None:
    """Serve predictions, as examples/serve.py does."""
    import uvicorn
    from fastapi import FastAPI

    predict = PEERS[peer](folder)
    app = FastAPI()

    @app.post("/predict")
    def answer(request: dict[str, Any]) -> dict[str, Any]:
        x = np.asarray(request["rows"], dtype=np.float32)
        return {"predictions": predict(x).tolist()}

    @app.get("/memory")
    def memory() -> float:
        return resident()

    uvicorn.run(app, port=int(port), log_level="warning")


def clients(port: str, count: str, rows: str, seconds: str) -> None:
    """Print the milliseconds of the replies that came within the time."""
    body = json.dumps({"rows": ROWS[: int(rows)].round(3).astype(float).tolist()})
    taken: list[float] = []
    end = time.perf_counter() + float(seconds)

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
        while time.perf_counter() < end:
            begin = time.perf_counter()
            connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            if reply.status != 200:
                raise RuntimeError(reply.read())
            reply.read()
            taken.append((time.perf_counter() - begin) * 1e3)

    threads = [threading.Thread(target=client) for _ in range(int(count))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(taken))


# The measurement ---------------------------------------------------------------------------------


def ask(*arguments: str) -> Any:
    """Return what this file prints when it is started with arguments."""
    command = [sys.executable, __file__, *arguments]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout)


def under_load(peer: str, folder: str, port: int, seconds: float) -> list[str]:
    """Return a row for each number of clients and of rows, and print the memory."""
    command = [sys.executable, __file__, "serve", peer, folder, str(port)]
    server = subprocess.Popen(command)
    get = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        while True:
            try:
                get.request("GET", "/memory")
                break
            except ConnectionRefusedError:
                get.close()
                time.sleep(0.05)
        before = float(get.getresponse().read())
        get.close()  # the server would, while others ask
        table = []
        for count, rows in ((1, 1), (8, 1), (32, 1), (8, 100)):
            taken = ask("clients", str(port), str(count), str(rows), str(seconds))
            cut = statistics.quantiles(taken, n=100)
            table.append(
                f"| {peer} | {count} | {rows} | {len(taken) / seconds:,.0f} "
                f"| {cut[49]:.1f} | {cut[98]:.1f} |"
            )
        get.request("GET", "/memory")
        after = float(get.getresponse().read())
    finally:
        server.kill()
    print(f"{peer}: {before:.0f} MiB before the load, {after:.0f} MiB after it")
    return table


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=4, help="of each load")
    parser.add_argument("--rounds", type=int, default=9, help="of cold starts")
    parser.add_argument("--port", type=int, default=8731)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write(folder)
        starts: dict[str, list[float]] = {peer: [] for peer in PEERS}
        memory = {}
        for turn in range(options.rounds + 1):
            for peer in PEERS:
                begin = time.perf_counter()
                memory[peer] = ask("first", peer, folder)
                if turn:  # the first fills the caches of files
                    starts[peer].append(time.perf_counter() - begin)
        expected = ask("latency", "netlayers", folder)[1]
        print("| | cold start, s | memory, MiB | one row, µs |\n| --- | ---: | ---: | ---: |")
        for peer in PEERS:
            best, value = ask("latency", peer, folder)
            np.testing.assert_allclose(value, expected, rtol=1e-4)
            start = statistics.median(starts[peer])
            print(f"| {peer} | {start:.2f} | {memory[peer]:.0f} | {best:.1f} |")
        print()
        tables = [
            under_load(p, folder, options.port + i, options.seconds) for i, p in enumerate(SERVED)
        ]
        print("\n| | clients | rows | requests/s | median, ms | 99 %, ms |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        print(*(row for table in tables for row in table), sep="\n")


PARTS: dict[str, Callable[..., None]] = {
    "first": first,
    "latency": latency,
    "serve": serve,
    "clients": clients,
}

if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in PARTS:
        PARTS[sys.argv[1]](*sys.argv[2:])
    else:
        main()
