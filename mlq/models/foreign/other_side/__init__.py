"""What runs in the other interpreter: Python 3.7 or newer, its standard library, and nothing of MLQ."""
