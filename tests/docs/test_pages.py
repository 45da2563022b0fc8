"""The blocks of pages for users, run against a service that was started as they say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest

from portgrad.samples import linear

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "docs/tutorials/first-gradient.md"]
HTTP_PAGE = "docs/reference/http.md"
FILE_PAGE = "docs/howto/gradient-as-a-file.md"
CHECK_PAGE = "docs/howto/check-a-gradient.md"
OBSERVE_PAGE = "docs/howto/observe.md"
PYTHON_PAGES = [
    *PAGES, "docs/reference/python.md", HTTP_PAGE, FILE_PAGE, CHECK_PAGE,
    "docs/howto/gradient-operator.md",
]  # fmt: skip
SHELL_PAGES = [*PAGES, "docs/reference/cli.md", HTTP_PAGE, FILE_PAGE, CHECK_PAGE, OBSERVE_PAGE]
SCIKIT_LEARN_PAGE = "docs/howto/scikit-learn.md"
CONVERTED = ROOT / "tests/data/sklearn/howto.onnx"  # what the page's first block makes
WRITTEN = "http://127.0.0.1:8000"
# A call and its answer.
ANSWERED = re.compile(r"^```sh\n([^`]*?)^```\n\n```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Other machines add in other orders: float32 numbers agree to this, ones near 0 to the second.
CLOSE = {"rel": 1e-4, "abs": 1e-5}
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Set-up, and what would not return.
NOT_RUN = ("make ", "pip ", "portgrad serve")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("data")
    command = [sys.executable, "-c", "from portgrad.main import main; main()"]
    arguments = ["serve", "--port", "0", "--data", str(data), "--samples"]
    with subprocess.Popen(command + arguments, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        try:
            yield next(
                found[0] for line in service.stdout if (found := re.search(r"http://[\d.:]+", line))
            )
        finally:
            service.terminate()
            service.stdout.read()


def _blocks(page: str, language: str, address: str) -> list[str]:
    text = (ROOT / page).read_text()
    return [b.replace(WRITTEN, address) for kind, b in BLOCK.findall(text) if kind == language]


def _commands(block: str) -> list[str]:
    """One for each line, unless it goes on within quotation marks or after a backslash."""
    commands: list[str] = []
    for line in block.replace("\\\n", " ").splitlines():
        if commands and commands[-1].count("'") % 2:
            commands[-1] += f"\n{line}"
        elif line:
            commands.append(line)
    return [command for command in commands if not command.startswith(NOT_RUN)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a reader would be: a net of their own, and the examples."""
    (tmp_path / "net.onnx").write_bytes(linear(1, 2))
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


def _run(command: list[str], folder: Path, address: str) -> str:
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": scripts, "PORTGRAD_URL": address}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_python_blocks_run(page: str, address: str, folder: Path) -> None:
    blocks = _blocks(page, "python", address)
    assert blocks
    _run([sys.executable, "-c", "\n".join(blocks)], folder, address)


@pytest.mark.parametrize("page", SHELL_PAGES)
def test_commands_run(page: str, address: str, folder: Path) -> None:
    commands = [c for block in _blocks(page, "sh", address) for c in _commands(block)]
    assert commands
    for command in commands:
        url = f" --url {address}" if command.startswith("python examples") else ""
        assert "urn:portgrad:problem" not in _run(["sh", "-c", command + url], folder, address)


@pytest.mark.parametrize("page", ["README.md", HTTP_PAGE])
def test_answers_are_as_shown(page: str, address: str, folder: Path) -> None:
    pairs = ANSWERED.findall((ROOT / page).read_text())
    assert pairs
    for block, shown in pairs:
        (command,) = _commands(block.replace(WRITTEN, address))
        _same(json.loads(_run(["sh", "-c", command], folder, address)), json.loads(shown), command)


def _same(found: Any, shown: Any, where: str) -> None:
    """Equal but for the last digits of numbers."""
    assert type(found) is type(shown), where
    if isinstance(shown, dict):
        assert found.keys() == shown.keys(), where
        for name, value in shown.items():
            _same(found[name], value, f"{where}: {name}")
    elif isinstance(shown, list):
        assert len(found) == len(shown), where
        for one, other in zip(found, shown, strict=True):
            _same(one, other, where)
    else:
        assert found == (pytest.approx(shown, **CLOSE) if isinstance(shown, float) else shown), (
            where
        )


def test_the_page_of_scikit_learn_runs_on_the_net_that_it_converts(
    address: str, folder: Path
) -> None:
    """The blocks after the conversion, on a file that the conversion once made."""
    convert, *others = _blocks(SCIKIT_LEARN_PAGE, "python", address)
    assert "sklearn" in convert
    assert not any("sklearn" in block for block in others)
    (folder / "iris.onnx").write_bytes(CONVERTED.read_bytes())
    _run([sys.executable, "-c", "\n".join(others)], folder, address)


def test_the_page_of_scikit_learn_converts(address: str, folder: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("skl2onnx")
    blocks = _blocks(SCIKIT_LEARN_PAGE, "python", address)
    _run([sys.executable, "-W", "ignore", "-c", "\n".join(blocks)], folder, address)
    nets = [onnx.load(path) for path in (folder / "iris.onnx", CONVERTED)]
    made, kept = ([node.op_type for node in net.graph.node] for net in nets)
    assert made == kept
