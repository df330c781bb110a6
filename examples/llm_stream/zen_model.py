"""The model as MLQ hosts it. Its `predict` is a generator: what it yields is streamed, what it returns is the output.

A chain of words, each picked from those that follow the last one in the Zen of Python, which every Python has. A real
language model is written in the same way.
"""

import codecs
import contextlib
import random
import time
from collections import defaultdict
from collections.abc import Generator
from itertools import pairwise

from pydantic import BaseModel, Field

PAUSE = 0.05  # seconds per word, about the pace of a language model


class Zen:
    """Continues a text, word by word, with what sounds like the Zen of Python."""

    name, version = "zen", "1"

    class Input(BaseModel):
        prompt: str = Field("Beautiful is", max_length=1000)
        words: int = Field(30, ge=1, le=500)
        seed: int = 0

    class Output(BaseModel):
        text: str

    def load(self, device: str) -> None:  # noqa: ARG002 - words need no GPU
        """Learn which words follow which."""
        with contextlib.redirect_stdout(None):  # it prints its text
            import this
        self.words = codecs.decode(this.s, "rot13").split()
        self.following = defaultdict(list)
        for word, following in pairwise(self.words):
            self.following[word].append(following)

    def predict(self, x: Input) -> Generator[str, None, Output]:
        """Yield one word at a time, and return the whole text."""
        chance, text = random.Random(x.seed), x.prompt.split()
        for _ in range(x.words):
            text.append(chance.choice(self.following.get("".join(text[-1:]), self.words)))
            time.sleep(PAUSE)
            yield text[-1]
        return self.Output(text=" ".join(text))
