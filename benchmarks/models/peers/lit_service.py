"""The model behind LitServe: python -m benchmarks.models.peers.lit_service PORT WINDOW."""

import os
import sys

import litserve

from benchmarks.models.shapes import Flower, Species
from benchmarks.models.work import FIELDS, MOST, loaded


class Flowers(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002 - the CPU
        self._model = loaded(os.environ["BENCH_MODEL"])

    def decode_request(self, request: Flower) -> list[float]:
        return [getattr(request, name) for name in FIELDS]

    def batch(self, inputs: list[list[float]]) -> list[list[float]]:
        return inputs

    def predict(self, rows: list[list[float]]) -> list[str]:
        return self._model.predict_batch(rows)

    def unbatch(self, output: list[str]) -> list[str]:
        return output

    def encode_response(self, output: str) -> Species:
        return Species(species=output)


if __name__ == "__main__":
    api = Flowers(max_batch_size=MOST, batch_timeout=float(sys.argv[2]))
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=30)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
