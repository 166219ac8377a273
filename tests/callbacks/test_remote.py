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


def test_requests(monkeypatch):
    sent = []

    class Answer:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

    def urlopen(request, **options):
        sent.append((request, options))
        return Answer()

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    monitor = nl.callbacks.RemoteMonitor("http://a", field="f", headers={"X-Run": "1"})
    monitor.on_epoch_end(0)
    monitor.on_epoch_end(1, {"loss": 2.0})
    (first, options), (second, _) = sent
    assert options == {"timeout": 10}
    assert first.full_url == "http://a/publish/epoch/end/"
    assert first.headers == {"X-run": "1"}
    assert urllib.parse.parse_qs(first.data.decode()) == {"f": ['{"epoch": 0}']}
    assert json.loads(urllib.parse.parse_qs(second.data.decode())["f"][0]) == {
        "epoch": 1,
        "loss": 2,
    }
    own = nl.callbacks.RemoteMonitor("http://a", headers={"Content-Type": "x"}, send_as_json=True)
    own.on_epoch_end(0, {})
    assert sent[-1][0].headers == {"Content-type": "x"}
    assert monitor.headers == {"X-Run": "1"}


def test_a_warning_in_each_run():
    monitor = nl.callbacks.RemoteMonitor("http://127.0.0.1:1")
    for _ in range(2):
        monitor.on_train_begin()
        with pytest.warns(UserWarning, match="could not reach"):
            monitor.on_epoch_end(0, {})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"root": 3}, "root must begin"),
        ({"root": "ftp://a"}, "root must begin"),
        ({"path": "here"}, "path must begin with /, got 'here'"),
        ({"path": 3}, "path must begin"),
        ({"field": ""}, "field must be the name"),
        ({"field": 3}, "field must be the name"),
        ({"headers": ["a"]}, "headers must be a dict of strings"),
        ({"headers": {"a": 1}}, "headers must be a dict of strings"),
        ({"headers": {1: "a", "b": "c"}}, "headers must be a dict of strings"),
        ({"send_as_json": "yes"}, "send_as_json"),
    ],
)
def test_arguments(arguments, text):
    with pytest.raises(ConfigurationError, match=text):
        nl.callbacks.RemoteMonitor(**{"root": "http://a", **arguments})
