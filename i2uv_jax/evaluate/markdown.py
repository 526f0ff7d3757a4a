"""Tables in Markdown."""

from collections.abc import Sequence


def markdown_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, is_padded: bool = False
) -> str:
    """A table of text; nothing without rows.

    Args:
      rows: as long as the header each.
      is_padded: make the cells of a column equally wide, for those who read it as text.
    """
    if not rows:
        return ""
    lines = [[cell.replace("|", "\\|") for cell in line] for line in (header, *rows)]
    widths = [max(map(len, cells)) if is_padded else 0 for cells in zip(*lines, strict=True)]
    lines.insert(1, ["-" * max(width, 3) for width in widths])
    return "\n".join("| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines)
