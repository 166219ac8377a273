"""``examples/serve.py``: a real server on the loopback address, with clients at the same time."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import netlayers as nl

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and /proc of POSIX")


class Service:
    """A server in a process of its own."""

    def __init__(self, path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, str(ROOT / "examples/serve.py"), path, "--port", str(self.port)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, env=environment, stderr=subprocess.PIPE, text=True, cwd=Path(path).parent
        )

    def wait(self):
        """Return when it answers."""
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            try:
                return self.ask(None, "GET", "/health")
            except ConnectionError:
                time.sleep(0.05)
        self.process.kill()
        raise AssertionError(self.process.communicate()[1])

    def ask(self, content, method="POST", path="/predict", connection=None):
        """Return the status and the reply to a request."""
        mine = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        body = content if isinstance(content, str | None) else json.dumps(content)
        mine.request(method, path, body, {"Content-Type": "application/json"})
        reply = mine.getresponse()
        result = reply.status, reply.read().decode()
        if connection is None:
            mine.close()
        return result

    def resident(self):
        """Return the memory of the process in MiB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.fixture(scope="module")
def model():
    model = nl.Sequential([nl.layers.Dense(32, "relu"), nl.layers.Dense(3, "softmax")], seed=0)
    model.build((None, 4))
    return model


@pytest.fixture(scope="module")
def service(model, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("serving") / "model.safetensors")
    model.save(path)
    service = Service(path)
    try:
        service.wait()
        yield service
    finally:
        service.process.kill()
        service.process.communicate()


def test_health(service, model):
    status, text = service.ask(None, "GET", "/health")
    assert status == 200
    assert json.loads(text) == {"status": "ok", "model": model.name, "input_shape": [4]}


def test_clients_at_the_same_time_get_their_own_predictions(service, model):
    def client(seed):
        rng = np.random.default_rng(seed)
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        for rows in rng.integers(1, 40, 25):
            x = rng.normal(size=(rows, 4))
            status, text = service.ask({"rows": x.tolist()}, connection=connection)
            assert status == 200, text
            found = json.loads(text)["predictions"]
            np.testing.assert_allclose(found, model.predict(x), rtol=1e-5, atol=1e-7)
        connection.close()
        return True

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(client, range(8))) == [True] * 8
    if not Path("/proc/self/statm").exists():
        return
    before = service.resident()
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(client, range(8, 16))) == [True] * 8
    assert service.resident() - before < 20  # MiB, after 200 requests more


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"rows": [[1, 2]]}, "expected an input of shape (batch, 4), got (batch, 2)"),
        ({"rows": []}, "at least 1 item"),
        ({"rows": [[0] * 4] * 10_001}, "at most 10000 items"),
        ({"rows": [[1, 2, 3, None]]}, "expected finite numbers, got NaN, infinity or null"),
        ({"rows": [[1, 2, 3, 1e40]]}, "expected finite numbers"),
        ('{"rows": [[1, 2, 3, NaN]]}', "expected finite numbers"),
        ({"rows": [["a", 2, 3, 4]]}, "could not convert string to float: 'a'"),
        ({"rows": [[1, 2, 3, 4], [1]]}, "inhomogeneous shape"),
        ({"row": [[1, 2, 3, 4]]}, "Field required"),
        ("no JSON", "JSON decode error"),
    ],
)
def test_a_bad_request_is_explained_and_the_service_goes_on(content, message, service):
    status, text = service.ask(content)
    assert status == 422
    assert message in text
    assert service.ask({"rows": [[1, 2, 3, 4]]})[0] == 200


def test_sigterm_ends_it(model, tmp_path):
    model.save(str(tmp_path / "model.safetensors"))
    service = Service(str(tmp_path / "model.safetensors"))
    service.wait()
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(30) in (0, -signal.SIGTERM)
    assert service.process.communicate()[1] == ""  # no traceback
