"""Compares the rules by which a batch leaves."""
