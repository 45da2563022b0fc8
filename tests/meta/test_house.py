"""The house: layers, public names, and files that stay readable."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import portgrad

ROOT = Path(__file__).parents[2]
FOLDERS = ("service", "clients/python/src", "benchmarks", "examples")
SOURCES = sorted(path for folder in FOLDERS for path in ROOT.glob(f"{folder}/**/*.py"))


def test_public_names_are_exact() -> None:
    assert portgrad.__all__ == ["Gradients", "Net", "Outputs", "load"]
    for name in portgrad.__all__:
        assert getattr(portgrad, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nett'"):
        _ = portgrad.Nett


def test_importing_the_package_does_not_load_the_runtime() -> None:
    code = "import sys, portgrad; sys.exit('onnxruntime' in sys.modules or 'onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_lower_layer_never_imports_a_higher_one() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_tests_stay_small() -> None:
    lengths = {path: path.read_text().count("\n") for path in ROOT.glob("tests/**/*.py")}
    assert {str(path): length for path, length in lengths.items() if length > 400} == {}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert text.count("\n") <= 400
    for function in functions:
        assert (function.end_lineno or 0) - function.lineno <= 60, function.name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_says_what_lives_there(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not tree.body or ast.get_docstring(tree)
