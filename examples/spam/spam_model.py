"""The model as MLQ hosts it: words weighted by TF-IDF, and a linear classifier."""

from typing import Literal

from messages import HAM, SPAM
from pydantic import BaseModel, Field
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline


class Spam:
    """Tells whether a text message is spam."""

    name, version = "spam", "1"

    class Input(BaseModel):
        text: str = Field(min_length=1, max_length=2000)

    class Output(BaseModel):
        label: Literal["spam", "ham"]
        probability: float = Field(description="that it is spam")

    def load(self, device: str) -> None:  # noqa: ARG002 - scikit-learn knows no devices
        """Train, which takes some milliseconds with so few messages; yours would be read from a file."""
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        self.model = make_pipeline(words, LogisticRegression(C=30))
        self.model.fit([*SPAM, *HAM], [True] * len(SPAM) + [False] * len(HAM))

    def predict(self, message: Input) -> Output:
        """One message."""
        probability = self.model.predict_proba([message.text])[0, 1]
        return self.Output(label="spam" if probability > 0.5 else "ham", probability=round(probability, 3))
