"""The optimiser's own process, and the only place that knows it: HiGHS answers what `solver` asks, until nobody is left to ask.

HiGHS is a large program in C++, and has been seen to die of its own memory (highspy 1.16.0, "free(): invalid pointer", among some
hundred whole-numbered programs). Here that ends nothing but one question.
"""

from __future__ import annotations

import importlib
import math
import sys
from typing import Any

import msgspec
import numpy as np

from decamp.planning.solver import LENGTH_BYTES, SIMPLEX_ITERATIONS, Answer, Limits, Program, Question, Solution, pack, unpack


def main() -> None:
    asked, told = sys.stdin.buffer, sys.stdout.buffer
    while length := asked.read(LENGTH_BYTES):
        question = msgspec.msgpack.decode(asked.read(int.from_bytes(length)), type=Question)
        fields: dict[str, Any] = {name: None if packed is None else unpack(packed) for name, packed in question.program.items()}
        found = optimum(Program(**fields), question.limits)
        answer = Answer(values=None) if found is None else Answer(values=pack(found.values), prices=pack(found.prices), bound=found.bound)
        content = msgspec.msgpack.encode(answer)
        told.write(len(content).to_bytes(LENGTH_BYTES) + content)
        told.flush()


def optimum(program: Program, limits: Limits) -> Solution | None:
    """The cheapest point; null where there is none, or none was found within the limits."""
    highspy = importlib.import_module("highspy")
    highs = importlib.import_module("highspy._core")._Highs()  # highspy.Highs prints a banner before it can be told not to
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    highs.setOptionValue("random_seed", 0)
    highs.setOptionValue("mip_max_nodes", limits.nodes)
    highs.setOptionValue("simplex_iteration_limit", SIMPLEX_ITERATIONS)
    highs.setOptionValue("mip_rel_gap", limits.gap)
    if limits.seconds is not None:
        highs.setOptionValue("time_limit", limits.seconds)
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
        prices=np.array(found.row_dual) if len(found.row_dual) else np.zeros(len(program.row_lower)),
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


if __name__ == "__main__":
    main()
