"""Hosting of models: their declaration, their configuration, and the listener that loads one and has it predict."""
