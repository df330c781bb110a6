"""The version of this package, where the build and running workers find it."""

__version__ = "1.0.0a1"
