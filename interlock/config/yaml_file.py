"""YAML as a plain notation for trees of text: no types guessed, no keys lost, no objects built.

YAML's own reading of ``no``, ``012``, ``1_000`` or ``1:30`` surprises people, and parsers silently keep the last of
two equal keys. So every scalar but ``null`` is read as the text that was written, the models say what it means, and
duplicate keys, anchors, aliases and tags are refused with their line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from interlock.domain.errors import BadInput

__all__ = ["read_yaml"]

_BYTES_MAX: Final = 1_048_576
_DEPTH_MAX: Final = 20
_UNSET: Final = ("", "~", "null")
"""The one thing that is no text: a key without a value. In quotes these are texts as well."""


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds: dicts, lists, strings and None only.

    Raises:
        BadInput: the file cannot be read, is no such YAML, or is not a mapping.
    """
    text = _text(path)
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        where = f"{path}:{line}"
        raise BadInput(where, f"is not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise BadInput(str(path), "is not YAML that can be read") from error
    if root is None:
        raise BadInput(str(path), "is empty", "a mapping of settings")
    _refuse_anchors(text, path)
    tree = _plain(root, path, 0)
    if not isinstance(tree, dict):
        raise BadInput(str(path), f"holds a {type(tree).__name__}", "a mapping of settings")
    return tree


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise BadInput(str(path), "is missing or no regular file", "a YAML file")
        with path.open("rb") as stream:
            raw = stream.read(_BYTES_MAX + 1)
        if len(raw) > _BYTES_MAX:
            raise BadInput(str(path), "is too large", f"{_BYTES_MAX} bytes")
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(str(path), f"is not UTF-8 at byte {error.start}") from error
    except (OSError, ValueError) as error:
        raise BadInput(str(path), f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _refuse_anchors(text: str, path: Path) -> None:
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        named = getattr(event, "anchor", None) is not None
        tagged = getattr(event, "tag", None) not in (None, "!")
        if named or tagged:
            what = "anchors and aliases are not read here" if named else "tags are not read here"
            mark = event.start_mark
            where = f"{path}:{1 if mark is None else mark.line + 1}"
            raise BadInput(where, what, "plain mappings, lists and values")


def _plain(node: yaml.Node, path: Path, depth: int) -> Any:
    where = f"{path}:{node.start_mark.line + 1}"
    if depth > _DEPTH_MAX:
        raise BadInput(where, "is nested too deeply", f"{_DEPTH_MAX} levels")
    if isinstance(node, yaml.ScalarNode):
        unset = node.style is None and node.value in _UNSET
        return None if unset else str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, path, depth + 1) for child in node.value]
    tree: dict[str, Any] = {}
    for key_node, value_node in node.value:
        where = f"{path}:{key_node.start_mark.line + 1}"
        if not isinstance(key_node, yaml.ScalarNode):
            raise BadInput(where, "a key is not plain text")
        if key_node.value in tree:
            raise BadInput(where, f"the key {key_node.value!r} stands here twice")
        tree[key_node.value] = _plain(value_node, path, depth + 1)
    return tree
