"""Prints the words of a text as they come. Run it with `python client.py [PROMPT]`."""

import sys

from mlq import MLQ

prompt = sys.argv[1] if len(sys.argv) > 1 else "Beautiful is"
job = MLQ().model("zen").submit({"prompt": prompt})

print(prompt, end="")
for word in job.stream():
    print(f" {word}", end="", flush=True)

print("\n\nThe output:", job.result())
