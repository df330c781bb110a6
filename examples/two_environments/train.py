"""Train a model in one environment, or read one there: train.py write NAME, train.py read NAME."""

import pickle
import sys
import warnings
from pathlib import Path

import sklearn
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent
PETAL = [2, 3]  # the columns with the petals' measures


def write(name: str) -> None:
    """Train a model, and write it to a file."""
    flowers = load_iris()
    scaled = make_column_transformer((StandardScaler(), PETAL), remainder="passthrough")
    model = make_pipeline(scaled, LogisticRegression(max_iter=500))
    model.fit(flowers.data, flowers.target_names[flowers.target])
    (HERE / f"{name}.pickle").write_bytes(pickle.dumps(model))
    print(f"scikit-learn {sklearn.__version__} has trained and written {name}.pickle")


def read(name: str) -> None:
    """Try to predict with a model from its file."""
    warnings.simplefilter("ignore")  # that it was written by another version
    try:
        model = pickle.loads((HERE / f"{name}.pickle").read_bytes())  # noqa: S301 - our own file
        model.predict(load_iris().data)
    except Exception as error:  # noqa: BLE001 - which one depends on the versions
        print(f"scikit-learn {sklearn.__version__} can't use {name}.pickle: {type(error).__name__}")
    else:
        print(f"scikit-learn {sklearn.__version__} can use {name}.pickle")


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](sys.argv[2])
