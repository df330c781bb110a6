"""Twenty small models, each of which knows one animal. They take 40 MB each, as larger ones take gigabytes."""

import time

from pydantic import BaseModel

NAMES = ["ant", "bat", "bee", "cat", "cow", "dog", "elk", "emu", "fox", "gnu",
         "hen", "jay", "koi", "owl", "pig", "ram", "rat", "sow", "yak", "zho"]  # fmt: skip
WEIGHT = 40 * 2**20  # bytes


class Question(BaseModel):
    """What is heard or seen."""

    text: str


class Answer(BaseModel):
    """Whether it is this animal."""

    animal: str
    found: bool


class Animal:
    """Finds one animal in a text."""

    version = "1"
    Input, Output = Question, Answer
    name: str

    def load(self, device: str) -> None:  # noqa: ARG002 - all models have it
        self.weights = bytearray(WEIGHT)  # as a model reads its weights from a file,
        time.sleep(0.1)  # which takes a moment

    def predict(self, x: Question) -> Answer:
        return Answer(animal=self.name, found=self.name in x.text.lower().split())


globals().update({name.title(): type(name.title(), (Animal,), {"name": name}) for name in NAMES})
