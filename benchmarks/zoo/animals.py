"""The models of this benchmark, `M0` to `M19`. Each takes a while to load, and sleeps for a prediction."""

import os
import time

COUNT = 20
LOAD = float(os.environ.get("ZOO_LOAD", "0.5"))  # seconds
PREDICT = 0.005  # seconds


class _Animal:
    version = "1"
    Input = Output = int

    def load(self, _device: str) -> None:
        time.sleep(LOAD)

    def predict(self, x: int) -> int:
        time.sleep(PREDICT)
        return x


for _number in range(COUNT):
    globals()[f"M{_number}"] = type(f"M{_number}", (_Animal,), {"name": f"m{_number}", "__module__": __name__})
