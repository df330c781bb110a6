"""The models of this benchmark, `M0` to `M19`. Each takes a while and memory to load, and sleeps for a prediction."""

import os
import time

COUNT = 20
LOAD = float(os.environ.get("ZOO_LOAD", "0.5"))  # seconds
PREDICT = 0.005  # seconds
MEMORY = 100  # MiB that each declares: a child without a model needs a third of that, and the model the rest


class _Animal:
    version = "1"
    Input = Output = int

    def load(self, _device: str) -> None:
        self.weights = os.urandom(MEMORY * 2 // 3 << 20)
        time.sleep(LOAD)

    def predict(self, x: int) -> int:
        time.sleep(PREDICT)
        return x


for _number in range(COUNT):
    globals()[f"M{_number}"] = type(f"M{_number}", (_Animal,), {"name": f"m{_number}", "__module__": __name__})
