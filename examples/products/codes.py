"""Codes of products: GTIN (ISBN-13, EAN and UPC are GTINs) and MPN. Finds them in texts, and tells which are valid."""

import re

GTIN = re.compile(r"(?<![\d-])(\d{14}|\d{12,13}|\d{8})(?![\d-])")
MPN = re.compile(r"\bMPN:?\s+([A-Z0-9][A-Z0-9/-]{3,19})\b")  # a manufacturer's own number, without a check digit


def check_digit(body: str) -> int:
    """The last digit of a GTIN, from those before it.

    As in the GS1 General Specifications, "Standard check digit calculations": from the right, the digits count three
    times and once in turn, and the check digit makes their sum a multiple of 10.
    """
    return -sum(int(digit) * (3, 1)[place % 2] for place, digit in enumerate(reversed(body))) % 10


def is_gtin(code: str) -> bool:
    """Whether it has the length of a GTIN and the right check digit."""
    return GTIN.fullmatch(code) is not None and check_digit(code[:-1]) == int(code[-1])


def found(text: str, pattern: re.Pattern[str]) -> str | None:
    """The first code of this form in a text."""
    match = pattern.search(text)
    return match[1] if match else None
