"""Results sent to a server, which is one of the test."""

import http.server
import json
import threading
import urllib.parse

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError


@pytest.fixture
def server():
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, self.headers["Content-Type"], body.decode()))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as its:
        threading.Thread(target=its.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{its.server_port}", seen
        its.shutdown()


@pytest.mark.parametrize("as_json", [False, True])
def test_results_arrive(server, as_json):
    root, seen = server
    monitor = nl.callbacks.RemoteMonitor(root, path="/here", send_as_json=as_json)
    monitor.on_epoch_end(3, {"loss": np.float32(0.5), "matrix": np.eye(2)})
    path, kind, body = seen[0]
    text = body if as_json else urllib.parse.parse_qs(body)["data"][0]
    assert path == "/here"
    assert ("json" in kind) is as_json
    assert json.loads(text) == {"epoch": 3, "loss": 0.5, "matrix": [[1, 0], [0, 1]]}


def test_nobody_there():
    monitor = nl.callbacks.RemoteMonitor("http://127.0.0.1:1")
    with pytest.warns(UserWarning, match=r"RemoteMonitor: could not reach http://127.0.0.1:1"):
        monitor.on_epoch_end(0, {})
    monitor.on_epoch_end(1, {})  # once in a run
    with pytest.raises(ConfigurationError, match="http://"):
        nl.callbacks.RemoteMonitor("file:///etc/passwd")
