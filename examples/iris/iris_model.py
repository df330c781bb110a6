"""The model as MLQ hosts it: what it takes, what it gives, how it is loaded, how it predicts."""

import joblib
import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from train import FILE, train


class Iris:
    """Tells the species of an iris from its measures, in centimetres."""

    name, version = "iris", "1"

    class Input(BaseModel):
        model_config = ConfigDict(extra="forbid")  # a misspelt field is an error, not a field left out

        sepal_length: float = Field(gt=0, le=30)
        sepal_width: float = Field(gt=0, le=30)
        petal_length: float = Field(gt=0, le=30)
        petal_width: float = Field(gt=0, le=30)

    class Output(BaseModel):
        species: str
        probability: float

    def load(self, device: str) -> None:  # noqa: ARG002 - scikit-learn knows no devices
        """Once per process, before the first prediction. A file of joblib can run code: load only your own."""
        self.model = joblib.load(FILE) if FILE.exists() else train()[0]

    def predict_batch(self, flowers: list[Input]) -> list[Output]:
        """One call for all inputs that wait, up to `batch` in models.toml."""
        measures = [[one.sepal_length, one.sepal_width, one.petal_length, one.petal_width] for one in flowers]
        probabilities = self.model.predict_proba(np.array(measures))
        return [
            self.Output(species=self.model.classes_[row.argmax()], probability=round(row.max(), 3))
            for row in probabilities
        ]
