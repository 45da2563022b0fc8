"""Files with onnxruntime alone, where there is no Portgrad: bit for bit the engine's answer, but
where the engine adds up in another order.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from support.double import Arrays
from support.gradient_files import NETS, made

# What a user writes who has the file and onnxruntime; the first line takes the rest away.
ALONE = """
import sys
sys.modules.update(dict.fromkeys(["portgrad", "portgrad_client", "onnx", "onnx_ir"]))
import json
import numpy as np
import onnxruntime

for folder, entries in json.load(sys.stdin).items():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    session = onnxruntime.InferenceSession(f"{folder}/gradient.onnx", options)
    names = [value.name for value in session.get_outputs()]
    with np.load(f"{folder}/feeds.npz") as feeds:
        found = session.run(names, dict(feeds))
    np.savez(f"{folder}/found.npz", **{name: array for name, array in zip(names, found)})
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Arrays]:
    """What one process gives for all files."""
    root = tmp_path_factory.mktemp("files")
    for name in NETS:
        folder = root / name
        folder.mkdir()
        (folder / "gradient.onnx").write_bytes(made(name).content)
        np.savez(folder / "feeds.npz", **made(name).feeds)  # type: ignore[arg-type]
    told = json.dumps({str(root / name): dict(row.engine) for name, row in NETS.items()})
    command = [sys.executable, "-I", "-c", ALONE]
    done = subprocess.run(command, input=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # the runtime warns of nothing either
    return {name: _read(root / name / "found.npz") for name in NETS}


def _read(path: Path) -> Arrays:
    with np.load(path) as archive:
        return dict(archive)


@pytest.mark.parametrize("name", NETS)
def test_the_file_gives_what_the_engine_gives(name: str, alone: Mapping[str, Arrays]) -> None:
    want, found = made(name).want, alone[name]
    assert list(found) == list(want)
    for key, array in want.items():
        assert found[key].dtype == array.dtype, key
        if NETS[name].rounding:
            most = NETS[name].rounding * np.abs(array).max()
            np.testing.assert_allclose(found[key], array, rtol=0, atol=most, err_msg=key)
        else:
            np.testing.assert_array_equal(found[key], array, err_msg=key)
    assert any(np.any(array) for key, array in found.items() if key.startswith("grad/"))
