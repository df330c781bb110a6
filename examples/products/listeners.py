"""The pipeline: what each step does, and the routes between the steps, which `mlq pipelines` prints.

A text is classified; the extractor of its kind makes a record of it; a record with a code is validated; each is stored.
"""

import re
from typing import Any

import storage
from classifier import kinds_of
from codes import GTIN, MPN, found, is_gtin

from mlq import MLQ, Forward, JobContext, route

mlq = MLQ("products")

Record = dict[str, Any]


@mlq.listener(queue="requests", batch=32)
def classify(products: list[Record]) -> list[Record]:
    """Many texts in one call of the model; each goes on by itself."""
    kinds = kinds_of([product["text"] for product in products])
    return [product | {"kind": kind} for product, kind in zip(products, kinds, strict=True)]


@mlq.listener(queue="data")
def extract_book(product: Record) -> Record:
    return extracted(product) | {"gtin": found(product["text"], GTIN)}


@mlq.listener(queue="data")
def extract_phone(product: Record) -> Record:
    return extracted(product) | {"mpn": found(product["text"], MPN)}


@mlq.listener(queue="data")
def extract_tool(product: Record) -> Record:
    """Some of them have the one code, some the other."""
    return extracted(product) | {"gtin": found(product["text"], GTIN), "mpn": found(product["text"], MPN)}


@mlq.listener(queue="data")
def validate(record: Record, ctx: JobContext) -> Forward:
    """A code with a wrong check digit is removed, and noted in a job of its own, which nobody waits for."""
    gtin = record.get("gtin")
    if gtin is not None and not is_gtin(gtin):
        ctx.post(f"text {record['number']}: {gtin} is no GTIN", functions=["note"], queue="logs")
        record["gtin"] = None
    return Forward(record | {"validated": True}, to=store)


@mlq.listener(queue="data")
def store(record: Record, ctx: JobContext) -> Record:
    """The end of each pipeline: its result is that of the job that was posted first."""
    storage.write_record(ctx["full_message"]["id"], record)
    return record


@mlq.listener(queue="logs")
def note(words: str, ctx: JobContext) -> None:
    storage.write_note(ctx["full_message"]["id"], words)


def extracted(product: Record) -> Record:
    """What all kinds have."""
    title, _, rest = product["text"].partition(":")
    price = re.search(r"EUR (\d+\.\d\d)", rest)
    return {"number": product["number"], "kind": product["kind"], "title": title, "price": price and price[1]}


def has_code(record: Record) -> bool:
    return bool(record.get("gtin") or record.get("mpn"))


classify >> route({"book": extract_book, "phone": extract_phone, "tool": extract_tool}, by="kind", otherwise=store)
for extract in (extract_book, extract_phone, extract_tool):
    extract >> route({True: validate, False: store}, by=has_code)
