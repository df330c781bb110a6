"""Predictions over files beside a plain loop."""
