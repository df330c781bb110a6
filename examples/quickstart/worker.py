"""Work on the jobs that post.py posts, until Ctrl-C."""

import asyncio

from mlq.queue import MLQ

mlq = MLQ("example_app")


def simple_multiply(params_dict: dict[str, int], *args: object) -> int:  # noqa: ARG001 - it may ignore the helpers
    return params_dict["my_data"] * 2


async def main() -> None:
    print("Running, waiting for messages.")
    mlq.create_listener(simple_multiply)


if __name__ == "__main__":
    asyncio.run(main())
