"""Serve a model over HTTP: rows in, predictions out, several requests at once.

    pip install ".[serve]"
    OPENBLAS_NUM_THREADS=1 python examples/serve.py digits.safetensors --port 8000
    curl localhost:8000/predict -H "Content-Type: application/json" -d '{"rows": [[0.1, 0.2, ...]]}'

FastAPI runs ``predict`` in a thread for each request, and ``model.predict`` may be called from
several threads. Without a file, a model of the digits is trained in a second and served. The page
http://localhost:8000/docs describes the service and tries it out.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

import netlayers as nl

LARGEST = 10_000  # rows in a request


class Rows(BaseModel):
    """What a request holds: rows of numbers, each of the model's input shape."""

    rows: list[Any] = Field(min_length=1, max_length=LARGEST)


def create_app(model: nl.Model) -> FastAPI:
    """Return the service of a model; what is wrong with a request is said in the reply."""
    app = FastAPI(title=model.name, version=nl.__version__)
    shape = model.input_shape[1:]
    model.predict(np.zeros((1, *shape)))  # compiled kernels are loaded before the first request

    @app.post("/predict")
    def predict(request: Rows) -> dict[str, Any]:
        try:
            with np.errstate(over="ignore"):  # a number too large becomes infinity
                x = np.asarray(request.rows, dtype=np.float32)
            if not np.isfinite(x).all():
                raise ValueError("expected finite numbers, got NaN, infinity or null")
            y = model.predict(x)
        except (ValueError, TypeError, nl.errors.NetlayersError) as error:
            raise HTTPException(422, str(error)) from error
        return {"predictions": y.tolist()}

    @app.get("/health")
    def health() -> dict[str, Any]:
        return {"status": "ok", "model": model.name, "input_shape": shape}

    return app


def digits() -> nl.Model:
    """Return a small classifier of the digits that ship with the package."""
    (x, y), _ = nl.datasets.digits.load_data()
    layers = [nl.layers.Dense(32, "relu"), nl.layers.Dense(10, "softmax")]
    model = nl.Sequential(layers, seed=0, name="digits")
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x.reshape(-1, 64) / 16, y, epochs=20, verbose=0)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", nargs="?", help="of model.save; without it, a model of the digits")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    model = nl.load_model(options.file, compile=False) if options.file else digits()
    uvicorn.run(create_app(model), host=options.host, port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
