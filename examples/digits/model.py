"""The model as MLQ hosts it: what it takes, what it gives, how it is loaded, how it predicts."""

import os
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

from examples.digits import training

FILE = "DIGITS_MODEL"  # the environment variable that names the file with the classifier


class Digits:
    """Reads a handwritten digit in an image of 8 by 8 pixels."""

    name, version = "digits", "1"

    class Input(BaseModel):
        pixels: list[Annotated[float, Field(ge=0, le=16)]] = Field(min_length=64, max_length=64)  # row by row

    class Output(BaseModel):
        digit: int
        probability: float

    def load(self, device: str) -> None:  # noqa: ARG002 - scikit-learn knows no devices
        """Once per process, before it takes jobs."""
        self.classifier = training.restore(Path(os.environ[FILE]))

    def predict_batch(self, inputs: list[Input]) -> list[Output]:
        """One call for all images that wait, up to `batch` in models.toml."""
        images = np.array([one.pixels for one in inputs]).reshape(-1, 8, 8)
        likely = training.probabilities(self.classifier, images)
        return [self.Output(digit=row.argmax(), probability=row.max()) for row in likely]
