"""Gradients of ONNX nets from a Portgrad service."""

from portgrad_client.checks import Report
from portgrad_client.client import Client
from portgrad_client.description import Parameter, Port
from portgrad_client.errors import (
    BadRequestError,
    ConflictError,
    ConnectionFailedError,
    DeadlineExceededError,
    DtypeUnavailableError,
    ForbiddenError,
    InvalidAnswerError,
    InvalidNetError,
    InvalidRequestError,
    NotBuiltError,
    NotFoundError,
    PortgradError,
    RateLimitedError,
    RunFailedError,
    ServerError,
    TimedOutError,
    TooLargeError,
    UnauthenticatedError,
    UnprocessableError,
    UnsupportedOperatorError,
)
from portgrad_client.net import Net
from portgrad_client.notation import All, NetPortGradient
from portgrad_client.results import Gradients, Hessian, Jacobian, Outputs, Products, Tangents

__all__ = [
    "All",
    "BadRequestError",
    "Client",
    "ConflictError",
    "ConnectionFailedError",
    "DeadlineExceededError",
    "DtypeUnavailableError",
    "ForbiddenError",
    "Gradients",
    "Hessian",
    "InvalidAnswerError",
    "InvalidNetError",
    "InvalidRequestError",
    "Jacobian",
    "Net",
    "NetPortGradient",
    "NotBuiltError",
    "NotFoundError",
    "Outputs",
    "Parameter",
    "Port",
    "PortgradError",
    "Products",
    "RateLimitedError",
    "Report",
    "RunFailedError",
    "ServerError",
    "Tangents",
    "TimedOutError",
    "TooLargeError",
    "UnauthenticatedError",
    "UnprocessableError",
    "UnsupportedOperatorError",
]
