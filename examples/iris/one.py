"""Two predictions, one by one. This program needs neither the model nor scikit-learn."""

import time

from mlq import MLQ

iris = MLQ().model("iris")

job = iris.submit({"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2})
while not job.ready():  # a program that has other things to do does them here
    time.sleep(0.05)
print(job.result())

# Or post and wait in one call:
print(iris.predict({"sepal_length": 6.3, "sepal_width": 3.3, "petal_length": 6.0, "petal_width": 2.5}, timeout=60))
