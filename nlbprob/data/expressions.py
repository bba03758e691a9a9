"""The small language in which neurons are chosen: 'area == "MOs" and rate > 0.5'."""

import ast
import keyword
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool

from nlbprob.errors import InputError, suggestion

COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: np.isin,
    ast.NotIn: lambda value, choices: ~np.isin(value, choices),
}


#: Text in quotes, which is left alone, or a name in backquotes; two backquotes in it stand for one.
QUOTED = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`((?:[^`]|``)+)`(?!`)""")


def evaluate(expression: str, columns: Mapping[str, np.ndarray]) -> Bool[np.ndarray, " row"]:
    """Where the expression holds.

    Args:
        expression: comparisons of columns and constants, `in [...]` and `not in [...]`, joined by and, or, not. A
            column whose name is no identifier of Python ("brain area", "2nd", "class") stands in backquotes.
        columns: what a name may stand for, one value a row.

    Raises:
        InputError: a name is no column, or the text is no such expression.
    """
    tree, quoted = parse(expression)
    try:
        result = np.asarray(Evaluator(expression, columns, quoted).visit(tree))
    except RecursionError:
        raise InputError("units: the expression is nested too deep; write it with fewer parentheses.") from None
    if result.dtype != bool or result.ndim != 1:
        raise InputError(f"units: {expression!r} is not true or false of a unit; compare a column with a value.")
    return result


def names(expression: str) -> list[str]:
    """The columns that an expression names. Raises InputError where the text is no expression."""
    tree, quoted = parse(expression)
    return [quoted.get(node.id, node.id) for node in ast.walk(tree) if isinstance(node, ast.Name)]


def parse(expression: str) -> tuple[ast.expr, dict[str, str]]:
    """The tree of an expression, and what stands in backquotes by the identifier that stands for it in the tree."""
    quoted: dict[str, str] = {}
    prefix = "_quoted"
    while prefix in expression:
        prefix += "_"

    def stand_in(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        identifier = f"{prefix}{len(quoted)}"
        quoted[identifier] = match[1].replace("``", "`")
        return f" {identifier} "

    try:
        with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
            return ast.parse(QUOTED.sub(stand_in, expression).strip(), mode="eval").body, quoted
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = getattr(error, "msg", None) or str(error) or "too deep"
        raise InputError(
            f"units: {expression!r} is not an expression ({reason}); write for example 'area == \"MOs\"', and a name "
            "with blanks or signs in backquotes: '`brain area` == \"MOs\"'."
        ) from None


def plain(name: str) -> bool:
    """Whether a column's name can stand in an expression without backquotes."""
    return name.isidentifier() and not keyword.iskeyword(name)


class Evaluator(ast.NodeVisitor):
    """The value of each node that the language allows; any other is refused."""

    def __init__(self, expression: str, columns: Mapping[str, np.ndarray], quoted: Mapping[str, str]) -> None:
        self.expression = expression
        self.columns = columns
        self.quoted = quoted

    def generic_visit(self, node: ast.AST) -> Any:
        words = ast.unparse(node)
        for identifier, name in self.quoted.items():
            words = re.sub(rf"\b{identifier}\b", lambda _, name=name: f"`{name}`", words)
        meant = [f"`{name}`" for name in self.columns if not plain(name) and name in self.expression]
        raise InputError(
            f"units: {words!r} in {self.expression!r} is not allowed; use columns, constants, comparisons, "
            f"'in [...]', and, or, not{', and backquotes: ' * bool(meant)}{', '.join(meant)}."
        )

    def visit_Name(self, node: ast.Name) -> np.ndarray:
        name = self.quoted.get(node.id, node.id)
        if name not in self.columns:
            advice = "" if all(map(plain, self.columns)) else " Names with blanks or signs stand in backquotes."
            raise InputError(
                f"units: no column {name!r} in {self.expression!r}. {suggestion(name, self.columns)}{advice}"
            )
        return self.columns[name]

    def visit_Constant(self, node: ast.Constant) -> Any:
        return node.value if isinstance(node.value, str | int | float) else self.generic_visit(node)

    def visit_List(self, node: ast.List | ast.Tuple) -> np.ndarray:
        values = [self.visit(entry) for entry in node.elts]
        if len({isinstance(value, str) for value in values}) > 1 or any(np.ndim(value) for value in values):
            self.generic_visit(node)
        return np.array(values)

    visit_Tuple = visit_List

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        value = self.visit(node.operand)
        if isinstance(node.op, ast.USub) and isinstance(value, int | float):
            return -value
        return ~self.truth(value, node) if isinstance(node.op, ast.Not) else self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> np.ndarray:
        combine = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        return combine.reduce([self.truth(self.visit(value), node) for value in node.values])

    def visit_Compare(self, node: ast.Compare) -> Any:
        sides = [node.left, *node.comparators]
        parts = []
        for kind, *pair in zip(node.ops, sides, sides[1:], strict=False):
            left, right = map(self.visit, pair)
            lists = [isinstance(side, ast.List | ast.Tuple) for side in pair]
            text = {np.asarray(side).dtype.kind == "U" for side in (left, right)}
            if type(kind) not in COMPARISONS or lists != [False, isinstance(kind, ast.In | ast.NotIn)] or len(text) > 1:
                self.generic_visit(node)
            parts.append(COMPARISONS[type(kind)](left, right))
        return np.logical_and.reduce(parts)

    def truth(self, value: Any, node: ast.AST) -> np.ndarray:
        """The operand of and, or, not: true or false for each row."""
        return value if isinstance(value, np.ndarray) and value.dtype == bool else self.generic_visit(node)
