"""Results sent to a server."""

from __future__ import annotations

import http.client
import json
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._warn import warn
from netlayers.checks import check_flag
from netlayers.errors import ConfigurationError
from netlayers.training.callback import Callback

if TYPE_CHECKING:
    from netlayers._typing import Logs

_SECONDS = 10  # to wait for the server


class RemoteMonitor(Callback):
    """Sends the results of each epoch to a server, by POST.

    The body has one field, whose value is JSON: ``{"epoch": 0, "loss": 0.5, ...}``, arrays as
    lists. With ``send_as_json`` the body is that JSON. A server that does not answer does not end a
    run: a warning says so, once in a run.

    Args:
        root: address of the server, ``http://`` or ``https://``.
        path: path of the request.
        field: name of the field.
        headers: headers of the request.
        send_as_json: send JSON with the content type ``application/json``.

    Example:
        >>> import netlayers as nl
        >>> nl.callbacks.RemoteMonitor("http://localhost:9000", send_as_json=True).root
        'http://localhost:9000'
    """

    part_of_run = False  # it has no influence on the run
    first_process_only = True

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
    ) -> None:
        if not isinstance(root, str) or not root.startswith(("http://", "https://")):
            raise ConfigurationError(
                f"RemoteMonitor: root must begin with http:// or https://, got {root!r}."
            )
        if not isinstance(path, str) or not path.startswith("/"):
            raise ConfigurationError(f"RemoteMonitor: path must begin with /, got {path!r}.")
        if not isinstance(field, str) or not field:
            raise ConfigurationError(
                f"RemoteMonitor: field must be the name of a field, got {field!r}."
            )
        if headers is not None and not (
            isinstance(headers, Mapping)
            and all(isinstance(text, str) for pair in headers.items() for text in pair)
        ):
            raise ConfigurationError(
                f"RemoteMonitor: headers must be a dict of strings, got {headers!r}."
            )
        self.root, self.path, self.field = root, path, field
        self.headers = None if headers is None else dict(headers)
        self.send_as_json = check_flag("RemoteMonitor", "send_as_json", send_as_json)
        self._warned = False

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        nobody = "http://127.0.0.1:1"
        return [
            {"root": nobody},
            {
                "root": nobody,
                "path": "/here",
                "field": "results",
                "headers": {"X-Run": "1"},
                "send_as_json": True,
            },
        ]

    arguments_without_effect = ("root", "path", "field", "headers", "send_as_json")  # on the model

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Reset the warning."""
        self._warned = False

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Send the results."""
        values = {"epoch": epoch, **(logs or {})}
        text = json.dumps({name: _plain(value) for name, value in values.items()})
        headers = dict(self.headers or {})
        if self.send_as_json:
            body = text.encode()
            headers.setdefault("Content-Type", "application/json")
        else:
            body = urllib.parse.urlencode({self.field: text}).encode()
        request = urllib.request.Request(self.root + self.path, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS):
                pass
        except (OSError, ValueError, http.client.HTTPException) as error:
            if not self._warned:
                self._warned = True
                warn(f"RemoteMonitor: could not reach {self.root}: {error}. Training continues.")


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
