"""The page on keys, run from its first line to its last against a service that asks for them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from portgrad.samples import linear

PAGE = Path(__file__).parents[2] / "docs/howto/authenticate.md"
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HERE = "http://127.0.0.1:8000"


def script(address: str) -> str:
    """The page's blocks as one shell script, without the start of the service."""
    parts = ["set -e"]
    for kind, block in BLOCK.findall(PAGE.read_text()):
        text = block.replace(HERE, address)
        parts.append(text if kind == "sh" else f"python - <<'BLOCK'\n{text}BLOCK")
    return "\n".join(parts).replace("portgrad serve --samples\n", "")


def test_the_page_runs_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(linear(1, 2))
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": scripts, "PORTGRAD_AUTH": "required"}
    command = [sys.executable, "-c", "from portgrad.main import main; main()", "serve"]
    with subprocess.Popen(
        [*command, "--samples", "--port", "0"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True,
    ) as service:  # fmt: skip
        assert service.stdout is not None
        try:
            found = (re.search(r"http://[\d.:]+", line) for line in service.stdout)
            address = next(match[0] for match in found if match)
            done = subprocess.run(
                ["sh", "-c", script(address)],
                cwd=tmp_path, env={**environment, "PORTGRAD_URL": address},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        finally:
            service.terminate()
            service.stdout.read()
    assert done.returncode == 0, done.stdout + done.stderr
    assert '{"nets":[],"next":null}' in done.stdout  # before the upload
    assert "[[" in done.stdout  # the gradient
    assert done.stdout.rstrip().endswith("}")
    assert '"code":"key_revoked"' in done.stdout.splitlines()[-1]
    assert done.stderr.count("portgrad.audit key_") == 2
