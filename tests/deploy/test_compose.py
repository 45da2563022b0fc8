"""What deploy/compose.yaml promises: two replicas of one image on one volume, behind HAProxy."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml

from portgrad.cli.server import GRACE
from portgrad.settings import Settings
from support.balanced import CONFIG, REPLICAS, ROOT

FILE = ROOT / "deploy" / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
each_service = pytest.mark.parametrize("name", SERVICES)


def test_the_replicas_differ_in_nothing_and_share_the_volume() -> None:
    first, second = (SERVICES[name] for name in REPLICAS)
    assert first == second
    assert first["volumes"] == ["nets:/data"]
    assert COMPOSE["volumes"] == {"nets": None}
    assert set(SERVICES) == {*REPLICAS, "balancer"}


def test_only_the_balancer_is_reached_and_only_from_this_machine() -> None:
    published = {name: service.get("ports") for name, service in SERVICES.items()}
    assert published == {
        "balancer": ["127.0.0.1:8000:8000"],
        **dict.fromkeys(REPLICAS),
    }


def test_they_are_open_because_only_this_machine_reaches_them() -> None:
    """Replicas listen on every address of their container, which needs a word."""
    for name in REPLICAS:
        assert SERVICES[name]["environment"]["PORTGRAD_OPEN"] == "true"
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["balancer"]["ports"])


def test_the_balancer_waits_for_replicas_that_its_configuration_names() -> None:
    waits = SERVICES["balancer"]["depends_on"]
    assert waits == {name: {"condition": "service_healthy"} for name in REPLICAS}
    defaults = dict(re.findall(r"presetenv (\S+) (\S+)", CONFIG.read_text()))
    assert [defaults["REPLICA_1"], defaults["REPLICA_2"]] == [f"{name}:8000" for name in REPLICAS]
    assert defaults["BIND"] == ":8000"


@each_service
def test_every_image_is_pinned(name: str) -> None:
    assert re.fullmatch(r"[\w./-]+:\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?", SERVICES[name]["image"])


@each_service
def test_no_service_can_do_more_than_it_must(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert {"mem_limit", "pids_limit"} <= set(service)
    forbidden = {"privileged", "cap_add", "network_mode", "pid", "ipc", "user", "devices"}
    assert not forbidden & set(service)
    assert "docker.sock" not in FILE.read_text()


@each_service
def test_every_service_has_a_health_check(name: str) -> None:
    # That of the replicas is in their image: see test_dockerfile.py.
    assert "healthcheck" in SERVICES[name] or SERVICES[name]["build"] == {"context": ".."}


@each_service
def test_every_file_that_it_mounts_is_there_and_read_only(name: str) -> None:
    for volume in SERVICES[name]["volumes"]:
        source, target, *options = volume.split(":")
        assert PurePosixPath(target).is_absolute()
        if source not in COMPOSE["volumes"]:
            assert (FILE.parent / source).is_file()
            assert options == ["ro"]


@pytest.mark.parametrize("name", REPLICAS)
def test_its_variables_are_settings(name: str) -> None:
    variables = SERVICES[name]["environment"]
    assert {f"PORTGRAD_{field.upper()}" for field in Settings.model_fields} >= set(variables)


def test_replicas_are_given_time_to_answer_before_they_are_ended() -> None:
    deadline, text = Settings.model_fields["deadline"].default, CONFIG.read_text()
    for name in REPLICAS:
        drain = float(SERVICES[name]["environment"]["PORTGRAD_DRAIN_SECONDS"])
        grace = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
        assert grace > drain + deadline + GRACE
        # As long as the balancer may take to see that a replica is not ready.
        inter, fast, fall = re.findall(r"inter (\d+)s fastinter (\d+)ms fall (\d+)", text)[0]
        assert drain > int(inter) + int(fall) * int(fast) / 1000
    timeouts = dict(re.findall(r"timeout (client|server) +(\d+)s", CONFIG.read_text()))
    assert {side for side, seconds in timeouts.items() if int(seconds) > deadline} == {
        "client",
        "server",
    }
