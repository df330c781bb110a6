"""Listeners that are sent to the workers as code: signatures, their secret, and conversion of functions to code."""
