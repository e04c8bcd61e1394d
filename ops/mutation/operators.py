"""What ``make mutate`` changes in the code, where that differs from what mutmut does by itself.

- A text with a space in it is for people: neither it nor what it shows is changed, and no log call is.
- Any other text has one mutant and not three.
- No call loses a positional argument.
- ``max`` and ``min`` lose each of their arguments, because a bound that is missing is the fault that matters here.
- What only runs while a module is loaded is not changed.
- The bodies of properties and of pydantic's validators are changed as well. mutmut leaves out what is decorated.

mutmut changes functions only: constants of a module and defaults of a field stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import libcst as cst
import libcst.matchers as m
from mutmut.mutation import file_mutation, mutators

DECORATORS = ("property", "model_validator")
"""Decorators of functions that are changed although they are decorated."""

AT_LOAD = ("_at_least", "_at_most", "_drill_age", "_required", "_row")
"""Functions that only run when their module is loaded, which is before a mutant is chosen."""

_bounds = m.Call(func=m.Name("max") | m.Name("min"), args=[m.Arg(star=""), m.Arg(star=""), m.ZeroOrMore()])
_log_call = m.Call(func=m.Attribute(value=m.Name("_log")))


def for_people(node: cst.CSTNode) -> bool:
    """Whether ``node`` is a text with a space in it, or one put together with such a text."""
    if isinstance(node, cst.SimpleString):
        return " " in node.value
    if isinstance(node, cst.FormattedString):
        return any(isinstance(part, cst.FormattedStringText) and " " in part.value for part in node.parts)
    if isinstance(node, cst.ConcatenatedString):
        return for_people(node.left) or for_people(node.right)
    if isinstance(node, cst.BinaryOperation):
        return for_people(node.left) or for_people(node.right)
    return isinstance(node, cst.IfExp) and for_people(node.body) and for_people(node.orelse)


def without_a_bound(node: cst.Call) -> Iterable[cst.BaseExpression]:
    """``max(a, b)`` becomes ``a``, and ``b``."""
    if m.matches(node, _bounds) and not any(argument.keyword for argument in node.args):
        for argument in node.args:
            yield argument.value.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def arguments(node: cst.Call) -> Iterable[cst.BaseExpression]:
    """Each argument becomes ``None``, or is left out where it has a keyword. A text for people stays as it is."""
    if m.matches(node, _bounds):
        yield from without_a_bound(node)
        return
    # Without a positional argument a call fails at once, which shows nothing about a test.
    kept = [argument.value for argument in node.args if for_people(argument.value)]
    named = [argument for argument in node.args if argument.keyword]
    most = len(node.args) - 1
    for mutant in mutators.operator_arg_removal(node):
        left_out = len(mutant.args) == most
        if left_out and sum(argument in named for argument in mutant.args) == len(named):
            continue
        if all(any(argument.value is one for argument in mutant.args) for one in kept):
            yield mutant


def texts(node: cst.BaseString) -> Iterable[cst.BaseString]:
    """The first of mutmut's mutants of a text that is not for people."""
    if not for_people(node):
        yield from list(mutators.operator_string(node))[:1]


def assignments(node: cst.Assign | cst.AnnAssign) -> Iterable[cst.CSTNode]:
    """What mutmut does to an assignment, unless a text for people is assigned."""
    if node.value is not None and not for_people(node.value):
        yield from mutators.operator_assignment(node)


def install() -> None:
    """Let mutmut of this process, and of the processes it forks, work like this."""
    ours: dict[Callable[..., Any], Callable[..., Any]] = {
        mutators.operator_arg_removal: arguments,
        mutators.operator_string: texts,
        mutators.operator_assignment: assignments,
    }
    mutators.mutation_operators[:] = [(kind, ours.get(operator, operator)) for kind, operator in mutators.mutation_operators]  # type: ignore[index]
    _leave_out_texts_for_people()
    _change_decorated_functions()


def _leave_out_texts_for_people() -> None:
    visitor: Any = file_mutation.MutationVisitor
    skips = visitor._skip_node_and_children  # noqa: SLF001 (mutmut has no other place for it)

    def skip(self: Any, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.FunctionDef) and (_is_changed(node) or node.name.value in AT_LOAD):
            return node.name.value in AT_LOAD
        return for_people(node) or m.matches(node, _log_call) or bool(skips(self, node))

    visitor._skip_node_and_children = skip  # noqa: SLF001


def _is_changed(function: cst.FunctionDef) -> bool:
    if len(function.decorators) != 1:
        return False
    decorator = function.decorators[0].decorator
    name = decorator.func if isinstance(decorator, cst.Call) else decorator
    return isinstance(name, cst.Name) and name.value in DECORATORS


def _change_decorated_functions() -> None:
    arrange = file_mutation.function_trampoline_arrangement

    def arranged(function: cst.FunctionDef, mutants: Sequence[Any], class_name: str | None) -> Any:
        """The copies are called by the function that takes the place of the original, and only that one is decorated."""
        if not _is_changed(function):
            return arrange(function, mutants, class_name)
        declared, (first, *copies), assigned, names = arrange(function.with_changes(decorators=()), mutants, class_name)
        first = cst.ensure_type(first, cst.FunctionDef)
        return declared, [first.with_changes(decorators=[*function.decorators, *first.decorators]), *copies], assigned, names

    file_mutation.function_trampoline_arrangement = arranged
