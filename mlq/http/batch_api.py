"""OpenAI's batch API: files and batches, which share one store."""

from mlq import MLQ
from mlq.http import batches, files
from mlq.http.routes import Route
from mlq.http.served_files import ServedFiles
from mlq.http.settings import Settings


def routes(mlq: MLQ, settings: Settings) -> list[Route]:
    """The routes for one queue."""
    served = ServedFiles(mlq, settings)
    return [*files.routes(served, settings), *batches.routes(mlq, served)]
