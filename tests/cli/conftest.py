"""Runs commands within the test's process."""

import pytest
from click.testing import CliRunner, Result

from mlq.cli.program import program


@pytest.fixture
def run(server_url, namespace):
    """Runs one command line in the test's namespace."""

    def call(*words: str) -> Result:
        environment = {"MLQ_URL": server_url, "MLQ_NAMESPACE": namespace}
        result = CliRunner(env=environment).invoke(program, list(words), prog_name="mlq")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return call
