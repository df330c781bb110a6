"""Predictions from four threads at a time, and what a wrong input is answered."""

from concurrent.futures import ThreadPoolExecutor

from mlq import MLQ, ValidationError

FIELDS = ("sepal_length", "sepal_width", "petal_length", "petal_width")
FLOWERS = [
    ("setosa", 5.1, 3.5, 1.4, 0.2), ("setosa", 5.7, 4.4, 1.5, 0.4), ("setosa", 5.5, 4.2, 1.4, 0.2),
    ("versicolor", 7.0, 3.2, 4.7, 1.4), ("versicolor", 6.1, 2.9, 4.7, 1.4), ("versicolor", 6.7, 3.0, 5.0, 1.7),
    ("virginica", 6.3, 3.3, 6.0, 2.5), ("virginica", 7.7, 2.6, 6.9, 2.3), ("virginica", 6.3, 2.8, 5.1, 1.5),
]  # fmt: skip

iris = MLQ().model("iris")  # one client serves all threads


def species_of(flower: tuple[str, float, float, float, float]) -> str:
    """What the model says to one flower."""
    return iris.predict(dict(zip(FIELDS, flower[1:], strict=True)), timeout=60)["species"]


with ThreadPoolExecutor(4) as threads:
    for flower, species in zip(FLOWERS, threads.map(species_of, FLOWERS), strict=True):
        print(f"{flower[0]:<10}  {'named correctly' if species == flower[0] else f'taken for {species}'}")

try:
    iris.submit({"sepal_length": "long", "sepal_width": 3.5, "petal_length": -1.4, "petal_widht": 0.2})
except ValidationError as error:  # raised at once, and nothing was posted
    print("\nRefused:")
    for path, reason in error.faults:
        print(f"  {path}: {reason}")
