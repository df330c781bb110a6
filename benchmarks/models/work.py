"""The models that are measured, the same for all services. Imports no service, so it runs in every environment."""

import threading
import time

FIELDS = ("sepal_length", "sepal_width", "petal_length", "petal_width")
EXPECTED = {(5.1, 3.5, 1.4, 0.2): "setosa", (5.7, 2.8, 4.1, 1.3): "versicolor", (6.5, 3.0, 5.8, 2.2): "virginica"}
MOST = 32  # items in a batch
FIXED, EACH = 0.010, 0.0005  # seconds of a batch, and of each item in it
Row = list[float]  # the numbers of one flower, as in FIELDS


class Overhead:
    """Takes 10 ms for a batch and 0.5 ms for each item.

    It sleeps, as a process does while a GPU computes, so that the cores of the machine are not what limits it. It
    works on one batch at a time, as a device does: without the lock, 32 threads would own 32 devices.
    """

    fixed, each = FIXED, EACH

    def __init__(self) -> None:
        self._device = threading.Lock()

    def predict_batch(self, rows: list[Row]) -> list[str]:
        with self._device:
            time.sleep(self.fixed + self.each * len(rows))
        return ["setosa" if row[2] < 2.5 else "versicolor" if row[2] < 5.0 else "virginica" for row in rows]


class Cheap(Overhead):
    """Takes 1.2 ms for a batch and 0.02 ms for each item."""

    fixed, each = 0.0012, 0.00002


class Iris:
    """A support vector classifier, trained on the data that come with scikit-learn."""

    def __init__(self) -> None:
        from sklearn.datasets import load_iris
        from sklearn.svm import SVC

        data = load_iris()
        self._names = [str(name) for name in data.target_names]
        self._classifier = SVC().fit(data.data, data.target)

    def predict_batch(self, rows: list[Row]) -> list[str]:
        return [self._names[number] for number in self._classifier.predict(rows)]


MODELS: dict[str, type[Overhead | Iris]] = {"overhead": Overhead, "iris": Iris, "cheap": Cheap}


_loading = threading.Lock()
_loaded: dict[str, Overhead | Iris] = {}


def loaded(name: str) -> Overhead | Iris:
    """The model of this process; one thread loads it."""
    with _loading:
        if name not in _loaded:
            _loaded[name] = MODELS[name]()
        return _loaded[name]


def alone(name: str, count: int) -> float:
    """Seconds of a batch of so many items, with no service around it: the least of some."""
    model, rows = loaded(name), [list(next(iter(EXPECTED)))] * count
    took = []
    for _ in range(20):
        began = time.perf_counter()
        model.predict_batch(rows)
        took.append(time.perf_counter() - began)
    return min(took)
