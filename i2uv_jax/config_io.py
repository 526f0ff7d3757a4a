"""Reading and writing config dataclasses: Python config files, `--key=value` overrides, JSON.

Everything here follows the *types of the fields* of `i2uv_jax.config`: the same walk checks a
JSON file, a config file's values and the text of an override, so the three can never disagree on
what a value may be. Nothing here knows a particular field; the values and their defaults live in
`i2uv_jax.config` alone.

All mistakes are `ValueError`s of one line, fit to be shown to a user as they are.
"""

import dataclasses
import difflib
import json
import os
import runpy
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

Config = TypeVar("Config")

_TRUE_WORDS = ("true", "yes", "1")
_FALSE_WORDS = ("false", "no", "0")
_NONE_WORDS = ("none", "null")


def load_config(
    path: str | os.PathLike[str], config_type: type[Config], *other_types: type[Config]
) -> Config:
    """Runs a Python config file (the user's own, trusted code) and returns its `get_config()`.

    Raises:
      ValueError: the file is missing, fails while it runs, has no `get_config` or returns
        something of none of the types; the message names the file and the cause.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"config file {path}: no such file")
    if path.suffix != ".py":
        raise ValueError(f"config file {path}: expected a Python file (.py)")
    try:
        get_config = runpy.run_path(str(path)).get("get_config")
        if not callable(get_config):
            raise ValueError("it defines no function get_config()")
        config = get_config()
    # A config file is arbitrary user code: whatever it raises is a mistake in that file, and the
    # user gets the line it came from rather than a traceback through this package.
    except Exception as error:
        raise ValueError(f"config file {path}: {_one_line(error)}") from error
    config_types = (config_type, *other_types)
    if not isinstance(config, config_types):
        names = " or ".join(one_type.__name__ for one_type in config_types)
        raise ValueError(
            f"config file {path}: get_config() must return {names}, got {type(config).__name__}"
        )
    try:
        return from_dict(type(config), dataclasses.asdict(config))  # checks the types of the values
    except ValueError as error:
        raise ValueError(f"config file {path}: {error}") from error


def with_overrides(config: Config, overrides: Iterable[str]) -> Config:
    """Returns a copy of `config` with texts such as `optim.peak_learning_rate=3e-4` applied.

    A leading `--` is allowed. Values are parsed by the type of their field: numbers, `true` and
    `false`, `none` for an optional field, tuples as `a,b,c`, pairs within them as `name:1,other:2`.
    Overrides are applied together, so two values that are only valid as a pair can be given.

    Raises:
      ValueError: a key that does not exist (with near matches), a value of the wrong type, or
        values that the config's own validation rejects.
    """
    changes: dict[str, Any] = {}
    for text in overrides:
        key, separator, value_text = text.removeprefix("--").partition("=")
        if not separator or not key:
            raise ValueError(f"override {text!r}: expected --key=value")
        # `--batch-size=8` means what `--batch_size=8` means: both are common habits.
        path = key.replace("-", "_").split(".")
        value = _parse_text(value_text, _field_type(config, path, key), key)
        node = changes
        for name in path[:-1]:
            node = node.setdefault(name, {})
            if not isinstance(node, dict):
                raise ValueError(f"override {key}: a part of it was set as a whole before")
        node[path[-1]] = value
    return _replace_nested(config, changes)


def field_names(config: Any, prefix: str = "") -> list[str]:
    """Dotted names of all values of a config, in the order of their definition."""
    names = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            names += field_names(value, f"{prefix}{field.name}.")
        else:
            names.append(prefix + field.name)
    return names


def changed_fields(before: Any, after: Any) -> dict[str, tuple[Any, Any]]:
    """Maps the dotted name of each value that differs to its pair (before, after)."""
    return _differences(to_dict(before), to_dict(after), "")


def to_dict(config: Any) -> dict[str, Any]:
    """The config as nested dictionaries of JSON's types.

    Tuples become lists, functions their dotted path ("package.module:function").
    """
    return json.loads(json.dumps(dataclasses.asdict(config), default=_function_path))


def from_dict(config_type: type[Config], values: Mapping[str, Any]) -> Config:
    """The inverse of `to_dict`; fields that are absent keep their defaults.

    Raises:
      ValueError: an unknown key, a wrong type or a value that validation rejects.
    """
    return _parse_value(values, config_type, "")


def to_json(config: Any) -> str:
    """The config as indented JSON text, every value written out."""
    return json.dumps(to_dict(config), indent=2) + "\n"


def from_json(config_type: type[Config], text: str) -> Config:
    """The inverse of `to_json`; raises ValueError as `from_dict` does and for broken JSON."""
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"config: not valid JSON ({error})") from error
    return from_dict(config_type, values)


def _differences(before: Any, after: Any, name: str) -> dict[str, tuple[Any, Any]]:
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return {} if before == after else {name: (before, after)}
    pairs = {}
    for key in dict.fromkeys([*before, *after]):
        full = f"{name}.{key}" if name else key
        pairs.update(_differences(before.get(key), after.get(key), full))
    return pairs


def _function_path(function: Any) -> str:
    return f"{function.__module__}:{function.__qualname__}"


def _one_line(error: BaseException) -> str:
    message = " ".join(str(error).split())
    return message if isinstance(error, ValueError) else f"{type(error).__name__}: {message}"


def _field_type(config: Any, path: list[str], key: str) -> Any:
    """Type of the field that a dotted key names, following the values that are set."""
    node: Any = config
    for depth, name in enumerate(path):
        if not dataclasses.is_dataclass(node):
            parent = ".".join(path[:depth])
            raise ValueError(f"override {key}: {parent} is {node!r} and has no part {name!r}")
        _check_known(name, node, ".".join(path[:depth]), config)
        field_type = typing.get_type_hints(type(node))[name]
        node = getattr(node, name)
    return field_type


def _check_known(name: str, node: Any, parent: str, config: Any) -> None:
    known = [field.name for field in dataclasses.fields(node)]
    if name in known:
        return
    prefix = parent + "." if parent else ""
    close = [prefix + match for match in difflib.get_close_matches(name, known)]
    # The right name in the wrong place (`--batch_size` for `--train.batch_size`) is as common
    # as a misspelling; both kinds of neighbours are offered.
    close += [
        full
        for full in field_names(config)
        if full.rsplit(".", 1)[-1] == name and full not in close
    ]
    hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known)}"
    raise ValueError(f"unknown config key {prefix}{name}; {hint}")


def _replace_nested(config: Any, changes: Mapping[str, Any]) -> Any:
    values = {
        name: _replace_nested(getattr(config, name), value)
        if isinstance(value, dict) and dataclasses.is_dataclass(getattr(config, name))
        else value
        for name, value in changes.items()
    }
    return dataclasses.replace(config, **values)


def _parse_text(text: str, field_type: Any, key: str) -> Any:
    """Value of an override's text for a field of the given type."""
    text = text.strip()
    origin, arguments = typing.get_origin(field_type), typing.get_args(field_type)
    if origin in (Union, types.UnionType):
        if type(None) in arguments and text.lower() in _NONE_WORDS:
            return None
        choices = [argument for argument in arguments if argument is not type(None)]
        return _parse_text(text, choices[0], key)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            items = [item for item in text.strip("()[] ").split(",") if item.strip()]
            return tuple(_parse_text(item, arguments[0], key) for item in items)
        # From the right: the first part of a loss term may itself hold a colon (module:function).
        items = text.rsplit(":", len(arguments) - 1)
        if len(items) != len(arguments):
            raise _wrong_type(key, field_type, text)
        return tuple(
            _parse_text(item, kind, key) for item, kind in zip(items, arguments, strict=True)
        )
    if dataclasses.is_dataclass(field_type):
        names = ", ".join(f"{key}.{field.name}" for field in dataclasses.fields(field_type))
        raise ValueError(f"override {key}: set one of its parts instead: {names}")
    if field_type is bool:
        if text.lower() in _TRUE_WORDS + _FALSE_WORDS:
            return text.lower() in _TRUE_WORDS
        raise _wrong_type(key, field_type, text)
    if field_type in (int, float):
        try:
            return field_type(text)
        except ValueError:
            raise _wrong_type(key, field_type, text) from None
    return _parse_value(text, field_type, key)


