"""The command `mlq`: one module per group of commands, joined in `program.py`."""


def main() -> None:
    """The console script; ends the process with the codes that `base.py` lists."""
    from mlq.cli.program import program

    program(prog_name="mlq")
