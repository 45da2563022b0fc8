"""What the package gives to the world: its public names, and its README run as it is written."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import portgrad
import portgrad_client
from portgrad_client import client
from portgrad_client.arguments import Settings
from support.http import AppClient
from support.sdk import connection, layers

README = Path(__file__).parents[2] / "clients" / "python" / "README.md"
PUBLIC = {
    *("Client", "Net", "NetPortGradient", "All", "Port", "Parameter"),
    *("Outputs", "Gradients", "Tangents", "Products", "Jacobian", "Hessian", "Report"),
    *("PortgradError", "InvalidRequestError", "BadRequestError", "UnprocessableError"),
    *("InvalidNetError", "UnsupportedOperatorError", "NotBuiltError", "RunFailedError"),
    *("NotFoundError", "ConflictError", "TooLargeError", "RateLimitedError", "ServerError"),
    *("UnauthenticatedError", "ForbiddenError", "DeadlineExceededError"),
    *("ConnectionFailedError", "TimedOutError", "InvalidAnswerError", "DtypeUnavailableError"),
}


def test_all_is_exact() -> None:
    assert set(portgrad_client.__all__) == PUBLIC
    assert portgrad_client.__all__ == sorted(portgrad_client.__all__)
    modules = {path.stem for path in Path(portgrad_client.__file__).parent.glob("*.py")}
    seen = {name for name in vars(portgrad_client) if not name.startswith("_")}
    assert seen - modules == PUBLIC


def test_no_name_shadows_a_builtin() -> None:
    assert PUBLIC.isdisjoint(
        vars(__builtins__) if hasattr(__builtins__, "__dict__") else __builtins__
    )


def test_the_package_is_typed() -> None:
    assert (Path(portgrad_client.__file__).parent / "py.typed").is_file()


def keywords(call: Callable[..., Any]) -> set[str]:
    """The arguments that a call takes by name, the settings of a run among them."""
    told = set()
    for name, parameter in inspect.signature(call).parameters.items():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            told.add(name)
        elif name == "settings":
            told |= set(Settings.__annotations__)
    return told


def test_in_process_nets_have_the_same_calls() -> None:
    both = {"evaluate", "gradient", "value_and_gradient", "jvp", "hvp", "jacobian", "hessian"}
    both |= {"gradcheck"}
    for name in both:
        here = keywords(getattr(portgrad_client.Net, name))
        assert here == keywords(getattr(portgrad.Net, name)), name


def test_the_readme_runs(
    app: AppClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "net.onnx").write_bytes(layers())
    monkeypatch.chdir(tmp_path)
    genuine = httpx.Client
    monkeypatch.setattr(client.httpx, "Client", lambda: genuine(transport=connection(app)))
    monkeypatch.setattr(client, "connections", lambda _: None)
    namespace: dict[str, object] = {}
    snippets = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert len(snippets) >= 5
    for snippet in snippets:
        exec(compile(snippet, str(README), "exec"), namespace)
    assert "unknown_port Did you mean 'Input'?" in capsys.readouterr().out
