"""The small language in which neurons are chosen: 'area == "MOs" and rate > 0.5'."""

import ast
import operator
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


def evaluate(expression: str, columns: Mapping[str, np.ndarray]) -> Bool[np.ndarray, " row"]:
    """Where the expression holds.

    expression: comparisons of columns and constants, `in [...]` and `not in [...]`, joined by and, or, not.
    columns: what a name may stand for, one value a row.
    Raises InputError where a name is no column, or the text is no such expression.
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except SyntaxError as error:
        raise InputError(
            f"units: {expression!r} is not an expression ({error.msg}); write for example 'area == \"MOs\"'."
        ) from None
    result = np.asarray(Evaluator(expression, columns).visit(tree))
    if result.dtype != bool or result.ndim != 1:
        raise InputError(f"units: {expression!r} is not true or false of a unit; compare a column with a value.")
    return result


class Evaluator(ast.NodeVisitor):
    """The value of each node that the language allows; any other is refused."""

    def __init__(self, expression: str, columns: Mapping[str, np.ndarray]) -> None:
        self.expression = expression
        self.columns = columns

    def generic_visit(self, node: ast.AST) -> Any:
        raise InputError(
            f"units: {ast.unparse(node)!r} in {self.expression!r} is not allowed; use columns, constants, comparisons, "
            "'in [...]', and, or, not."
        )

    def visit_Name(self, node: ast.Name) -> np.ndarray:
        if node.id not in self.columns:
            raise InputError(
                f"units: no column {node.id!r} in {self.expression!r}. {suggestion(node.id, self.columns)}"
            )
        return self.columns[node.id]

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
