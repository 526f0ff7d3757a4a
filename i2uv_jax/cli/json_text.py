"""JSON that people read, too."""

import json
import sys
from typing import Any


def json_text(value: Any, depth: int = 0) -> str:
    """Indented JSON in which a list of plain values, such as a point, has one line.

    (`json` has a fast encoder for that line, and a slow one for all that it indents itself.)
    """
    if isinstance(value, dict) and value:
        brackets = "{}"
        parts = [f"{json.dumps(key)}: {json_text(own, depth + 1)}" for key, own in value.items()]
    elif isinstance(value, list) and any(isinstance(own, dict | list) for own in value):
        brackets = "[]"
        parts = [json_text(own, depth + 1) for own in value]
    else:
        return json.dumps(value)
    line = "\n" + " " * depth
    return brackets[0] + line + " " + f",{line} ".join(parts) + line + brackets[1]


def print_json(value: Any) -> None:
    """What `--json` prints."""
    json.dump(value, sys.stdout, indent=1)
    print()
