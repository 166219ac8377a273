"""Tiny files in the format of MNIST, and a local server of them."""

from __future__ import annotations

import gzip
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from netlayers.datasets import mnist

NAMES = list(mnist.CHECKSUMS)


def idx(array: np.ndarray) -> bytes:
    """Return `array` as an IDX file."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes((0, 0, 8, array.ndim)) + sizes + array.tobytes()


def tiny() -> dict[str, np.ndarray]:
    """Return five training and three test images of 2x3, with labels."""
    rng = np.random.default_rng(1)
    shapes = [(5, 2, 3), (5,), (3, 2, 3), (3,)]
    pairs = zip(NAMES, shapes, strict=True)
    return {name: rng.integers(0, 256, shape, dtype=np.uint8) for name, shape in pairs}


ARRAYS = tiny()
FILES = {name: idx(array) for name, array in ARRAYS.items()}


class Server(ThreadingHTTPServer):
    """Two mirrors, /a/ and /b/, with a list of the requests they got."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.requests: list[str] = []
        both = [f"/{mirror}/{name}.gz" for mirror in "ab" for name in NAMES]
        self.contents = {path: gzip.compress(FILES[path[3:-3]]) for path in both}
        self.announced: dict[str, int] = {}  # lengths other than the true one


class Handler(BaseHTTPRequestHandler):
    """Serve the contents of a Server."""

    def do_GET(self) -> None:
        """Send the file, or 404."""
        server = self.server
        assert isinstance(server, Server)
        server.requests.append(self.path)
        content = server.contents.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        length = server.announced.get(self.path, len(content))
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


def fill(folder: Path, suffix: str = ".gz", mark: str = "-") -> Path:
    """Write the four files into `folder`, compressed if the suffix says so."""
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        file = folder / (name.replace("-idx", f"{mark}idx") + suffix)
        file.write_bytes(gzip.compress(content) if suffix else content)
    return folder


def check(data: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> None:
    """Assert that `data` is what tiny() made."""
    (x_train, y_train), (x_test, y_test) = data
    for name, array in zip(NAMES, (x_train, y_train, x_test, y_test), strict=True):
        assert array.dtype == np.uint8
        assert array.flags.writeable
        np.testing.assert_array_equal(array, ARRAYS[name])
