"""A token for each role, and how it is sent."""

from mlq.http.routes import Role

NAMES = {Role.READ: "r" * 16, Role.POST: "p" * 16, Role.ADMIN: "a" * 16}
GIVEN = tuple((token.encode(), role) for role, token in NAMES.items())


def bearer(role):
    return {"Authorization": f"Bearer {NAMES[role]}"}
