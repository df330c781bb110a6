"""Draws what two users have had over the time, as SVG."""

Points = list[tuple[float, float]]

WIDTH, HEIGHT, LEFT, TOP = 360, 240, 46, 34
COLOURS = {"a": "#b5541c", "b": "#1c6fb5"}
NAMES = {"a": "jobs of 0.6 s", "b": "jobs of 0.01 s"}


def _line(points: Points, seconds: float, most: float, left: int) -> str:
    """A path with a step at each point; no more than one for each pixel."""
    found, last = [f"M{left},{TOP + HEIGHT}"], -1
    for at, used in points:
        x, y = left + WIDTH * at / seconds, TOP + HEIGHT * (1 - used / most)
        if int(x) != last or at == seconds:
            last = int(x)
            found.append(f"L{x:.1f},{y:.1f}")
    return " ".join(found)


def _panel(title: str, lines: dict[str, Points], seconds: float, left: int) -> str:
    most = seconds
    grid = "".join(
        f'<path d="M{left},{y}h{WIDTH}" stroke="#8884"/>'
        f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{value:.0f}</text>'
        for value, y in ((most * i / 4, TOP + HEIGHT - HEIGHT * i // 4) for i in range(5))
    )
    marks = "".join(
        f'<text x="{left + WIDTH * i // 4}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{seconds * i / 4:.0f} s</text>'
        for i in range(5)
    )
    paths = "".join(
        f'<path d="{_line(points, seconds, most, left)}" fill="none" stroke="{COLOURS[user]}" stroke-width="2"/>'
        for user, points in sorted(lines.items())
    )
    return f'<text x="{left}" y="{TOP - 14}" font-weight="bold">{title}</text>{grid}{marks}{paths}'


def draw(shared: dict[str, Points], plain: dict[str, Points], seconds: float) -> str:
    """Both panels, with a legend."""
    right = LEFT + WIDTH + 70
    legend = "".join(
        f'<path d="M{LEFT + i * 200},{TOP + HEIGHT + 40}h24" stroke="{COLOURS[user]}" stroke-width="2"/>'
        f'<text x="{LEFT + 32 + i * 200}" y="{TOP + HEIGHT + 44}">{name}</text>'
        for i, (user, name) in enumerate(NAMES.items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right + WIDTH + 20} {TOP + HEIGHT + 56}" '
        'font-family="sans-serif" font-size="12" fill="#888" role="img">\n'
        "<title>Seconds of one slot that the jobs of two users have had, over the time</title>\n"
        f"{_panel('with shares', shared, seconds, LEFT)}\n{_panel('without', plain, seconds, right)}\n{legend}</svg>\n"
    )
