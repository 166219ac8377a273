"""Our estimators beside scikit-learn's multilayer perceptrons: scores and times of five folds.

    python benchmarks/estimators.py

Eight data sets that scikit-learn has or makes; both get the same arguments, standardized features
and folds. The time is that of the processor for ``fit``, which other programs disturb less than the
time on the clock. Run it with ``OPENBLAS_NUM_THREADS=1``: the products are small.
"""

from __future__ import annotations

import statistics
import time
import warnings
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.base import is_classifier
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import netlayers as nl
from netlayers.estimators import NeuralNetClassifier, NeuralNetRegressor

FOLDS = 5
SETS = {
    "iris": (datasets.load_iris, {}),
    "wine": (datasets.load_wine, {}),
    "breast cancer": (datasets.load_breast_cancer, {}),
    "digits": (datasets.load_digits, {}),
    "two moons": (datasets.make_moons, {"n_samples": 2000, "noise": 0.2, "random_state": 0}),
    "classification": (
        datasets.make_classification,
        {"n_samples": 5000, "n_features": 40, "n_informative": 20, "n_classes": 4}
        | {"random_state": 0},
    ),
    "diabetes": (datasets.load_diabetes, {}),
    "Friedman 1": (
        datasets.make_friedman1,
        {"n_samples": 3000, "noise": 1.0, "random_state": 0},
    ),
}


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return samples and targets; those that are numbers are standardized."""
    function, arguments = SETS[name]
    options = arguments or {"return_X_y": True}
    x, y = function(**options)
    if y.dtype.kind == "f":
        y = (y - y.mean()) / y.std()
    return x, y


def folds(estimator: Any, x: np.ndarray, y: np.ndarray) -> tuple[list[float], float]:
    """Return the score of each fold, and the seconds of all fits."""
    split = StratifiedKFold if is_classifier(estimator) else KFold
    scores, seconds = [], 0.0
    for train, test in split(FOLDS, shuffle=True, random_state=0).split(x, y):
        model = make_pipeline(StandardScaler(), estimator)
        begin = time.process_time()
        model.fit(x[train], y[train])
        seconds += time.process_time() - begin
        scores.append(model.score(x[test], y[test]))
    return scores, seconds


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")  # networks that would train on
    ratios = []
    print(f"kernels: {nl.kernels_in_use()}\n")
    print("| data | n | score, netlayers | scikit-learn | time, s | scikit-learn | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in SETS:
        x, y = load(name)
        kinds: tuple[Any, Any] = (NeuralNetClassifier, MLPClassifier)
        if y.dtype.kind == "f":
            kinds = (NeuralNetRegressor, MLPRegressor)
        folds(kinds[0](max_iter=1), x, y)  # load what is loaded once
        (ours, fast), (theirs, slow) = (folds(kind(random_state=0), x, y) for kind in kinds)
        ratios.append(slow / fast)
        shown = (f"{statistics.mean(s):.3f} ± {statistics.stdev(s):.3f}" for s in (ours, theirs))
        print(f"| {name} | {len(x):,} | {' | '.join(shown)} | {fast:.2f} | {slow:.2f} | "
              f"{ratios[-1]:.2f} |")  # fmt: skip
    print(f"\nGeometric mean of the ratios: {statistics.geometric_mean(ratios):.2f}")


if __name__ == "__main__":
    main()
