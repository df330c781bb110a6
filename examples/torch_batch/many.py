"""A thousand points, posted at once and predicted in batches. This program does not need torch."""

import math

from mlq import MLQ

TURNS, COUNT = 1.5, 1000


def point(number: int) -> dict[str, float]:
    """A point on one of the two spirals: on the first if the number is even."""
    radius = math.sqrt((number + 0.5) / COUNT)
    angle = radius * TURNS * 2 * math.pi + number % 2 * math.pi
    return {"x": 0.9 * radius * math.cos(angle), "y": 0.9 * radius * math.sin(angle)}


jobs = MLQ().model("spirals").submit_many(point(number) for number in range(COUNT))
outputs = [job.result(timeout=120) for job in jobs]

right = sum(output["spiral"] == number % 2 for number, output in enumerate(outputs))
calls = sum(1 / output["together"] for output in outputs)
print(f"{right / COUNT:.1%} of {COUNT} points are right; {calls:.0f} calls of the network, on {outputs[0]['device']}")
