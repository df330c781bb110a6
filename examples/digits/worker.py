"""A worker: loads the model once, then reads every image that is posted, until it is told to stop.

The demonstration starts two of them: `MLQ_URL=... python -m examples.digits.worker MODEL_FILE`
"""

import logging
import sys
from pathlib import Path

import numpy as np

from examples.digits import model
from mlq import MLQ


def main() -> None:
    """Load the model, then work; `create_listener` keeps the process going after this function has returned."""
    logging.getLogger("mlq.queue").setLevel(logging.INFO)  # that it works is shown by the demonstration itself
    classifier = model.restore(Path(sys.argv[1]))

    def read_digit(image: np.ndarray) -> tuple[int, np.ndarray]:
        likely = model.probabilities(classifier, image)
        return int(likely.argmax()), likely  # the short result, which callbacks carry, and the whole one

    MLQ("digits").create_listener(read_digit)  # the server is the one that MLQ_URL names


if __name__ == "__main__":
    main()
