"""The worker: tells the species of an iris from its measures. It alone loads the model.

Run it with `mlq worker examples/fastapi_service/worker.py`.
"""

import functools
from typing import Any

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from mlq import MLQ

SPECIES = ("setosa", "versicolor", "virginica")

mlq = MLQ("irises")


@functools.cache
def model() -> LogisticRegression:
    """The model, made when the first job needs it and kept in this process; yours would be read from a file."""
    flowers = load_iris()
    return LogisticRegression(max_iter=500).fit(flowers.data, flowers.target)


@mlq.listener(timeout=30)
def classify(flower: dict[str, float]) -> dict[str, Any]:
    """The species, and how likely each one is. Raises ValueError for what can't be an iris."""
    measures = [flower[name] for name in ("sepal_length", "sepal_width", "petal_length", "petal_width")]
    if flower["petal_width"] > flower["petal_length"]:
        raise ValueError("petals of irises are longer than wide")
    probabilities = model().predict_proba([measures])[0].round(3)
    return {
        "species": SPECIES[probabilities.argmax()],
        "probabilities": dict(zip(SPECIES, probabilities, strict=True)),
    }
