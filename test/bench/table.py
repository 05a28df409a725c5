"""The table in Markdown, with aligned columns: first the ratios that must hold, then every figure."""

import statistics

COLUMNS = ("what", "data", "who", "median", "lowest", "highest", "wanted", "holds")


def number(value):
    """A number with three significant digits."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{1 if value >= 10 else 2 if value >= 1 else 3}f}"


def best(figures, keys):
    """The best of the medians, or None if there is none."""
    medians = [statistics.median(figures[key]) for key in keys if key in figures]
    return keys[0].measure.better(medians) if medians else None


def ratio_row(ratio, figures):
    """The row of a ratio, or None if its figures were not measured."""
    above, below = best(figures, ratio.above), best(figures, ratio.below) if ratio.below else 1
    if above is None or below is None:
        return None
    value, wanted, holds = above / below, "", ""
    if ratio.sign:
        wanted = f"{ratio.sign} {ratio.wanted:g}"
        holds = "yes" if (value >= ratio.wanted if ratio.sign == "≥" else value <= ratio.wanted) else "no"
    return (ratio.text, ratio.data, "", number(value), "", "", wanted, holds)


def figure_row(key, values):
    """The row of a figure."""
    return (f"{key.request.rpartition('/')[2]}: {key.measure.text}", key.data, key.contender,
            *map(number, (statistics.median(values), min(values), max(values))), "", "")


def render(ratios, figures):
    """The text of the table."""
    rows = [row for ratio in ratios if (row := ratio_row(ratio, figures))]
    rows += [figure_row(key, values) for key, values in figures.items()]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows)]
    lines = [COLUMNS, tuple("-" * width for width in widths), *rows]
    return "".join("| " + " | ".join(map(str.ljust, line, widths)) + " |\n" for line in lines)
