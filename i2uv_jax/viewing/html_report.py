"""A report as one HTML file that opens from disk: everything it shows is inside it."""

import base64
from collections.abc import Sequence
from html import escape

import numpy as np
from jaxtyping import UInt8

from i2uv_jax.viewing.png import png_bytes

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 1000px; margin: 2em auto;
  padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin: 1.8em 0 .5em; }
table { border-collapse: collapse; margin: .6em 0; }
th, td { padding: .25em .7em; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
tr.own { background: #eef4fb; font-weight: 600; }
td.source { text-align: left; font-size: .85em; color: #666; font-weight: normal; }
figure { display: inline-block; margin: 0 .8em .8em 0; vertical-align: top; }
figcaption { font-size: .9em; color: #444; overflow-wrap: anywhere; }
svg text { font: 11px system-ui, sans-serif; }
.note { color: #555; font-size: .9em; }
"""


def report_html(title: str, lead: str, blocks: Sequence[str]) -> bytes:
    """The file's bytes.

    Args:
      title: its heading.
      lead: a sentence below it.
      blocks: HTML, as the functions of this module and of `charts` make it.
    """
    body = "\n".join(block for block in blocks if block)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n<p>{escape(lead)}</p>\n{body}\n</body>\n</html>\n"
    ).encode()


def section(title: str, *blocks: str, note: str = "") -> str:
    """A heading and what stands under it; nothing if there is nothing."""
    content = "\n".join(block for block in blocks if block)
    if not content:
        return ""
    noted = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<h2>{escape(title)}</h2>\n{noted}{content}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, own: Sequence[int] = ()) -> str:
    """A table of text; a last column that is headed "source" is set smaller.

    Args:
      own: numbers of the rows that stand out.
    """
    if not rows:
        return ""
    has_source = header[-1] == "source"
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in header) + "</tr>"]
    for index, row in enumerate(rows):
        cells = [f"<td>{escape(cell)}</td>" for cell in row]
        if has_source:
            cells[-1] = f'<td class="source">{escape(row[-1])}</td>'
        start = '<tr class="own">' if index in own else "<tr>"
        lines.append(start + "".join(cells) + "</tr>")
    return "<table>" + "\n".join(lines) + "</table>"


def number(value: float | None, decimals: int = 3) -> str:
    """A number's text; a dash for none."""
    return "-" if value is None or not np.isfinite(value) else f"{value:.{decimals}f}"


def picture(pixels: UInt8[np.ndarray, "h w 3"], caption: str) -> str:
    """A picture with its caption."""
    encoded = base64.b64encode(png_bytes(pixels)).decode()
    height, width, _ = pixels.shape
    return (
        f'<figure style="width:{width}px"><img src="data:image/png;base64,{encoded}" '
        f'width="{width}" height="{height}" alt="{escape(caption, quote=True)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def problems(title: str, found: dict[str, Sequence[str]], *, most: int = 20) -> str:
    """What went wrong, how often and where."""
    rows = []
    for reason, names in found.items():
        shown = ", ".join(names[:most]) + (
            f" and {len(names) - most} more" if len(names) > most else ""
        )
        rows.append((reason, str(len(names)), shown))
    return section(title, table(("reason", "pictures", "which"), rows))
