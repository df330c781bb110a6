"""Packages that are installed only with an extra of MLQ: an error that says how to install them."""

from importlib.util import find_spec

from mlq.errors import InputError

# What each extra of pyproject.toml brings, as modules.
EXTRAS = {
    "files": ("fsspec", "pyarrow"),
    "gevent": ("gevent",),
    "mlflow": ("jsonschema_rs", "pydantic", "yaml"),
    "models": ("jsonschema_rs", "pydantic"),
    "serve": ("flask", "gevent", "jsonpickle", "msgspec", "prometheus_client"),
}


def require(extra: str, what: str) -> None:
    """Raises InputError if a package of this extra is missing. `what` needs it: the subject of the error's sentence."""
    missing = [name for name in EXTRAS[extra] if find_spec(name) is None]
    if missing:
        raise InputError(
            f"{what} needs packages that are not installed ({', '.join(missing)}): pip install 'mlq[{extra}]'"
        )
