"""Calls of functions whose code is Python of the program's own (millstream.udf).

They are deterministic by contract, but never evaluated before rows need them: a server that compiles a program does not
run its code. Any of them may fail.
"""

from __future__ import annotations

from collections.abc import Sequence

from millstream.errors import EvaluationError
from millstream.expressions.errors import TypeCheckError
from millstream.expressions.function import Function, Options, always, table
from millstream.expressions.nodes import Call, Expression, Lambda, children
from millstream.expressions.vectors import Kernel, Value, broadcast, is_scalar
from millstream.udf.checks import without_length
from millstream.udf.declarations import ExternalFunction
from millstream.udf.scalars import ScalarCode

NAME = "USER FUNCTION"


def _resolve(arguments: Sequence[Expression], options: Options) -> Expression:
    if len(options) != 1 or not isinstance(options[0], ExternalFunction):
        raise TypeCheckError(f"{NAME} is internal")
    (function,) = options
    return Call(without_length(function.declaration.returns), NAME, tuple(arguments), options)


def _implement(call: Call) -> Kernel:
    (function,) = call.options
    code = function.code

    def kernel(*values: Value) -> Value:
        if not isinstance(code, ScalarCode):
            raise EvaluationError(f"The code of function '{function}' is not loaded")
        length = next((len(value) for value in values if not is_scalar(value)), None)
        arrays = [broadcast(value, 1 if length is None else length) for value in values]
        column = code.column(arrays, 1 if length is None else length)
        return column[0] if length is None else column

    return kernel


def calls_user_code(expression: Expression) -> bool:
    """Whether a user-defined function is called anywhere in an expression, bodies of lambdas included."""
    if isinstance(expression, Call) and expression.name == NAME:
        return True
    inside = (expression.body,) if isinstance(expression, Lambda) else ()
    return any(calls_user_code(part) for part in (*children(expression), *inside))


FUNCTIONS = table(
    Function(NAME, _resolve, _implement, fallible=always, foldable=False, doc="Internal: a function of udf_python.")
)
