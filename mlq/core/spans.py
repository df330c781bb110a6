"""Durations in words."""


def span(seconds: float) -> str:
    """A duration with a suitable unit and precision."""
    if seconds < 1:
        milliseconds = max(0.0, seconds) * 1000
        return f"{milliseconds:.{1 if milliseconds < 10 else 0}f} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
