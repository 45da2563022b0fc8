"""Files in onnxruntime-web, the runtime of browsers, under Node.

The package comes from the registry of npm on first use, into pytest's cache.
"""

from __future__ import annotations

import base64
import fcntl
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import portgrad
from portgrad.samples import linear
from support.double import Arrays
from support.gradient_files import NETS, made

HERE = Path(__file__).parent
PACKAGE = ("package.json", "package-lock.json", "run.mjs")
LONGEST = 120  # seconds that an installation may take: 30 MB


@pytest.fixture(scope="module")
def program(pytestconfig: pytest.Config) -> Path:
    """The program with its package beside it; a skip where there is neither Node nor a network."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("there is no Node and npm on this machine")
    folder = Path(pytestconfig.cache.mkdir("onnxruntime-web"))
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other workers of one run
        for name in PACKAGE:
            shutil.copy(HERE / name, folder)
        if not _installed(folder):
            _install(folder)
    return folder / "run.mjs"


def _installed(folder: Path) -> bool:
    marker = folder / "node_modules" / "installed"
    return marker.exists() and marker.read_text() == (HERE / "package-lock.json").read_text()


def _install(folder: Path) -> None:
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=LONGEST)
    except subprocess.SubprocessError as error:
        told = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip()
        pytest.skip(f"npm cannot install onnxruntime-web here: {error} {told[-300:]}")
    lock = (HERE / "package-lock.json").read_text()
    (folder / "node_modules" / "installed").write_text(lock)


PAGE = HERE.parents[1] / "docs/howto/gradient-as-a-file.md"


def test_the_program_of_the_page_runs(program: Path, tmp_path: Path) -> None:
    net = portgrad.load(linear(1, 2))
    net.export_gradient(tmp_path / "grad.onnx", wrt="all", outputs=True, seeds=True)
    [block] = re.findall(r"^```js\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    page = program.with_name("page.mjs")  # beside the package that it imports
    page.write_text(block)
    done = subprocess.run(["node", page], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    numbers = [float(number) for number in re.findall(r"-?\d+\.\d+", done.stdout)]
    want = net.gradient([[0.5, -1.0]])["Input"]
    np.testing.assert_allclose(numbers, want[0], rtol=1e-6)


@pytest.fixture(scope="module")
def web(program: Path) -> Mapping[str, Arrays]:
    """What one process of Node gives for all files."""
    jobs = {
        name: {
            "model": base64.b64encode(made(name).content).decode(),
            "feeds": {key: _plain(array) for key, array in made(name).feeds.items()},
        }
        for name in NETS
    }
    done = subprocess.run(
        ["node", program], input=json.dumps(jobs), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers = json.loads(done.stdout)
    return {name: {k: _array(a) for k, a in found.items()} for name, found in answers.items()}


def _plain(array: np.ndarray) -> dict[str, Any]:
    data = base64.b64encode(array.tobytes()).decode()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": data}


def _array(plain: Mapping[str, Any]) -> np.ndarray:
    data = base64.b64decode(plain["data"])
    return np.frombuffer(data, plain["dtype"]).reshape(plain["shape"])


@pytest.mark.parametrize("name", NETS)
def test_the_web_runtime_gives_what_the_engine_gives(name: str, web: Mapping[str, Arrays]) -> None:
    want, found = made(name).want, web[name]
    assert set(found) == set(want)
    for key, array in want.items():
        assert found[key].dtype == array.dtype, key
        # Other kernels, whose sums of a few dozen float32 products are in another order.
        close = NETS[name].close * (1.0 + float(np.max(np.abs(array), initial=0.0)))
        np.testing.assert_allclose(found[key], array, rtol=0, atol=close, err_msg=key)
