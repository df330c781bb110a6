"""What all commands share: global options, exit codes, and how errors are reported.

Exit codes:

    0    done
    1    the job failed, was cancelled, is unknown, or is in the wrong state for the command
    2    wrong usage, or a module that can't be imported
    3    the server can't be reached, refuses, or does not run; or the queue is full
    4    the job did not end within --timeout
    5    rows of a file failed; the others were predicted
    130  Ctrl-C
    143  a prediction over a file was stopped by SIGTERM

Every error is reported in one line on stderr that begins with `mlq:`.
"""

import functools
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec

import click

from mlq import MLQ, InputError, MLQError, QueueFull, ServerError, WaitTimeout
from mlq import server as embedded
from mlq.system import logs, terminal

OTHER, USAGE, SERVER, TIMEOUT, ROWS, CTRL_C = 1, 2, 3, 4, 5, 130
WATCHER = "MLQ_WATCHER"  # in a worker's environment: a descriptor at end of file once the watcher has ended
LEVELS = ("debug", "info", "warning", "error")

log = logging.getLogger("mlq.server")

P = ParamSpec("P")

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON, for scripts.")


@dataclass(slots=True)
class Settings:
    """The global options, as given before or after the command."""

    url: str | None = None
    namespace: str | None = None
    log_level: str | None = None
    log_format: str | None = None

    def queue(self, *, announce: bool = True) -> MLQ:
        """The queue that the command is about.

        With `announce`, says on a terminal which server is used, if none was named and the embedded one does not run:
        it may be somebody else's, or a new one without the jobs that the user expects.
        """
        mlq = MLQ("mlq_default" if self.namespace is None else self.namespace, url=self.url)
        named = mlq.url is not None or os.environ.get("MLQ_URL")
        visible = terminal.is_watched() and not log.isEnabledFor(logging.INFO)  # else it is logged
        if announce and visible and not named and embedded.running() is None:
            report(f"using the server at {mlq.server}")
        return mlq

    def start_logging(self) -> None:
        """Log to stderr; a program that has set up its own handlers keeps them."""
        logs.begin((self.log_level or "warning").upper(), as_json=self.log_format == "json")

    def provisional_logging(self) -> logs.Provisional:
        """Log to stderr, unless the listeners' module sets up its own handlers when it is imported."""
        handler = logs.to_stderr(as_json=self.log_format == "json")
        return logs.Provisional(handler, logging.getLevelNamesMapping()[(self.log_level or "warning").upper()])


def _keep(context: click.Context, option: click.Parameter, value: str | None) -> None:
    """Store a global option; if it is given both before and after the command, the latter wins."""
    if value is not None:
        setattr(context.ensure_object(Settings), option.name or "", value)


def global_options(*, environment: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds the global options. With `environment`, as on the group, they are read from the environment, too."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in _options(environment):
            function = option(function)
        return function

    return decorate


def _options(environment: bool) -> list[Callable[[Callable[..., Any]], Callable[..., Any]]]:  # noqa: FBT001
    common: dict[str, Any] = {"expose_value": False, "callback": _keep}
    return [
        click.option("--log-level", type=click.Choice(LEVELS, case_sensitive=False), metavar="LEVEL",
                     help="The lowest level to log on stderr: debug, info, warning or error.",
                     allow_from_autoenv=environment, **common),
        click.option("--namespace", metavar="NAME", help="The application's namespace, instead of mlq_default.",
                     allow_from_autoenv=environment, **common),
        # MLQ_URL is read by the library itself, which can then say that the URL came from there
        click.option("--url", metavar="URL", allow_from_autoenv=False, **common,
                     help="The server (redis://...). Default: MLQ_URL, the embedded server, or localhost:6379."),
    ]  # fmt: skip


def with_settings(function: Callable[Concatenate[Settings, P], None]) -> Callable[P, None]:
    """Passes the global options to a command's function as its first argument, and starts logging."""

    def started(settings: Settings, /, *args: P.args, **kwargs: P.kwargs) -> None:
        settings.start_logging()
        function(settings, *args, **kwargs)

    return with_settings_alone(functools.update_wrapper(started, function))


def with_settings_alone(function: Callable[Concatenate[Settings, P], None]) -> Callable[P, None]:
    """The same, but the command starts logging itself."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        function(click.get_current_context().ensure_object(Settings), *args, **kwargs)

    return global_options()(run)


class Program(click.Group):
    """A group that reports each error in one line."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command and end the process."""
        kwargs["standalone_mode"] = False
        try:
            code = super().main(*args, **kwargs)
        except click.Abort as stopped:
            code = _stopped(stopped)
        except click.exceptions.NoArgsIsHelpError as error:
            terminal.write(error.format_message(), err=True)
            code = USAGE
        except click.ClickException as error:
            report(_usage(error))
            code = error.exit_code
        except MLQError as error:
            report(str(error))
            code = _code(error)
        sys.exit(code if isinstance(code, int) else 0)


def report(sentence: str) -> None:
    """Write an error or a note to stderr, as one line."""
    terminal.write(f"mlq: {' '.join(sentence.split())}", err=True)


def _stopped(stopped: click.Abort) -> int:
    """The exit code after Ctrl-C, or after the end of input at a question."""
    if isinstance(stopped.__context__, KeyboardInterrupt):
        return CTRL_C
    terminal.write(err=True)  # ends the line of the question
    report("nothing was done: the question was not answered with yes")
    return OTHER


def _usage(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    hint = f" (see: {context.command_path} --help)" if context else ""
    return f"{error.format_message().rstrip('.')}{hint}"


def _code(error: MLQError) -> int:
    codes = ((InputError, USAGE), (ServerError, SERVER), (QueueFull, SERVER), (WaitTimeout, TIMEOUT))
    return next((code for kind, code in codes if isinstance(error, kind)), OTHER)
