"""The process that answers requests loads no engine: a net that breaks it out breaks a worker."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import onnx
import psutil
import pytest

FORBIDDEN = ("onnx", "onnxruntime", "onnx_ir", "portgrad.engine", "portgrad.autodiff")
CODE = f"""
import sys, portgrad.main
print(sorted(name for name in sys.modules
             if name in {FORBIDDEN} or name.startswith(tuple(n + "." for n in {FORBIDDEN}))))
"""


def test_what_the_command_line_imports() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env=_env()
    )
    assert ran.stdout.strip() == "[]"


def _env(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **more}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    code = "from portgrad.main import main; import sys; sys.argv[0] = 'portgrad'; main()"
    command = [sys.executable, "-c", code, "serve", "--port", "0", "--data", str(tmp_path)]
    env = _env(PORTGRAD_WORKERS="1", PORTGRAD_LOG_FORMAT="json")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as process:
        yield process
        process.terminate()


def _port(service: subprocess.Popen[str]) -> int:
    assert service.stderr is not None
    for line in service.stderr:
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", json.loads(line)["message"]):
            return int(found[1])
    pytest.fail("The service does not say where it listens.")


def test_what_a_service_maps(service: subprocess.Popen[str]) -> None:
    """Its own process after a gradient, and for the sake of the test a worker of it."""
    net = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21]>'
        "square (float[n] x) => (float[n] y) { y = Mul(x, x) }"
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{_port(service)}", timeout=30) as http:
        made = http.post("/nets", content=net.SerializeToString())
        assert made.status_code == 201, made.text
        path = f"/nets/{made.json()['id']}/gradient"
        answer = http.post(path, json={"data": {"x": [3.0]}})
        assert answer.json()["gradients"] == {"x": [6.0]}
    (nursery,) = psutil.Process(service.pid).children()
    (worker,) = nursery.children()
    library = re.compile(r"onnx", re.IGNORECASE)
    assert not library.search(Path(f"/proc/{service.pid}/maps").read_text())
    assert library.search(Path(f"/proc/{nursery.pid}/maps").read_text())
    service.terminate()
    assert service.wait(20) in (0, -15)
    for _ in range(100):
        if not psutil.pid_exists(worker.pid) and not psutil.pid_exists(nursery.pid):
            return
        time.sleep(0.02)
    pytest.fail("A process of the service lives on.")
