"""How configs check their values."""


def check(condition: bool, name: str, expected: str, got: object) -> None:
    if not condition:
        raise ValueError(f"{name}: expected {expected}, got {got!r}")


def check_picture_size(value: int) -> None:
    """Of whole pictures that hands are looked for in."""
    check(value >= 64 and value % 32 == 0, "image_size", "a multiple of 32 from 64", value)


def check_share(value: float, name: str) -> None:
    check(0 <= value <= 1, name, "a share from 0 to 1", value)
