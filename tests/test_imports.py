"""Imports point one way: the table of which part of the package may use which, and the proof."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Every part may import from those above it that are named here, and from itself. A needed import
# that points downwards is a sign that something has to move up.
MAY_IMPORT = {
    "config": "",
    "types": "",
    "atomic_file": "",
    "restricted_pickle": "",
    "config_io": "config",
    "measuring": "",
    "ops": "",
    "imaging": "atomic_file",
    "geometry": "types ops",
    "hand": "config types restricted_pickle ops geometry",
    "metrics": "geometry",
    "render": "config types ops imaging geometry hand",
    "models": "config config_io atomic_file ops geometry hand",
    "losses": "config ops geometry models",
    "detection": "config types imaging ops geometry models",
    "data": "config config_io types atomic_file restricted_pickle ops imaging geometry hand render",
    "training": "config config_io types atomic_file measuring ops imaging geometry hand metrics "
    "render models losses detection data",
    "inference": "config types atomic_file measuring ops geometry hand imaging models detection",
    "viewing": "geometry hand render imaging inference",
    "registration": "geometry hand viewing",
    "evaluate": "config types atomic_file measuring ops geometry hand imaging metrics render "
    "models detection data inference viewing registration",
    "cli": "config config_io types atomic_file measuring ops geometry hand imaging metrics render "
    "models detection data training inference viewing registration evaluate",
}

_NO_TRAINING = (
    "ops geometry hand render models losses detection metrics inference viewing registration"
)

# Third-party packages that some parts must stay free of, and those parts.
FREE_OF = {
    "jax": "config config_io atomic_file restricted_pickle imaging",
    "flax": "config config_io restricted_pickle imaging",
    "optax": _NO_TRAINING + " data",
    "orbax": _NO_TRAINING + " data",
    "grain": _NO_TRAINING,
    "tensorflow_datasets": _NO_TRAINING,
}

MODULES = sorted((ROOT / "i2uv_jax").rglob("*.py"))


def part_of(path: Path) -> str:
    """The subpackage or top-level module that a file of the package belongs to."""
    return path.relative_to(ROOT / "i2uv_jax").parts[0].removesuffix(".py")


def imported_names(source: str) -> set[str]:
    """Dotted names of all that a module imports anywhere, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def test_the_table_itself_points_one_way():
    above: set[str] = set()
    for part, allowed in MAY_IMPORT.items():
        assert set(allowed.split()) <= above, part
        above.add(part)


def test_every_part_of_the_package_stands_in_the_table():
    assert {part_of(path) for path in MODULES} - {"__init__"} == set(MAY_IMPORT)


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_a_part_imports_only_from_above(part):
    allowed = {part, *MAY_IMPORT[part].split()}
    unwanted = {package for package, parts in FREE_OF.items() if part in parts.split()}
    for path in MODULES:
        if part_of(path) != part:
            continue
        for name in imported_names(path.read_text()):
            top, *below = name.split(".")
            if top == "i2uv_jax":
                # `import i2uv_jax` alone is for the public names and the version.
                assert not below or below[0] in allowed | {"__version__"}, f"{path}: {name}"
            assert top not in {"launch", "configs", "tests"} | unwanted, f"{path}: {name}"


def test_configs_hold_values_only():
    for path in (ROOT / "configs").glob("*.py"):
        for name in imported_names(path.read_text()):
            assert name.startswith("i2uv_jax.config."), f"{path}: {name}"


def test_tensorflow_is_imported_by_dataset_builders_alone():
    for path in MODULES:
        if ROOT / "i2uv_jax" / "data" / "builders" not in path.parents:
            tops = {name.split(".")[0] for name in imported_names(path.read_text())}
            assert "tensorflow" not in tops, path
