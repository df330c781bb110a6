"""Texts about products, made up from templates: the same ones for the same seed."""

import random
from typing import NamedTuple

from codes import check_digit

WORDS = {  # of each kind: what it is called, and what is said about it
    "book": (["novel", "paperback", "hardcover", "atlas"], ["chapters", "pages", "author", "translated", "edition"]),
    "phone": (["smartphone", "mobile phone", "handset"], ["dual SIM", "camera", "OLED display", "battery", "5G"]),
    "tool": (["cordless drill", "hammer", "torque wrench", "circular saw"], ["steel", "Nm", "grip", "chuck", "blade"]),
    "voucher": (["gift card", "voucher"], ["balance", "redeem online", "no expiry date", "present", "any amount"]),
}
BRANDS = ["Alba", "Borealis", "Corvus", "Dunlin", "Egret", "Fulmar"]
WITHOUT, WRONG = 0.2, 0.1  # shares of the products without a code, and of the codes with a wrong check digit


class Product(NamedTuple):
    """A text, and what a reader would find in it."""

    text: str
    kind: str
    gtin: str | None
    mpn: str | None
    is_valid: bool  # whether its code is


def made_up(count: int, seed: int) -> list[Product]:
    """So many products."""
    chance = random.Random(seed)
    return [_one(chance) for _ in range(count)]


def _one(chance: random.Random) -> Product:
    kind = chance.choice([*WORDS] * 3 + ["book"])
    nouns, about = WORDS[kind]
    gtin = mpn = None
    is_valid = True
    if kind == "voucher" or chance.random() < WITHOUT:
        code = ""
    elif kind == "phone" or (kind == "tool" and chance.random() < 0.5):
        mpn = f"{chance.choice('ABCDEFGH')}{chance.randrange(10, 100)}-{chance.randrange(1000, 10_000)}"
        code = f" MPN: {mpn}."
    else:
        body = f"{'978' if kind == 'book' else '40'}{chance.randrange(10**9, 10**10)}"[:12]
        is_valid = chance.random() >= WRONG
        gtin = f"{body}{(check_digit(body) + (0 if is_valid else chance.randrange(1, 10))) % 10}"
        code = f" {'ISBN' if kind == 'book' else 'EAN'} {gtin}."
    words = ", ".join(chance.sample(about, 3))
    price = f"{chance.randrange(5, 500)}.{chance.choice(['00', '50', '95', '99'])}"
    text = f"{chance.choice(BRANDS)} {chance.choice(nouns)}: {words}.{code} EUR {price}"
    return Product(text, kind, gtin, mpn, is_valid)
