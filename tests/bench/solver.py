"""The solver beside what people use without it, on the nets of ``tests/nets.py``.

Run on an idle machine, with the interpreter that has nninvert installed::

    python tests/bench/solver.py FOLDER CASE ... [--rows 100] [--seeds 0 1] [--only REGEX]

FOLDER keeps what takes long to make. Cases: what `CASES` says. "torch" and "simulation"
need torch, "milp" needs omlt, highspy, pyscipopt and pyscipopt-ml in that interpreter.
Seeds that were not developed on: ``--set held_out --seeds 1000 1001 1002 1003 1004``.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import nets
from processes import machine_facts
from solver_settings import Settings

CASES = {
    "success": ("solver_success", "rows SOLVED on every net, by auto"),
    "scipy": ("solver_scipy", "lsq beside scipy.optimize.least_squares"),
    "torch": ("solver_torch", "lsq beside Adam and L-BFGS"),
    "within": ("solver_within", "nearest within a tolerance, beside SLSQP, trust-constr"),
    "milp": ("solver_milp", "ReLU nets beside OMLT with HiGHS, PySCIPOpt-ML with SCIP"),
    "simulation": ("solver_simulation", "re-simulation error beside the neural adjoint"),
}
"""The module, imported only for its case, and what it measures; its function is `CASE`."""


def arguments() -> argparse.Namespace:
    """The command line."""
    listed = "\n".join(f"  {name:11} {text}" for name, (_, text) in CASES.items())
    parser = argparse.ArgumentParser(
        description="The solver beside others.",
        epilog=f"cases:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("cases", nargs="+", choices=list(CASES), metavar="CASE")
    parser.add_argument("--set", dest="which", default="development", choices=nets.SEEDS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", default="", help="a regular expression for names")
    parser.add_argument("--every", type=int, default=1, help="every so-manyth net only")
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--cap", type=float, default=1.0, help="seconds a row")
    parser.add_argument("--starts", type=int, default=10, help="for competitors, a row")
    parser.add_argument("--shrink", type=float, default=1.0, help="simulation: a trial run")
    return parser.parse_args()


def main() -> None:
    """Run the cases that were named."""
    given = arguments()
    given.folder.mkdir(parents=True, exist_ok=True)
    chosen = {k: v for k, v in vars(given).items() if k not in ("cases", "seeds")}
    settings = Settings(seeds=tuple(given.seeds), **chosen)
    print(machine_facts())
    for name in given.cases:
        module, text = CASES[name]
        print(f"\n{name}: {text}", flush=True)
        getattr(importlib.import_module(module), name)(settings)


if __name__ == "__main__":
    main()
