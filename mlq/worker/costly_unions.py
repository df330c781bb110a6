"""Warns of hosted models whose inputs could keep a worker: those that pydantic takes exponential time to validate."""

import logging
from contextlib import suppress

from mlq.core.model import ModelInfo
from mlq.core.unions import undecided
from mlq.errors import Undecodable

log = logging.getLogger("mlq.models")
NAMED = 5  # fields


def warn_of_unions(descriptions: list[str]) -> None:
    """Log one warning for each model, if there is reason to."""
    for description in descriptions:
        with suppress(Undecodable):
            info = ModelInfo.parse(description.encode())
            if places := undecided(info.input):
                more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
                log.warning(
                    "model %s: the union of %s%s can contain itself, and has no discriminator: to validate an input "
                    "takes twice as long with each of its levels, until the timeout. Declare it as "
                    'Annotated[Union[...], Field(discriminator="...")]',
                    info.function, ", ".join(places[:NAMED]), more,
                )  # fmt: skip
