"""The same models behind Ray Serve's multiplexing; with its interpreter: python -m benchmarks.zoo.ray_serve REQUESTS.

Four replicas of two slots, as MLQ's workers; each holds three models, in its own process: a load starts no Python.
Prints loads for 1,000 requests, p50 and p99 in ms, and requests a second, as JSON.
"""

import asyncio
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import ray
from ray import serve

from benchmarks.zoo import animals
from benchmarks.zoo.clients import ask

WORKERS, ROOM, SLOTS = 4, 3, 2
LIMIT = 300.0  # seconds for one answer


@serve.deployment(num_replicas=WORKERS, max_ongoing_requests=SLOTS, ray_actor_options={"num_cpus": 0.1})
class Zoo:
    def __init__(self, loads: Path) -> None:
        self._loads = loads  # a file that gets a line for each load of each replica

    @serve.multiplexed(max_num_models_per_replica=ROOM)
    async def _model(self, name: str) -> Any:
        return await asyncio.to_thread(self._load, name)

    def _load(self, name: str) -> Any:
        with self._loads.open("a") as file:
            file.write(name + "\n")
        model = getattr(animals, name.upper())()
        model.load("cpu")
        return model

    async def __call__(self, x: int) -> int:
        model = await self._model(serve.get_multiplexed_model_id())
        return await asyncio.to_thread(model.predict, x)


def main() -> None:
    requests = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        loads = Path(folder, "loads")
        ray.init(num_cpus=4, include_dashboard=False, logging_level="ERROR")
        handle = serve.run(Zoo.bind(loads))

        def predict(name: str) -> None:
            handle.options(multiplexed_model_id=name).remote(1).result(timeout_s=LIMIT)

        warm = len(ask(predict, requests // 4, seed=1)[0])
        took, seconds = ask(predict, requests, seed=2)
        serve.shutdown()
        ray.shutdown()
        loaded = len(loads.read_text().splitlines())
    took.sort()
    p50, p99 = 1000 * statistics.median(took), 1000 * took[int(0.99 * len(took))]
    print(json.dumps([1000 * loaded / (warm + len(took)), p50, p99, len(took) / seconds]))


if __name__ == "__main__":
    main()
