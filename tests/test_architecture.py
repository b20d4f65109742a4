"""Imports point down only, heavy packages are loaded late, only the command line talks.

The rules are those of DESIGN.md. Each check is a function of source text, so that the last
tests can show that it fails where it should.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nninvert

PACKAGE = Path(nninvert.__file__).resolve().parent
FILES = sorted(PACKAGE.rglob("*.py"))

GROUND = {"context", "errors", "forecast", "outcome", "patience", "result", "tolerances"}
STORAGE = {"archive", "files", "hdf5", "npy", "npz"}
SPINE = ("linalg", "rootfind", "layers", "network", "priors", "analysis", "methods")

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "outcome": set(),
    "tolerances": set(),
    "context": {"errors"},
    "patience": {"errors"},
    "result": {"outcome"},
    "forecast": {"result"},
    "files": {"errors"},
    "npy": {"errors", "files"},
    "archive": {"errors", "files"},
    "npz": {"archive", "errors", "files", "npy"},
    "hdf5": {"errors", "files"},
    "layout": {"errors"},
    **{
        name: GROUND | STORAGE | {"layout"} | set(SPINE[:place])
        for place, name in enumerate(SPINE)
    },
    "names": {"errors", "layout", "network"},
    "arrays": {"errors"} | STORAGE,
    "formats": GROUND | STORAGE | {"arrays", "linalg", "layers", "network", "layout"},
    "report": GROUND | {"formats", "layers"},
    "api": GROUND | STORAGE | {"arrays", "formats", "layout", "names", *SPINE},
    "cli": GROUND | {"api", "arrays", "formats", "layout", "names", "report", *SPINE},
    "__main__": {"cli"},
    "__init__": GROUND | {"api", "formats", "network"},
}
"""What each part of the package may import from the others. Nothing goes up."""

LATE = ("scipy", "h5py", "rich")
"""Packages that are imported inside the functions that need them."""

LIGHT = ("__init__.py", "__main__.py", "errors.py", "outcome.py", "cli")
"""What ``--help`` and ``import nninvert`` load: no numpy at their top."""


def part_of(path: Path) -> str:
    """The part of the package that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(source: str) -> Iterator[tuple[str, str]]:
    """Module and name of each import, wherever it stands; the name of a module is ""."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                yield str(node.module), alias.name


def upward(part: str, source: str) -> list[str]:
    """Imports of other parts that this one may not import."""
    found = []
    for module, name in imports(source):
        words = module.split(".")
        if words[0] != "nninvert":
            continue
        target = words[1] if len(words) > 1 else name
        is_part = (PACKAGE / target).is_dir() or (PACKAGE / f"{target}.py").is_file()
        if target and target != part and is_part and target not in MAY_IMPORT[part]:
            found.append(f"{part} -> {target}")
    return found


def private(part: str, source: str) -> list[str]:
    """Imports of what another part keeps to itself."""
    found = []
    for module, name in imports(source):
        words = f"{module}.{name}".split(".")
        hidden = any(w.startswith("_") and not w.startswith("__") for w in words)
        if words[0] == "nninvert" and words[1] != part and hidden:
            found.append(f"{module}.{name}")
    return found


def at_the_top(source: str) -> Iterator[str]:
    """Packages imported when the file is: outside functions and TYPE_CHECKING."""
    pending: list[ast.AST] = list(ast.parse(source).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            pending += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module).split(".")[0]
        pending += list(ast.iter_child_nodes(node))


def talk(source: str) -> list[str]:
    """Uses of the process's streams and of its end."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if (node.value.id, node.attr) in {
                ("sys", "exit"),
                ("sys", "stdin"),
                ("sys", "stdout"),
                ("sys", "stderr"),
                ("os", "_exit"),
            }:
                found.append(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            found += [name] if name in {"print", "input", "exit", "quit"} else []
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_file_keeps_the_rules(path):
    source, part = path.read_text(encoding="utf-8"), part_of(path)
    assert upward(part, source) == []
    assert private(part, source) == []
    top = set(at_the_top(source))
    assert top.isdisjoint(LATE)
    if path.relative_to(PACKAGE).parts[0] in LIGHT:
        assert "numpy" not in top
    everywhere = {module.split(".")[0] for module, _ in imports(source)}
    assert part == "cli" or "typer" not in everywhere
    assert part in ("cli", "report") or "rich" not in everywhere
    assert part in ("cli", "__main__") or talk(source) == []


def test_every_part_has_a_rule():
    assert {part_of(path) for path in FILES} <= set(MAY_IMPORT)


def test_no_rule_makes_a_circle():
    for part, allowed in MAY_IMPORT.items():
        for other in allowed:
            assert part not in MAY_IMPORT[other], (part, other)


def test_no_part_has_the_name_of_a_public_function():
    parts = {part_of(path) for path in FILES}
    assert parts.isdisjoint(nninvert.__all__)


def test_every_public_name_is_there():
    for name in nninvert.__all__:
        assert getattr(nninvert, name) is not None
    assert set(nninvert.__all__) <= set(dir(nninvert))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = nninvert.nothing


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after `code`."""
    report = "\nimport sys; print(*sorted(m for m in sys.modules if '.' not in m))"
    done = subprocess.run(
        [sys.executable, "-c", code + report],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
    )
    return set(done.stdout.splitlines()[-1].split())


HEAVY = {"numpy", "scipy", "h5py"}


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import nninvert").isdisjoint(HEAVY | {"rich", "typer"})


def test_version_loads_nothing_heavy():
    code = "from nninvert.cli import main; assert main(['--version']) == 0"
    assert loaded_by(code).isdisjoint(HEAVY | {"rich"})


@pytest.mark.parametrize("words", [["--help"], ["invert", "--help"], ["invertt"]])
def test_help_and_wrong_words_load_nothing_heavy(words):
    # Typer itself draws its help with rich.
    code = f"from nninvert.cli import main; main({words!r})"
    assert loaded_by(code).isdisjoint(HEAVY)


def test_reading_a_model_loads_neither_scipy_nor_rich(tmp_path):
    model = tmp_path / "w.npz"
    code = (
        f"import numpy; numpy.savez({str(model)!r}, W1=numpy.eye(2))\n"
        "from nninvert.cli import main\n"
        f"main(['info', {str(model)!r}])"
    )
    assert loaded_by(code).isdisjoint({"scipy", "rich"})


class TestTheChecksCanFail:
    def test_upward(self):
        assert upward("linalg", "from nninvert.layers import Dense") == ["linalg -> layers"]
        assert upward("layers", "def f():\n    import nninvert.formats") == [
            "layers -> formats"
        ]
        assert upward("methods", "from nninvert import cli") == ["methods -> cli"]
        assert upward("cli", "from nninvert import __version__") == []

    def test_private(self):
        assert private("cli", "from nninvert.formats._base import A") == [
            "nninvert.formats._base.A"
        ]
        assert private("cli", "from nninvert.formats.own import _a") == [
            "nninvert.formats.own._a"
        ]
        assert private("formats", "from nninvert.formats._base import A") == []
        assert private("cli", "from nninvert import __version__") == []

    def test_at_the_top(self):
        assert set(at_the_top("import scipy.linalg")) == {"scipy"}
        assert set(at_the_top("try:\n    from h5py import File\nfinally: pass")) == {"h5py"}
        assert set(at_the_top("class A:\n    import rich")) == {"rich"}
        late = "def f():\n    import scipy\nif TYPE_CHECKING:\n    import h5py"
        assert set(at_the_top(late)) == set()

    def test_talk(self):
        found = talk("print(1)\nsys.exit(2)\nx = sys.stdin")
        assert sorted(found) == ["print", "sys.exit", "sys.stdin"]
        assert talk("sys.modules\nself.print(1)") == []

    def test_loaded_by(self):
        assert {"numpy", "scipy"} <= loaded_by("import scipy.linalg")
        assert "numpy" in loaded_by("import nninvert; nninvert.load")
