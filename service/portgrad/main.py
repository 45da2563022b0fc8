"""Where everything meets: the command line's entry, and the application for other servers."""

from __future__ import annotations

import sys

from fastapi import FastAPI
from rich.console import Console

from portgrad.cli import app as command_line
from portgrad.cli import tables
from portgrad.cli.serve import service
from portgrad.errors import PortgradError
from portgrad.settings import read
from portgrad_client import PortgradError as ServiceError


def main() -> None:
    """Run the command line; errors are sentences on stderr and exit code 1."""
    try:
        command_line()
    except (PortgradError, ServiceError) as error:
        tables.problem(Console(stderr=True, highlight=False), error)
        sys.exit(1)


def create_app() -> FastAPI:
    """The application, settings from the environment, for `uvicorn --factory`."""
    return service(read())
