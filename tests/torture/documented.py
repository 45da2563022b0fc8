"""Schemathesis over the OpenAPI document of a service: as it is, and as it is of one net.

The document says what any net takes, and few calls that are made of it fit one. So it is read
twice: whole, where names and arrays are anything, and with the ports of one net in the place of
those of any, where many calls are computed.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NET = "chain"  # of the samples: five numbers in, two out
CALLS = (
    r"/nets/\{net\}/(evaluate|gradient|jvp|hvp|jacobian|hessian|gradcheck|gradient\.onnx|model)$"
)
# A request may ask for a deadline that nothing meets.
EXPECTED = """[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 504]
"""
# A call that the document allows may still not fit its net, and nobody proves here who they are.
LEFT_OUT = (
    "positive_data_acceptance",
    "ignored_auth",
    "object_level_authorization",
    "use_after_free",
    "ensure_resource_availability",
)


@dataclass(frozen=True)
class Found:
    """What one run found."""

    requests: int
    accepted: int
    failures: tuple[str, ...]
    output: str


def of_net(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the ports, parameters and values of the net in it."""
    changed = copy.deepcopy(document)
    number = {"type": "number", "minimum": -1e6, "maximum": 1e6}
    vectors = {n: {"type": "array", "items": number, "minItems": n, "maxItems": n} for n in (2, 5)}
    inputs = _named({"Input": {"oneOf": [vectors[5], {"type": "array", "items": vectors[5]}]}})
    outputs = _named({"Output": vectors[2]})
    names = {"enum": ["Input", "layer1.weight", "layer3.bias", ["layer1", "B"], "Output"]}
    narrowed = {
        "data": inputs,
        "tangents": inputs,
        "output_gradients": {"oneOf": [outputs, {"type": "object", "maxProperties": 0}]},
        "wrt": {"oneOf": [{"enum": ["inputs", "all"]}, {"type": "array", "items": names}]},
        "of": {"enum": ["Output", None]},
        "parameters": _named({"layer3.bias": vectors[2]}),
        "directions": {"type": "integer", "minimum": 1, "maximum": 3},
    }
    for name, schema in changed["components"]["schemas"].items():
        if name.endswith("Request"):
            fields = schema["properties"]
            fields.update({field: narrowed[field] for field in fields.keys() & narrowed.keys()})
    return changed


def _named(ports: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": ports,
        "required": list(ports),
        "additionalProperties": False,
    }


def explore(
    url: str, document: dict[str, Any], folder: Path, examples: int, seed: int, *, net: bool
) -> Found:
    """Requests made from a document, up to so many for each of its operations in each phase.

    Args:
        url: the service.
        document: what it says of itself.
        folder: where files go.
        examples: how many requests are drawn for each operation.
        seed: what they depend on.
        net: whether each is about the net.
    """
    name = "net" if net else "any"
    files = {kind: folder / f"{name}.{kind}" for kind in ("json", "toml")}
    report = folder / f"{name}-report.json"
    files["json"].write_text(json.dumps(of_net(document) if net else document))
    files["toml"].write_text(EXPECTED + (f'[parameters]\n"path.net" = "{NET}"\n' if net else ""))
    narrowed = ["--phases", "fuzzing", "--include-path-regex", CALLS] if net else []
    # What the document of one net forbids, the service may allow.
    left_out = (*LEFT_OUT, "negative_data_rejection") if net else LEFT_OUT
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(files["toml"]), "run",
        str(files["json"]), "--url", url, "--seed", str(seed), "-n", str(examples), *narrowed,
        "--checks", "all", "--exclude-checks", ",".join(left_out), "--continue-on-failure",
        "--no-shrink", "--request-timeout", "30", "--suppress-health-check", "all",
        "--report", "json", "--report-json-path", str(report),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if not report.exists():
        raise RuntimeError((done.stdout + done.stderr)[-2000:])
    return _found(json.loads(report.read_text()), done.stdout)


def _found(report: dict[str, Any], output: str) -> Found:
    failures: Sequence[dict[str, Any]] = [*report["failures"], *report["errors"]]
    rates = [rate for phases in report["valid_rates"].values() for rate in phases.values()]
    told = tuple(f"{one.get('title')} ({', '.join(one.get('operations', []))})" for one in failures)
    complete = () if report["complete"] else (f"ended early: {report['stop_reason']}",)
    accepted = sum(rate.get("accepted", 0) for rate in rates)
    return Found(report["test_cases"]["generated"], accepted, told + complete, output)
