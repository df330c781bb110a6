"""Two versions of a model, each for an environment of its own, in which MLQ is not installed."""

import pickle
from pathlib import Path

import numpy as np
import sklearn

HERE = Path(__file__).parent
MEASURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")


class Iris:
    """Tells the species of an iris from its measures, in centimetres."""

    name = "iris"
    Input = {
        "type": "object",
        "properties": {one: {"type": "number", "exclusiveMinimum": 0} for one in MEASURES},
        "required": list(MEASURES),
        "additionalProperties": False,
    }
    Output = {
        "type": "object",
        "properties": {"species": {"type": "string"}, "by": {"type": "string"}},
        "required": ["species", "by"],
    }

    def load(self, device: str) -> None:  # noqa: ARG002 - scikit-learn knows no devices
        """Once per process, before the first prediction. A pickle can run code: load only your own."""
        self.model = pickle.loads((HERE / self.file).read_bytes())  # noqa: S301 - our own file

    def predict_batch(self, flowers: list[dict[str, float]]) -> list[dict[str, str]]:
        """One call for all inputs that wait, as dicts, since the types are JSON Schemas."""
        measures = np.array([[one[name] for name in MEASURES] for one in flowers])
        return [{"species": name, "by": f"scikit-learn {sklearn.__version__}"} for name in self.model.predict(measures)]


class Old(Iris):
    """Tells the species of an iris from its measures; trained with scikit-learn 1.3."""

    version, file = "1", "old.pickle"


class New(Iris):
    """Tells the species of an iris from its measures; trained with scikit-learn 1.8."""

    version, file = "2", "new.pickle"
