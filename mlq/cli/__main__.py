"""Makes `python -m mlq.cli` the command `mlq`."""

from mlq.cli import main

main()
