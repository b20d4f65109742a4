"""Nearest input in the 1-norm with f(x) in a range, for ReLU nets, by two public packages.

OMLT's big-M formulation, solved by HiGHS through Pyomo; PySCIPOpt-ML, solved by SCIP, with
both of its formulations. Each at its default settings but for the gap and the time limit.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Parts = list[tuple[np.ndarray, np.ndarray]]

GAP = 1e-6
"""Relative gap at which everybody may stop."""


@dataclass(frozen=True)
class Question:
    """A ReLU net in plain arrays, and what is asked of it.

    Attributes
    ----------
    parts : list of (A, b)
        A (n_out, n_in); relu after each but the last.
    near, radius : float64 array, float
        Inputs lie within `radius` of `near`, and as near as possible in the 1-norm.
    unit : float64 array, shape (n_in,)
        What counts as one unit of each input in that norm.
    low, high : float64 arrays
        What f(x) must lie between.
    """

    parts: Parts
    near: np.ndarray
    radius: float
    unit: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def forward(self, x: np.ndarray) -> np.ndarray:
        """f of one row."""
        for matrix, bias in self.parts[:-1]:
            x = np.maximum(matrix @ x + bias, 0.0)
        return self.parts[-1][0] @ x + self.parts[-1][1]

    def excess(self, x: np.ndarray) -> float:
        """By how much f(x) or x leaves what is allowed; 0 inside."""
        y = self.forward(x)
        outside = np.abs(x - self.near).max() - self.radius
        return float(max((self.low - y).max(), (y - self.high).max(), outside, 0.0))

    def distance(self, x: np.ndarray) -> float:
        """In the 1-norm, in the units of the inputs."""
        return float((np.abs(x - self.near) / self.unit).sum())


@dataclass(frozen=True)
class Answer:
    """x, or None; whether it is proved to be the best; seconds in all and in the solver."""

    x: np.ndarray | None
    optimal: bool
    seconds: float
    solving: float


def omlt_highs(question: Question, limit: float) -> Answer:
    """OMLT's `ReluBigMFormulation`, HiGHS."""
    import pyomo.environ as pyo
    from omlt import OmltBlock
    from omlt.neuralnet import NetworkDefinition, ReluBigMFormulation
    from omlt.neuralnet.layer import DenseLayer, InputLayer
    from pyomo.contrib.appsi.base import TerminationCondition
    from pyomo.contrib.appsi.solvers import Highs

    # It warns of every input whose box does not hold zero.
    logging.getLogger("pyomo.core").setLevel(logging.ERROR)
    started = time.perf_counter()
    n, m = question.near.size, question.low.size
    box = {
        k: (float(c - question.radius), float(c + question.radius))
        for k, c in enumerate(question.near)
    }
    net = NetworkDefinition(scaled_input_bounds=box)
    layer = InputLayer([n])
    net.add_layer(layer)
    for k, (matrix, bias) in enumerate(question.parts):
        last = k == len(question.parts) - 1
        following = DenseLayer(
            [matrix.shape[1]],
            [matrix.shape[0]],
            matrix.T,
            bias,
            activation="linear" if last else "relu",
        )
        net.add_layer(following)
        net.add_edge(layer, following)
        layer = following
    model = pyo.ConcreteModel()
    model.net = OmltBlock()
    model.net.build_formulation(ReluBigMFormulation(net))
    model.away = pyo.Var(range(n), bounds=(0.0, question.radius))
    model.sides = pyo.ConstraintList()
    for k, centre in enumerate(question.near):
        model.sides.add(model.away[k] >= model.net.inputs[k] - float(centre))
        model.sides.add(model.away[k] >= float(centre) - model.net.inputs[k])
    for j in range(m):
        low, high = float(question.low[j]), float(question.high[j])
        model.sides.add((low, model.net.outputs[j], high))
    costs = 1.0 / question.unit
    goal = pyo.quicksum(float(costs[k]) * model.away[k] for k in range(n))
    model.goal = pyo.Objective(expr=goal)
    solver = Highs()
    solver.config.time_limit, solver.config.mip_gap = limit, GAP
    solver.config.load_solution = False
    begun = time.perf_counter()
    found = solver.solve(model)
    ended = time.perf_counter()
    x = None
    if found.best_feasible_objective is not None:
        found.solution_loader.load_vars()
        x = np.array([pyo.value(model.net.inputs[k]) for k in range(n)])
    optimal = found.termination_condition is TerminationCondition.optimal
    return Answer(x, optimal, time.perf_counter() - started, ended - begun)


def scip(formulation: str) -> Callable[[Question, float], Answer]:
    """PySCIPOpt-ML with one of its formulations, "sos" (its default) or "bigm"."""

    def solve(question: Question, limit: float) -> Answer:
        from pyscipopt import Model, quicksum
        from pyscipopt_ml.add_predictor import add_predictor_constr

        started = time.perf_counter()
        model = Model()
        model.hideOutput()
        inputs = [
            model.addVar(lb=float(c - question.radius), ub=float(c + question.radius))
            for c in question.near
        ]
        outputs = [
            model.addVar(lb=float(low), ub=float(high))
            for low, high in zip(question.low, question.high, strict=True)
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            add_predictor_constr(
                model,
                as_onnx(question.parts),
                np.array(inputs, dtype=object),
                np.array(outputs, dtype=object),
                unique_naming_prefix="net_",
                formulation=formulation,
            )
        away = [model.addVar(lb=0.0, ub=question.radius) for _ in inputs]
        for variable, centre, size in zip(inputs, question.near, away, strict=True):
            model.addCons(size >= variable - float(centre))
            model.addCons(size >= float(centre) - variable)
        costs = zip(1.0 / question.unit, away, strict=True)
        model.setObjective(quicksum(float(cost) * size for cost, size in costs))
        model.setParam("limits/time", limit)
        model.setParam("limits/gap", GAP)
        begun = time.perf_counter()
        model.optimize()
        ended = time.perf_counter()
        x = None
        if model.getNSols():
            x = np.array([model.getVal(variable) for variable in inputs])
        optimal = model.getStatus() in ("optimal", "gaplimit")
        return Answer(x, optimal, time.perf_counter() - started, ended - begun)

    return solve


def as_onnx(parts: Parts) -> object:
    """The net as an ONNX model of Gemm and Relu nodes, in float64."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, held, name = [], [], "x"
    for k, (matrix, bias) in enumerate(parts):
        held.append(numpy_helper.from_array(np.ascontiguousarray(matrix), f"A{k}"))
        held.append(numpy_helper.from_array(np.asarray(bias), f"b{k}"))
        inputs = [name, f"A{k}", f"b{k}"]
        nodes.append(helper.make_node("Gemm", inputs, [f"z{k}"], f"gemm{k}", transB=1))
        name = f"z{k}"
        if k < len(parts) - 1:
            nodes.append(helper.make_node("Relu", [name], [f"h{k}"], f"relu{k}"))
            name = f"h{k}"
    double = TensorProto.DOUBLE
    first = helper.make_tensor_value_info("x", double, [1, parts[0][0].shape[1]])
    last = helper.make_tensor_value_info(name, double, [1, parts[-1][0].shape[0]])
    graph = helper.make_graph(nodes, "net", [first], [last], held)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8
    )


RIVALS: dict[str, Callable[[Question, float], Answer]] = {
    "OMLT + HiGHS": omlt_highs,
    "PySCIPOpt-ML sos": scip("sos"),
    "PySCIPOpt-ML bigm": scip("bigm"),
}
