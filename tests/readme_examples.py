"""The README's examples: found in the page, run as a user would, compared with the page.

``python tests/readme_examples.py --write`` brings the page up to date.

A block that begins with ``# name.py`` is a file. In a block of the kind "console", lines
that begin with "$ " are commands, and what follows them is what they print, on either
stream. "<!-- table: NAME -->" is followed by a table made from the registries,
"<!-- output: NAME -->" by a part of what ``nninvert demo`` prints.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"

_BLOCK = re.compile(r"```(python|console)\n(.*?)```\n", re.DOTALL)
_MARKED = re.compile(r"<!-- (table|output): ([^>]+) -->\n.*?<!-- end -->", re.DOTALL)
_ROUNDING = re.compile(r"\d(\.\d+)?e-1[3-9]")
_CLOCK = re.compile(r" +\d[\d.,]* (min \d+ s|h \d+ min|ms|s|min|h)\b")
_BYTES = re.compile(r" +\d[\d.,]* [GT]B\b")
_ESTIMATE = re.compile(r"\b\d(\.\d)?(?=e[4-9]\b)")
_FULL_DISK = re.compile(r": NOT ENOUGH\. [^\n]*(\n {11}[^\n]*)*")
_COLUMNS = re.compile(r"  +")


def comparable(text: str) -> str:
    """Text in which what differs by machine is alike.

    That is rounding, times, estimates of large condition numbers, which differ by a
    percent, memory, which plans make depend on the machine's speed, with the widths of
    the columns that hold them, and whether the disk has room for what is only planned.
    """
    text = _FULL_DISK.sub("", text)
    for pattern in (_ROUNDING, _CLOCK, _BYTES, _ESTIMATE):
        text = pattern.sub(" ~", text)
    return _COLUMNS.sub("  ", text)


def sandbox(folder: Path) -> dict[str, str]:
    """Fill `folder` with the sample models and return the environment of commands there.

    `nninvert` and `python3` are those that run this.
    """
    shutil.copytree(ROOT / "sample_models", folder, dirs_exist_ok=True)
    programs = folder / ".programs"
    programs.mkdir()
    for name, words in (("nninvert", "-m nninvert"), ("python3", "")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        program.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "80",
    }


def run(command: str, folder: Path, environment: dict[str, str]) -> str:
    """What a shell command prints, on both streams."""
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    ).stdout


def rendered(page: str) -> str:
    """The page with everything that is computed in it computed anew."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = sandbox(folder)

        def block(match: re.Match[str]) -> str:
            kind, body = match.groups()
            if kind == "python":
                (folder / body.split("\n", 1)[0].removeprefix("# ")).write_text(body)
                return match.group(0)
            commands = [line for line in body.splitlines() if line.startswith("$ ")]
            shown = [f"{line}\n{run(line[2:], folder, environment)}" for line in commands]
            return f"```console\n{''.join(shown)}```\n"

        page = _BLOCK.sub(block, page)
        demo = run("nninvert demo", folder, environment)

    def marked(match: re.Match[str]) -> str:
        kind, name = match.groups()
        made = TABLES[name]() if kind == "table" else _demo_part(demo, name)
        return f"<!-- {kind}: {name} -->\n{made}<!-- end -->"

    return _MARKED.sub(marked, page)


def _demo_part(demo: str, name: str) -> str:
    """One of the two rows of pictures that the demo draws."""
    first_words = {"demo-picture": "the network's output", "demo-measured": "measured  "}
    lines = demo.splitlines()
    start = next(
        k for k, line in enumerate(lines) if line.strip().startswith(first_words[name])
    )
    stop = next(k for k in range(start, len(lines)) if not lines[k].strip())
    drawn = "".join(f"{line.rstrip()}\n" for line in lines[start:stop])
    return f"\n```\n{drawn}```\n\n"


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def _formats() -> str:
    from nninvert.formats import known_formats

    rows = [[row.name, ", ".join(row.suffixes), row.reads] for row in known_formats()]
    return _table(["format", "files", "what is read"], rows)


def _first_line(thing: type) -> str:
    return (thing.__doc__ or "").split("\n", 1)[0].rstrip(".").replace("|", "\\|")


def _layers() -> str:
    from nninvert.layers import LAYERS

    rows = [[kind, _first_line(layer)] for kind, layer in sorted(LAYERS.items())]
    return _table(["layer", ""], rows)


def _activations() -> str:
    from dataclasses import MISSING, fields

    from nninvert.layers.activations import ACTIVATIONS

    rows = []
    for name, activation in sorted(ACTIVATIONS.items()):
        parameters = [
            field.name if field.default is MISSING else f"{field.name} = {field.default}"
            for field in fields(activation)  # type: ignore[arg-type]
        ]
        rows.append([name, ", ".join(parameters), _first_line(activation)])
    return _table(["activation", "parameters", ""], rows)


def _methods() -> str:
    from nninvert.methods import METHODS

    rows = [["auto", "chooses for each group of rows, and says why (default)"]]
    rows += [[name, method.summary] for name, method in METHODS.items()]
    return _table(["`--method`", ""], rows)


def _proofs() -> str:
    from nninvert.outcome import Proof

    rows = [[kind.value, kind.meaning] for kind in Proof if kind is not Proof.NONE]
    return _table(["proof", ""], rows)


_PANELS = ("Common", "Which x is wanted", "Search")


def _options() -> str:
    from typer.core import TyperOption
    from typer.main import get_group

    from nninvert.cli import _app

    options = get_group(_app.app).commands["invert"].params
    rows = [
        [", ".join(f"`{name}`" for name in option.opts), option.help or ""]
        for panel in _PANELS
        for option in options
        if isinstance(option, TyperOption) and option.rich_help_panel == panel
    ]
    return _table(["option", ""], rows)


def _exit_codes() -> str:
    from nninvert.errors import ExitCode

    return _table(["exit code", ""], [[str(int(code)), code.meaning] for code in ExitCode])


TABLES: dict[str, Callable[[], str]] = {
    "formats": _formats,
    "layers": _layers,
    "activations": _activations,
    "methods": _methods,
    "options": _options,
    "proofs": _proofs,
    "exit codes": _exit_codes,
}


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/readme_examples.py --write")
    README.write_text(rendered(README.read_text()))
