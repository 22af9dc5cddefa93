"""What no linter rule covers of RT-6 and of "errors are types", read from the syntax tree.

A set is iterated in an order that changes with PYTHONHASHSEED, so under the actors nothing may take elements out of one
without `sorted()`: not a loop, not a comprehension, not `list()`, `next(iter())` or `.pop()`. A set is known by its
literal, its call, its operators, or a name or attribute that the same file binds to one. `hash()` changes the same way.
`broad_handlers` finds the handlers that would swallow an error nobody thought of.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

__all__ = ["broad_handlers", "unordered_uses"]

_SET_NAMES = frozenset({"set", "frozenset", "Set", "AbstractSet", "MutableSet", "FrozenSet"})
_SET_MAKERS = frozenset({"set", "frozenset", ".union", ".intersection", ".difference", ".symmetric_difference"})
_SET_OPERATORS = (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)
_TAKES_IN_ORDER = frozenset({"dict", "enumerate", "filter", "iter", "list", "map", "next", "tuple", "zip"})
_TAKES_IN_ORDER_METHODS = frozenset({"extend", "extendleft", "fromkeys", "join", "writelines"})
_ORDER_DOES_NOT_MATTER = frozenset({"all", "any", "frozenset", "len", "set", "sorted"})
_BROAD = frozenset({"Exception", "BaseException"})


def unordered_uses(source: str) -> list[int]:
    """Return the lines on which an order is taken from something that has none."""
    tree = ast.parse(source)
    known = _names_of_sets(tree)
    harmless = {id(part) for node in ast.walk(tree) for part in _taken_without_order(node)}
    lines = {
        node.lineno
        for taker in ast.walk(tree)
        if id(taker) not in harmless
        for node in _taken_in_order(taker)
        if _is_set(node, known)
    }
    lines |= {node.lineno for node in ast.walk(tree) if isinstance(node, ast.Call) and _depends_on_hash(node, known)}
    return sorted(lines)


def broad_handlers(source: str) -> list[tuple[int, bool]]:
    """Return `(line, has_a_reason)` of each bare `except`, `except Exception` and `suppress(Exception)`."""
    text = source.splitlines()
    lines = [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.ExceptHandler) and (node.type is None or _names_broad(node.type)))
        or (
            isinstance(node, ast.Call)
            and _name(node.func).removeprefix(".") == "suppress"
            and any(map(_names_broad, node.args))
        )
    ]
    return [(line, "#" in text[line - 1]) for line in sorted(lines)]


def _taken_in_order(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the expressions whose elements `node` takes one after the other, where the order shows."""
    match node:
        case ast.For(iter=iterated) | ast.AsyncFor(iter=iterated):
            yield iterated
        case ast.ListComp() | ast.DictComp() | ast.GeneratorExp():
            yield from (generator.iter for generator in node.generators)
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in _TAKES_IN_ORDER:
            yield from arguments
        case ast.Call(func=ast.Attribute(attr=name), args=arguments) if name in _TAKES_IN_ORDER_METHODS:
            yield from arguments
        case ast.Starred(value=value):
            yield value


def _taken_without_order(node: ast.AST) -> list[ast.expr]:
    """Return the expressions inside `node` that may come in any order, because it sorts, counts or pools them."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in _ORDER_DOES_NOT_MATTER:
            return arguments
        case ast.Set(elts=elements):
            return elements
    return []


def _depends_on_hash(call: ast.Call, known: frozenset[str]) -> bool:
    if isinstance(call.func, ast.Attribute) and call.func.attr == "pop" and not call.args:
        return _is_set(call.func.value, known)
    return isinstance(call.func, ast.Name) and call.func.id == "hash"


def _is_set(node: ast.AST, known: frozenset[str]) -> bool:
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=func):
            return _name(func) in _SET_MAKERS
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, _SET_OPERATORS):
            return any(_is_set(side, known) or _is_keys(side) for side in (left, right))
        case ast.IfExp(body=body, orelse=orelse):
            return _is_set(body, known) or _is_set(orelse, known)
    return _name(node) in known


def _names_of_sets(tree: ast.Module) -> frozenset[str]:
    """Return the names (`x`, and `.x` for attributes) that this file annotates as sets or binds to one."""
    names: list[str] = []
    for node in ast.walk(tree):
        match node:
            case ast.AnnAssign(target=target, annotation=annotation) if _annotates_set(annotation):
                # A field of a class is read as an attribute later on.
                names += [_name(target), "." + _name(target).removeprefix(".")]
            case ast.arg(arg=name, annotation=ast.expr() as annotation) if _annotates_set(annotation):
                names.append(name)
            case ast.Assign(targets=targets, value=value) if _is_set(value, frozenset()):
                names += [_name(target) for target in targets]
    return frozenset(names) - {"", "."}


def _annotates_set(annotation: ast.expr) -> bool:
    if isinstance(annotation, ast.BinOp):
        return _annotates_set(annotation.left) or _annotates_set(annotation.right)
    outer = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return _name(outer).removeprefix(".") in _SET_NAMES


def _is_keys(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _name(node.func) == ".keys"


def _names_broad(node: ast.expr) -> bool:
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return any(_name(part) in _BROAD for part in parts)


def _name(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name):
            return "." + name
    return ""
