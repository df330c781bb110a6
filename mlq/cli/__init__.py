"""The command `mlq`: one module per group of commands, joined in `program.py`."""

import sys


def main() -> None:
    """The console script; ends the process with an exit code that `base.py` lists."""
    from mlq.cli.program import program
    from mlq.system.descriptors import keep_standard_open

    keep_standard_open()  # before any socket is opened
    try:
        program(prog_name="mlq")
    except SystemExit as end:
        if "mlq.cli.run" in sys.modules:  # listeners were loaded, and may have started threads that never end
            from mlq.worker.leaving import leave_soon

            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            leave_soon(lambda: code)
        raise
