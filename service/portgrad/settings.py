"""Every setting of the service, read from `PORTGRAD_*` variables here and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024


class Settings(BaseSettings):
    """The service's settings. `PORTGRAD_DATA=/srv/nets` sets `data`, and so on."""

    model_config = SettingsConfigDict(env_prefix="PORTGRAD_", extra="forbid", frozen=True)

    data: Path = Field(Path("data"), description="Folder that holds the nets.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on.")
    threads: int | None = Field(
        None, ge=1, description="Threads that run nets; all cores where it is not set."
    )
    deadline: float = Field(60.0, gt=0, description="Seconds that one call may take.")
    max_body_bytes: int = Field(
        256 * MIB, ge=1, description="Largest body of a call, and largest npz once inflated."
    )
    max_upload_bytes: int = Field(
        4096 * MIB, ge=1, description="Largest upload: a model with its external data."
    )
    max_answer_bytes: int = Field(
        1024 * MIB, ge=1, description="Largest answer of a call that asks for many derivatives."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged."
    )
