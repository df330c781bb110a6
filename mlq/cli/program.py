"""The command `mlq` as a whole."""

import click

from mlq import __version__
from mlq.cli import (
    dead,
    gates,
    jobs,
    models,
    overview,
    pipelines,
    posting,
    predict,
    purge,
    schedules,
    serve,
    serve_models,
    shares,
    tree,
    why,
    worker,
)
from mlq.cli.base import Program, global_options

# MLQ_VERSION is likely to be somebody's own variable, and must not set the flag --version
version_option = click.version_option(
    __version__, prog_name="mlq", message="%(prog)s %(version)s", allow_from_autoenv=False
)


@click.group(
    cls=Program,
    context_settings={"auto_envvar_prefix": "MLQ", "help_option_names": ["-h", "--help"]},
    epilog="Every option can be set in the environment: MLQ_NAMESPACE, MLQ_WORKER_CONCURRENCY, ... Exit codes: 0 done, "
    "1 the job failed, 2 wrong usage, 3 no server or a full queue, 4 timeout, 5 rows of a file failed, 130 Ctrl-C.",
)
@version_option
@global_options(environment=True)
def program() -> None:
    """Post jobs to a queue, run them, and manage them."""


for command in (
    posting.post, posting.wait, posting.stream, posting.logs,
    jobs.one_job, why.why, tree.tree, jobs.many_jobs, jobs.cancel, jobs.redeliver, jobs.delete, purge.purge, dead.dead,
    gates.limit, gates.limits, gates.pause, gates.resume, shares.shares,
    overview.count, overview.status, overview.workers, overview.clear, overview.server,
    models.models, predict.predict, pipelines.pipelines, schedules.schedule,
    worker.worker, serve.serve, serve_models.serve_models,
):  # fmt: skip
    program.add_command(command)
