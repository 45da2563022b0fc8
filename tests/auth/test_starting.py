"""How the service starts: refused where it would be open to everybody, and samples with keys."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from portgrad import main
from portgrad.api.app import create_app
from portgrad.settings import Settings
from portgrad.store import LocalStore
from portgrad.store.keys import Keys
from support.fake_compute import FakeCompute, fake_net
from support.http import serving

# The module, which the package gives the name of its function.
SERVE = sys.modules["portgrad.cli.serve"]


def test_it_does_not_listen_beyond_this_machine_unasked(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from portgrad.main import main; main()"]
    done = subprocess.run(
        [*command, "serve", "--host", "0.0.0.0", "--port", "0", "--data", str(tmp_path / "data")],
        env={name: value for name, value in os.environ.items() if "PORTGRAD" not in name},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    told = " ".join(done.stderr.split())
    for way in ("PORTGRAD_HOST=127.0.0.1", "PORTGRAD_AUTH=required", "PORTGRAD_OPEN=true"):
        assert way in told
    assert not (tmp_path / "data").exists()


def test_another_server_may_run_it_and_strangers_are_still_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`uvicorn --factory portgrad.main:create_app --host 0.0.0.0` knows nothing of our settings."""
    monkeypatch.setenv("PORTGRAD_DATA", str(tmp_path))
    app = main.create_app()

    async def ask(peer: str) -> int:
        transport = httpx.ASGITransport(app, client=(peer, 5))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http,
        ):
            return (await http.get("/nets")).status_code

    assert asyncio.run(ask("192.0.2.7")) == 403


def test_samples_belong_to_local_where_a_key_is_asked_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(SERVE, "samples", lambda: {"moons": fake_net("point")})
    settings = Settings(data=tmp_path, auth="required")
    app = create_app(LocalStore(tmp_path), FakeCompute(), settings)
    asyncio.run(SERVE._greet(app, settings, "127.0.0.1:8000"))
    told = capsys.readouterr().out
    assert "Authorization: Bearer $PORTGRAD_API_KEY" in told
    assert "portgrad keys create --owner local" in told
    # Nobody but the service did it.
    assert not [line for line in caplog.records if line.name == "portgrad.audit"]
    key = Keys(tmp_path).create("local", ["read"])[1]
    with serving(app) as http:
        listed = http.get("/nets", headers={"Authorization": f"Bearer {key}"}).json()["nets"]
    assert [net["names"] for net in listed] == [["moons"]]
