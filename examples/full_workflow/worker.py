"""The worker's listener: teaches a small neural network to read handwritten digits, and tells how it gets on.

Run it with `mlq worker examples/full_workflow/worker.py`, as many as you like.
"""

import time
from typing import Any

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from mlq import MLQ

PAUSE = 0.15  # seconds after each epoch: the network learns faster than one can watch
MOST_EPOCHS, MOST_NEURONS = 200, 256
SHOWN = 8  # images in the result that were misread, and as many that were not

mlq = MLQ("full_workflow")


@mlq.listener
def train(message: dict[str, int], ctx: Any) -> dict[str, Any]:
    """`message`: `epochs` and `neurons`. Emits the accuracy after each epoch; gives some held-out images as read."""
    epochs = checked("epochs", message["epochs"], MOST_EPOCHS)
    neurons = checked("neurons", message["neurons"], MOST_NEURONS)
    digits = load_digits()  # comes with scikit-learn
    known, unseen, known_labels, labels = train_test_split(
        digits.data / 16, digits.target, test_size=600, stratify=digits.target, random_state=7
    )
    network = MLPClassifier((neurons,), learning_rate_init=0.003, random_state=7)
    print(f"{len(known)} images to learn from, {len(unseen)} held out; {neurons} neurons, {epochs} epochs")
    for epoch in range(1, epochs + 1):
        network.partial_fit(known, known_labels, classes=digits.target_names)
        accuracy = float(network.score(unseen, labels))
        ctx.emit({"epoch": epoch, "of": epochs, "accuracy": accuracy})
        ctx.update_progress(100 * epoch // epochs)
        print(f"epoch {epoch}: loss {network.loss_:.3f}, accuracy {accuracy:.1%}")
        time.sleep(PAUSE)
    read = network.predict(unseen)
    wrong, right = (read != labels).nonzero()[0], (read == labels).nonzero()[0]
    pictures = [
        {"image": unseen[n].reshape(8, 8), "read": read[n], "is": labels[n]} for n in (*wrong[:SHOWN], *right[:SHOWN])
    ]
    return {"accuracy": accuracy, "wrong": len(wrong), "of": len(labels), "pictures": pictures}


def checked(name: str, number: object, most: int) -> int:
    """The number, where it is one from 1 to `most`. What a listener raises is shown to whoever posted the job."""
    if not isinstance(number, int) or not 1 <= number <= most:
        raise ValueError(f"{name} must be a whole number from 1 to {most}, not {number!r:.40}")
    return number
