"""The data and the classifier: scikit-learn's handwritten digits, and what learns to read them. No queue in here."""

from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import train_test_split

HELD_OUT = 900  # of the 1,797 images; the classifier never sees them before the workers do
TREES = 60


class Digits(NamedTuple):
    """Images of 8 by 8 pixels with 17 shades of grey, and which digits they are."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def load() -> Digits:
    """The images, split; they come with scikit-learn, so nothing is downloaded."""
    bunch = load_digits()
    images = bunch.images.astype(np.uint8)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, bunch.target, test_size=HELD_OUT, stratify=bunch.target, random_state=7
    )
    return Digits(train_images, train_labels, test_images, test_labels)


def train(images: np.ndarray, labels: np.ndarray) -> ExtraTreesClassifier:
    """A classifier that learned from each image in all of its positions."""
    positions = np.concatenate([moved(image) for image in images])
    return ExtraTreesClassifier(TREES, random_state=7).fit(positions, labels.repeat(len(positions) // len(images)))


def probabilities(classifier: ExtraTreesClassifier, images: np.ndarray) -> np.ndarray:
    """How likely each image shows each of the ten digits: the mean over its positions."""
    positions = np.concatenate([moved(image) for image in images])
    return classifier.predict_proba(positions).reshape(len(images), -1, 10).mean(axis=1)


def moved(image: np.ndarray) -> np.ndarray:
    """The image as it is, and moved by one pixel up, down, left and right; as five rows of 64 numbers."""
    padded = np.pad(image, 1)
    corners = ((1, 1), (2, 1), (0, 1), (1, 2), (1, 0))
    return np.stack([padded[y : y + 8, x : x + 8].ravel() for y, x in corners])


def save(classifier: ExtraTreesClassifier, path: Path) -> None:
    """Write the classifier where the workers find it."""
    joblib.dump(classifier, path)


def restore(path: Path) -> ExtraTreesClassifier:
    """Read what `save` wrote. Such a file can run code when it is read: read only your own."""
    return joblib.load(path)
