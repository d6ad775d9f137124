"""The table of `model.summary()` as plain text: Keras' columns, widths, borders and totals, without
its dependency.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class Row:
    """One layer: its name and class, output shape (a tuple, text, or None if not known), and number
    of weights.

    `params` is None while the layer is not built; `connected_to` ("dense[0][0], ...") shows in
    models that branch; `trainable` is None for a layer without weights; `level` is the depth inside
    nested models.
    """

    name: str
    type: str
    output_shape: object = None
    params: int | None = None
    connected_to: str | None = None
    trainable: bool | None = None
    level: int = 0


@dataclass
class Total:
    """How many numbers, and how many bytes they take."""

    count: int = 0
    size_bytes: float = 0

    def __add__(self, other):
        return Total(self.count + other.count, self.size_bytes + other.size_bytes)

    def __str__(self):
        return f"{self.count:,} ({readable_size(self.size_bytes)})"


def print_summary(
    name: str,
    rows: Sequence[Row],
    trainable: Total,
    non_trainable: Total,
    optimizer: Total | None = None,
    *,
    line_length: int | None = None,
    positions=None,
    show_trainable: bool = False,
    print_fn=None,
) -> None:
    """Print `format_summary`; `print_fn` is called once, with the whole text, as in Keras."""
    text = format_summary(
        name,
        rows,
        trainable,
        non_trainable,
        optimizer,
        line_length=line_length,
        positions=positions,
        show_trainable=show_trainable,
    )
    (print_fn or print)(text)


def format_summary(
    name: str,
    rows: Sequence[Row],
    trainable: Total,
    non_trainable: Total,
    optimizer: Total | None = None,
    *,
    line_length: int | None = None,
    positions=None,
    show_trainable: bool = False,
) -> str:
    """The table of layers, then the totals.

    Args:
      name: of the model.
      rows: one per layer. The column "Connected to" appears if any row has `connected_to`.
      trainable, non_trainable, optimizer: the totals; the last one only once the optimizer has
        variables.
      line_length: width of the table in characters; None is 88 (108 with connections), or the
        terminal less 4.
      positions: where the columns end, as fractions of the line.
      show_trainable: add the column "Trainable".
    """
    header, align = ["Layer (type)", "Output Shape", "Param #"], "<<>"
    branches = any(row.connected_to is not None for row in rows)
    if branches:
        header, align = [*header, "Connected to"], align + "<"
        default, positions = 108, positions or [0.3, 0.56, 0.74, 1.0]
    else:
        default, positions = 88, positions or [0.45, 0.80, 1.0]
    if show_trainable:
        header, align, default = [*header, "Trainable"], align + "^", default + 12
        positions = [p * 0.9 for p in positions] + [1.0]
    if len(positions) != len(header):
        raise ValueError(f"positions must have one number per column ({len(header)}); received {positions}")
    line_length = line_length or min(default, shutil.get_terminal_size().columns - 4)

    cells = [header, *(_cells(row, branches, show_trainable) for row in rows)]
    total = trainable + non_trainable + (optimizer or Total())
    lines = [f'Model: "{name}"', *_table(cells, align, _widths(positions, line_length))]
    lines += [
        f" Total params: {total}",
        f" Trainable params: {trainable}",
        f" Non-trainable params: {non_trainable}",
    ]
    if optimizer is not None:
        lines.append(f" Optimizer params: {optimizer}")
    return "\n".join(lines) + "\n"


def readable_size(size_bytes: float) -> str:
    """`846.29 KB`: powers of 1024, two decimals."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size_bytes < 1024:
            return f"{size_bytes:.2f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.2f} PB"


def _cells(row, branches, show_trainable):
    prefix = "   " * row.level + "└ " if row.level else ""
    cells = [f"{prefix}{row.name} ({row.type})", _shape_text(row.output_shape)]
    cells.append("0 (unbuilt)" if row.params is None else f"{row.params:,}")
    if branches:
        cells.append(row.connected_to or "-")
    if show_trainable:
        cells.append({None: "-", True: "Y", False: "N"}[row.trainable])
    return cells


def _shape_text(shape):
    if shape is None:
        return "?"
    if isinstance(shape, tuple) and all(size is None or isinstance(size, int) for size in shape):
        # Without the comma that Python puts after a single size.
        return f"({', '.join(map(str, shape))})"
    if isinstance(shape, list | tuple):
        return str([_shape_text(s) for s in shape]).replace("'", "")
    if isinstance(shape, dict):
        return str({key: _shape_text(s) for key, s in shape.items()}).replace("'", "")
    return str(shape)


def _widths(positions, line_length):
    """Width of each column with its padding, so that columns and borders fill `line_length`."""
    ends = [int(p * line_length) for p in positions]
    inner = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    if min(inner) < 4:
        raise ValueError(f"line_length {line_length} leaves no room for {len(ends)} columns")
    widths = [width + 2 for width in inner]
    # The borders and the padding come out of all columns evenly, from left to right.
    excess = sum(widths) + len(widths) + 1 - line_length
    for i in range(len(widths)):
        share = round(excess / (len(widths) - i))
        widths[i] -= share
        excess -= share
    return widths


def _table(cells, align, widths):
    def rule(left, fill, middle, right):
        return left + middle.join(fill * width for width in widths) + right

    lines = [rule("┏", "━", "┳", "┓")]
    for i, row in enumerate(cells):
        side = "┃" if i == 0 else "│"
        wrapped = [_wrap(cell, width - 2) for cell, width in zip(row, widths, strict=True)]
        height = max(map(len, wrapped))
        tops = [height - len(w) if i == 0 else 0 for w in wrapped]
        for k in range(height):
            # Of a header of several lines the short cells stand at the bottom.
            parts = (w[k - top] if 0 <= k - top < len(w) else "" for w, top in zip(wrapped, tops))
            text = [f" {part:{a}{width - 2}} " for part, a, width in zip(parts, align, widths, strict=True)]
            lines.append(side + side.join(text) + side)
        last = i == len(cells) - 1
        if i == 0:
            lines.append(rule("┡", "━", "╇", "┩"))
        if last:
            lines.append(rule("└", "─", "┴", "┘"))
        elif i > 0:
            lines.append(rule("├", "─", "┼", "┤"))
    return lines


def _wrap(text, width):
    """Lines of whole words; a word that is too long is cut, with an ellipsis. Leading spaces
    (nesting) stay.
    """
    indent = text[: len(text) - len(text.lstrip())]
    lines, line = [], indent
    for word in text.split():
        if line.strip() and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = ""
        line += f" {word}" if line.strip() else word
        if len(line) > width:
            line = line[: width - 1] + "…"
    return [*lines, line]