def _parse_value(value: Any, field_type: Any, key: str) -> Any:
    """Checks a value (of JSON's types) against a field's type and converts lists to tuples."""
    origin, arguments = typing.get_origin(field_type), typing.get_args(field_type)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        if callable(value) and Callable in arguments:
            return value
        choices = [argument for argument in arguments if argument is not type(None)]
        return _parse_value(value, choices[0], key)
    if origin is Literal:
        if value not in arguments:
            choices = ", ".join(map(str, arguments))
            raise ValueError(f"config key {key}: expected one of {choices}, got {value!r}")
        return value
    if origin is tuple and isinstance(value, list | tuple):
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_parse_value(item, arguments[0], key) for item in value)
        if len(value) == len(arguments):
            return tuple(
                _parse_value(item, kind, key) for item, kind in zip(value, arguments, strict=True)
            )
    if dataclasses.is_dataclass(field_type) and isinstance(value, Mapping):
        return _parse_fields(value, field_type, key)
    if field_type is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if field_type in (int, str, bool) and type(value) is field_type:
        return value
    raise _wrong_type(key, field_type, value)


def _parse_fields(values: Mapping[str, Any], config_type: Any, key: str) -> Any:
    types_by_name = typing.get_type_hints(config_type)
    prefix = key + "." if key else ""
    for name in values:
        if name not in types_by_name:
            close = difflib.get_close_matches(name, types_by_name)
            hint = f"did you mean {prefix}{close[0]}?" if close else "it is not known"
            raise ValueError(f"unknown config key {prefix}{name}; {hint}")
    parsed = {n: _parse_value(v, types_by_name[n], prefix + n) for n, v in values.items()}
    try:
        return config_type(**parsed)
    except TypeError as error:  # a field without a default is absent
        raise ValueError(f"config {key or config_type.__name__}: {error}") from error


def _wrong_type(key: str, field_type: Any, value: Any) -> ValueError:
    kind = field_type.__name__ if isinstance(field_type, type) else str(field_type)
    return ValueError(f"config key {key}: expected {kind}, got {value!r}")
