"""The command `mlq`: one module per group of commands, joined in `program.py`."""


def main() -> None:
    """The console script; ends the process with the codes that `base.py` lists."""
    from mlq.cli.program import program
    from mlq.descriptors import keep_standard_open

    keep_standard_open()  # before there is a socket
    program(prog_name="mlq")
