"""The only place that knows an optimiser: linear programs, with whole-numbered variables or without, solved by HiGHS where it is
installed.

Equal problems have equal answers: one thread, and limits counted in steps. A limit in seconds is a caller's own wish, and may only cut
short.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from functools import cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MIP_NODES = 500
"""Of the branch-and-bound tree. What is found by then is valid, and so is its bound."""
SIMPLEX_ITERATIONS = 2_000_000
MIN_SECONDS = 0.1


class Program(msgspec.Struct, kw_only=True, dict=True):
    """Minimise cost x, with lower <= x <= upper and row_lower <= A x <= row_upper; A by its entries that are not 0."""

    cost: Floats
    lower: Floats
    upper: Floats
    whole: NDArray[np.bool_] | None = None
    row_lower: Floats
    row_upper: Floats
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    values: Floats


class Solution(msgspec.Struct, kw_only=True):
    values: Floats
    bound: float
    """No point that the program allows costs less."""


@cache
def is_installed() -> bool:
    return importlib.util.find_spec("highspy") is not None


def solve(program: Program, *, nodes: int = MIP_NODES, seconds: float = math.inf) -> Solution | None:
    """The cheapest point; null where there is none, or none was found within the limits, or no optimiser is installed."""
    if not is_installed() or seconds <= MIN_SECONDS:
        return None
    highspy = importlib.import_module("highspy")
    highs = importlib.import_module("highspy._core")._Highs()  # highspy.Highs prints a banner before it can be told not to
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    highs.setOptionValue("random_seed", 0)
    highs.setOptionValue("mip_max_nodes", nodes)
    highs.setOptionValue("simplex_iteration_limit", SIMPLEX_ITERATIONS)
    highs.setOptionValue("mip_rel_gap", 1e-4)
    if seconds < math.inf:
        highs.setOptionValue("time_limit", seconds)
    highs.passModel(_model(highspy, program))
    highs.run()
    status, info = highs.getModelStatus(), highs.getInfo()
    kinds = highspy.HighsModelStatus
    if status not in {kinds.kOptimal, kinds.kSolutionLimit, kinds.kTimeLimit, kinds.kIterationLimit}:
        return None
    whole = program.whole is not None and bool(program.whole.any())
    found = highs.getSolution()
    if not found.value_valid or (status != kinds.kOptimal and (not whole or not math.isfinite(info.mip_dual_bound))):
        return None
    return Solution(
        values=np.array(found.col_value),
        bound=info.mip_dual_bound if whole else info.objective_function_value,
    )


def _model(highspy: Any, program: Program) -> Any:
    order = np.lexsort((program.rows, program.columns))
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(program.cost), len(program.row_lower)
    model.col_cost_, model.col_lower_, model.col_upper_ = program.cost, program.lower, program.upper
    model.row_lower_, model.row_upper_ = program.row_lower, program.row_upper
    matrix = model.a_matrix_
    matrix.format_ = highspy.MatrixFormat.kColwise
    matrix.num_col_, matrix.num_row_ = model.num_col_, model.num_row_
    matrix.start_ = np.searchsorted(program.columns[order], np.arange(model.num_col_ + 1)).astype(np.int32)
    matrix.index_ = program.rows[order]
    matrix.value_ = program.values[order]
    if program.whole is not None and program.whole.any():
        kinds = highspy.HighsVarType
        model.integrality_ = [kinds.kInteger if one else kinds.kContinuous for one in program.whole]
    return model
