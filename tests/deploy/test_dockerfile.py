"""The Dockerfile, read line by line where no engine builds it; its health check really runs."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

from portgrad.settings import Settings
from support.balanced import ROOT, replicas, wait_until


class Instruction(NamedTuple):
    """One instruction; `stage` counts the FROMs before it."""

    stage: int
    keyword: str
    rest: str


def instructions() -> list[Instruction]:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    found: list[Instruction] = []
    stage = 0
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            keyword, rest = line.split(maxsplit=1)
            stage += keyword == "FROM"
            found.append(Instruction(stage, keyword, " ".join(rest.split())))
    return found


ALL = instructions()
SERVED = [each for each in ALL if each.stage == ALL[-1].stage]


def served(keyword: str) -> list[str]:
    """What the instructions of the last stage, which is the image, say."""
    return [each.rest for each in SERVED if each.keyword == keyword]


def health_check() -> list[str]:
    (check,) = served("HEALTHCHECK")
    return json.loads(check.partition("CMD ")[2])


def test_every_stage_stands_on_one_pinned_base() -> None:
    (base,) = (each.rest for each in ALL if each.keyword == "ARG")
    version = re.fullmatch(r"PYTHON=docker\.io/library/python:(3\.\d+)-slim-bookworm", base)
    assert version
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert classifiers["requires-python"] == ">=3.11,<3.14"
    assert version[1] in {"3.11", "3.12", "3.13"}
    bases = [each.rest for each in ALL if each.keyword == "FROM"]
    assert bases == ["${PYTHON} AS dependencies", "dependencies AS code", "${PYTHON}"]


def test_it_runs_as_nobody_in_particular() -> None:
    # A number, so that an orchestrator can see that it is not root.
    assert served("USER") == ["10001:10001"]
    after = SERVED[[each.keyword for each in SERVED].index("USER") :]
    assert {each.keyword for each in after} <= {"USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "CMD"}


def test_it_serves_on_every_address_of_the_container() -> None:
    (command,) = served("CMD")  # as a list, so that the signal to stop reaches the service
    assert json.loads(command) == ["portgrad", "serve", "--host", "0.0.0.0"]
    assert served("EXPOSE") == ["8000"]
    assert served("VOLUME") == ["/data"]
    (variables,) = served("ENV")
    assert "PORTGRAD_PORT=8000" in variables
    assert "PORTGRAD_DATA=/data" in variables


def test_its_variables_are_settings_and_no_secrets() -> None:
    named = [
        name
        for each in ALL
        if each.keyword in {"ENV", "ARG"}
        for name in re.findall(r"(\w+)=", each.rest)
    ]
    settings = {name.removeprefix("PORTGRAD_").lower() for name in named if "PORTGRAD" in name}
    assert settings <= set(Settings.model_fields)
    assert not [name for name in named if re.search("TOKEN|PASSWORD|SECRET|CREDENTIAL|_KEY", name)]


@pytest.mark.parametrize(
    "source",
    [
        source
        for each in ALL
        if each.keyword == "COPY" and "--from" not in each.rest
        for source in each.rest.split()[:-1]
    ],
)
def test_what_it_copies_is_there_and_sent_to_the_engine(source: str) -> None:
    assert (ROOT / source).exists()
    wanted = [line[1:] for line in ignore_lines() if line.startswith("!")]
    assert source in wanted
    assert source != "."


@pytest.mark.parametrize("path", [".git", ".venv", "data", "deploy", "shared", "nets"])
def test_nothing_else_is_sent_to_the_engine(path: str) -> None:
    verdict = None
    for line in ignore_lines():
        if fnmatch(path, line.lstrip("!")):
            verdict = line
    assert verdict == "*"


def ignore_lines() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_nothing_comes_from_elsewhere_than_the_package_index() -> None:
    assert not [each for each in ALL if each.keyword == "ADD"]
    runs = " ".join(each.rest for each in ALL if each.keyword == "RUN")
    assert not re.search(r"\b(curl|wget|sudo|apt-get)\b", runs)


def test_the_health_check_tells_a_ready_replica_from_none(tmp_path: Path) -> None:
    interpreter, *arguments = health_check()
    assert interpreter == "python"

    def status(port: int) -> int:
        env = {**os.environ, "PORTGRAD_PORT": str(port)}
        command = [sys.executable, *arguments]
        return subprocess.run(command, env=env, capture_output=True, check=False).returncode

    with replicas(tmp_path, ["replica-1"]) as running:
        assert status(running["replica-1"].port) == 0
        (tmp_path / "data" / "nets").rename(tmp_path / "gone")
        # The disk is looked at once a second at most.
        wait_until(lambda: status(running["replica-1"].port) == 1, "the replica is not ready")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        refused = silent.getsockname()[1]
    assert status(refused) == 1
