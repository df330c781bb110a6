"""What type checkers know of listeners. Never run: `test_types.py` has it checked. Lines that must be errors say so."""

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from dataclasses import dataclass
from typing import Any, assert_type

from mlq import MLQ, AsyncJobHandle, AsyncMLQ, Forward, JobContext, JobHandle, Split

mlq = MLQ("types")


@dataclass
class Iris:
    size: float


@mlq.listener
def plain(params: dict[str, int], ctx: JobContext) -> int:
    return len(params) + ctx.attempt


@mlq.listener(timeout=600, retries=3)
def of_iris(iris: Iris) -> str:
    return str(iris.size)


@mlq.listener
def old_form(number: int, *args: Any) -> str:
    return str(number + len(args))


@mlq.listener(batch=32, timeout=5)
def batched(irises: list[Iris]) -> list[str]:
    return [str(iris.size) for iris in irises]


@mlq.listener(batch=32)
async def batched_async(urls: list[str], contexts: list[JobContext]) -> list[int]:
    return [len(url) + context.attempt for url, context in zip(urls, contexts, strict=True)]


@mlq.listener(batch=32)
def batched_untyped(urls):  # type: ignore[no-untyped-def]
    return urls


@mlq.listener
def forwards(url: str) -> Forward:
    return Forward(url, to=optional, queue="urls")


@mlq.listener
async def splits(url: str) -> Split:
    return Split([url], each=plain, into="join", at_once=5)


@mlq.listener
def two_values(url: str) -> tuple[float, bytes]:
    return len(url) / 2, b""


@mlq.listener
def many_values(url: str) -> tuple[str, ...]:
    return url, url, url


@mlq.listener
def optional(url: str | None) -> int | None:
    return len(url) if url else None


@mlq.listener
def nothing(url: str) -> None:
    print(url)


@mlq.listener
async def fetch(url: str) -> bytes:
    return url.encode()


@mlq.listener
async def fetch_two(url: str) -> tuple[str, bytes]:
    return url, b""


@mlq.listener
def generate(prompt: str) -> Iterator[int]:
    yield len(prompt)


@mlq.listener
def generate_only(prompt: str) -> Generator[int, None, None]:
    yield len(prompt)


@mlq.listener
def generate_and_return(prompt: str) -> Generator[int, None, str]:
    yield len(prompt)
    return prompt


@mlq.listener
def generate_and_return_two(prompt: str) -> Generator[int, None, tuple[str, bytes]]:
    yield len(prompt)
    return prompt, b""


@mlq.listener
async def generate_async(prompt: str) -> AsyncIterator[int]:
    yield len(prompt)


@mlq.listener
async def generate_async_too(prompt: str) -> AsyncGenerator[int, None]:
    yield len(prompt)


@mlq.listener
def untyped_result(prompt: str) -> Any:
    return prompt


class Model:
    def predict(self, number: int) -> str:
        return str(number)

    def __call__(self, data: bytes, ctx: JobContext) -> int:
        return len(data) + ctx.attempt


method = mlq.listener(Model().predict)
instance = mlq.listener(Model())
builtin = mlq.listener(len)
unbound = mlq.listener(str.upper)
bound = mlq.listener(functools.partial(old_form, 1))

# --- results

assert_type(forwards.submit("a"), JobHandle[Any])
assert_type(splits.submit("a"), JobHandle[Any])
assert_type(plain.submit({"a": 1}), JobHandle[int])
assert_type(plain.submit({"a": 1}).result(), int)
assert_type(of_iris.submit(Iris(1.0)), JobHandle[str])
assert_type(old_form.submit(1), JobHandle[str])
assert_type(two_values.submit("a"), JobHandle[bytes])
assert_type(many_values.submit("a"), JobHandle[tuple[str, ...]])
assert_type(optional.submit(None), JobHandle[int | None])
assert_type(nothing.submit("a"), JobHandle[None])
assert_type(fetch.submit("a"), JobHandle[bytes])
assert_type(fetch_two.submit("a"), JobHandle[bytes])
assert_type(generate.submit("a"), JobHandle[list[int]])
assert_type(generate_only.submit("a"), JobHandle[list[int]])
assert_type(generate_and_return.submit("a"), JobHandle[str])
assert_type(generate_and_return_two.submit("a"), JobHandle[bytes])
assert_type(generate_async.submit("a"), JobHandle[list[int]])
assert_type(generate_async_too.submit("a"), JobHandle[list[int]])
assert_type(untyped_result.submit("a").result(), Any)
assert_type(batched.submit(Iris(1.0)), JobHandle[str])
assert_type(batched_async.submit("a"), JobHandle[int])
assert_type(batched([Iris(1.0)]), list[str])
assert_type(method.submit(1), JobHandle[str])
assert_type(instance.submit(b""), JobHandle[int])
assert_type(builtin.submit([1]), JobHandle[int])
assert_type(unbound.submit("a"), JobHandle[str])
assert_type(fetch.post("a"), str)
assert_type(mlq.submit({"anything": 1}), JobHandle[Any])
assert_type(mlq.submit({"anything": 1}).result(), Any)

# --- still functions

assert_type(plain({"a": 1}, mlq_context := JobContext.__new__(JobContext)), int)
assert_type(plain(params={"a": 1}, ctx=mlq_context), int)
assert_type(plain({"a": 1}, ctx=mlq_context), int)
plain({"a": 1})  # expect: error
plain({"a": 1}, 5)  # expect: error

# --- messages

plain.submit({"a": "b"})  # expect: error
plain.post("a")  # expect: error
of_iris.submit({"size": 1.0})  # expect: error
of_iris.post(Iris("small"))  # expect: error
old_form.submit("1")  # expect: error
fetch.submit(b"a")  # expect: error
generate.submit(1)  # expect: error
method.submit("1")  # expect: error
instance.submit("1")  # expect: error
of_iris.submit()  # expect: error
batched.submit([Iris(1.0)])  # expect: error
batched_async.post(1)  # expect: error

# --- options

fetch.submit("a", "http://localhost/done", timeout=5, retries=1, backoff=0.5, ttl=60, webhook=None)
fetch.submit("a", callback=None, idempotency_key="1", queue="other")
batched.submit(Iris(1.0), timeut=5)  # expect: error
fetch.submit("a", timeut=5)  # expect: error
fetch.post("a", retry=5)  # expect: error
generate.post("a", timeout="5")  # expect: error
plain.submit({"a": 1}, functions=["other"])  # expect: error
mlq.submit("a", timeut=5)  # expect: error
mlq.post("a", retry=5)  # expect: error


async def from_asyncio(client: AsyncMLQ) -> None:
    assert_type(await client.submit("a"), AsyncJobHandle[Any])
    assert_type(await (await client.submit("a", ttl=5)).result(), Any)
    await client.submit("a", tll=5)  # expect: error


def takes_any_handle(job: JobHandle) -> None:  # no type argument is needed, in strict mode either
    job.cancel()


takes_any_handle(fetch.submit("a"))
