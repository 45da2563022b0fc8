"""Every setting of the service, read from `PORTGRAD_*` variables here and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from portgrad.errors import PortgradError

MIB = 1024 * 1024


class Settings(BaseSettings):
    """The service's settings. `PORTGRAD_DATA=/srv/nets` sets `data`, and so on."""

    model_config = SettingsConfigDict(env_prefix="PORTGRAD_", extra="forbid", frozen=True)

    data: Path = Field(Path("data"), description="Folder that holds the nets.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on.")

    # Computing
    workers: int | None = Field(
        None, ge=1, description="Processes that run nets; one per core where it is not set."
    )
    spare_workers: int = Field(
        2, ge=0, description="More of them, started while calls wait behind long ones."
    )
    threads: int | None = Field(
        None, ge=1, description="Threads of each run; one per core where it is not set."
    )
    worker_memory_bytes: int | None = Field(
        None, ge=64 * MIB, description="Memory that the nets and calls of one worker may take."
    )
    deadline: float = Field(60.0, gt=0, description="Seconds that one call may take.")
    compile_seconds: float = Field(
        120.0, gt=0, description="Seconds that opening a net and compiling a graph may take."
    )
    max_queued: int = Field(256, ge=0, description="Calls that may wait for a worker.")
    max_batch: int = Field(
        64, ge=1, description="Most examples of calls on a batchable net that are run as one."
    )
    quarantine_after: int = Field(
        3, ge=1, description="Workers that a net may crash before it is quarantined."
    )
    quarantine_seconds: float = Field(3600.0, gt=0, description="How long a quarantine lasts.")

    # What a request may be
    max_body_bytes: int = Field(
        256 * MIB, ge=1, description="Largest body of a call, and largest npz once inflated."
    )
    max_json_bytes: int = Field(32 * MIB, ge=1, description="Largest JSON body.")
    max_json_depth: int = Field(80, ge=8, description="Deepest nesting of a JSON body.")
    max_arrays: int = Field(4096, ge=1, description="Most arrays of one call.")
    max_elements: int = Field(2**28, ge=1, description="Most elements of one call's arrays.")
    max_upload_bytes: int = Field(
        4096 * MIB, ge=1, description="Largest upload: a model with its external data."
    )
    max_answer_bytes: int = Field(1024 * MIB, ge=1, description="Largest answer of a call.")
    max_nodes: int = Field(
        100_000, ge=1, description="Most nodes of a net, with functions written out."
    )
    max_subgraph_depth: int = Field(16, ge=1, description="Deepest nesting of If, Loop and Scan.")

    # What all requests together may be
    max_requests: int = Field(1024, ge=1, description="Requests that are answered at once.")
    max_held_bytes: int = Field(
        1024 * MIB, ge=1, description="Bytes of calls and answers that are held at once."
    )
    max_connections: int = Field(4096, ge=1, description="Connections that may be open.")
    header_seconds: float = Field(10.0, gt=0, description="Seconds to send a request's headers.")
    body_seconds: float = Field(30.0, gt=0, description="Seconds that a body may keep us waiting.")
    body_bytes_per_second: int = Field(
        16 * 1024, ge=1, description="How fast a body must come but for those seconds."
    )

    # Who may do what
    auth: Literal["none", "required"] = Field(
        "none", description="Whether callers must prove who they are."
    )
    open: bool = Field(
        False, description="Serve beyond this machine though nobody has to prove who they are."
    )
    jwt_issuer: str | None = Field(None, description="Issuer whose bearer tokens are taken.")
    jwt_audience: str | None = Field(None, description="Audience that tokens must be for.")
    jwt_jwks_url: str | None = Field(
        None, description="Where the issuer's keys are; found by OpenID discovery if not set."
    )
    jwt_owner_claim: str = Field("sub", description="Claim that tells whose nets these are.")
    jwt_scope_claim: str = Field("scope", description="Claim that lists scopes.")
    requests_per_minute: int | None = Field(
        None, ge=1, description="Requests of one caller in a minute, unless its key says otherwise."
    )
    max_concurrent: int | None = Field(
        None, ge=1, description="Requests of one caller at once, unless its key says otherwise."
    )
    max_nets_per_owner: int = Field(10_000, ge=1, description="Most nets of one owner.")
    max_bytes_per_owner: int = Field(
        256 * 1024 * MIB, ge=1, description="Most bytes of nets of one owner."
    )

    # What operators see
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged."
    )
    log_format: Literal["text", "json"] = Field("text", description="How log lines look.")
    metrics_nets: int = Field(50, ge=0, description="Nets that have metrics of their own.")
    otlp_endpoint: str | None = Field(None, description="Where OpenTelemetry traces go.")
    drain_seconds: float = Field(
        0.0, ge=0, description="Seconds to go on listening, not ready, once asked to stop."
    )


def read(**given: Any) -> Settings:
    """The settings, of which some are given.

    Raises:
        PortgradError: `invalid_settings`, for the first that cannot be what it is.
    """
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = "_".join(str(part) for part in first["loc"]).lower()
        about = Settings.model_fields.get(name)
        raise PortgradError(
            "A setting cannot have this value.",
            code="invalid_settings",
            where=f"PORTGRAD_{name.upper()}",
            expected=first["msg"].removeprefix("Input should be "),
            found=str(first["input"])[:80],
            remedy=about.description if about else "There is no such setting: leave it out.",
        ) from error
