"""onnx's own checks and passes at arm's length: what they raise becomes an InvalidNet.

They are C++ and raise many things, UnicodeDecodeError among them, so all is caught at this border.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import onnx

from portgrad.errors import InvalidNet

T = TypeVar("T")

_NODE = (
    re.compile(r"Bad node spec for node\. Name: (?P<name>.*?) OpType: (?P<op>\w+)"),
    re.compile(r"op_type:\s?(?P<op>\w+)(?:, node name: (?P<name>[^)]*))?\)"),
)
_VALUE = re.compile(r"(?:Nodes|Graph|Output|Input|Tensor)\b[^'\n]*'(?P<name>[^'\n]+)'")
# Where onnx was built is nobody's business: "/some/path/checker.cc:123: ".
_SOURCE_LINE = re.compile(r"(?:[\w.:\\-]*[/\\])+[\w.-]+\.(?:cc|h|cpp)(?::\d+)?:?\s*")
_LONGEST = 400


def guarded(run: Callable[[], T], *, code: str, what: str, remedy: str) -> T:
    """The result of a pass over a net; whatever it raises, as InvalidNet with this code."""
    try:
        return run()
    except Exception as error:
        text = tidy(str(error))
        raise InvalidNet(
            what, code=code, where=blamed(text), found=text or None, remedy=remedy
        ) from None


def check(model: onnx.ModelProto) -> None:
    """onnx's checker on a whole model.

    Raises:
        InvalidNet: `invalid_net`, naming node or value where the checker does.
    """
    ports = [*model.graph.input, *model.graph.output]
    shapeless = [port.type.tensor_type for port in ports if _is_shapeless(port)]
    # The checker wants a rank for every port. Runtimes do not, so it sees one for the moment.
    for tensor in shapeless:
        tensor.shape.SetInParent()
    guarded(
        lambda: onnx.checker.check_model(model),
        code="invalid_net",
        what="The net breaks a rule of the ONNX format.",
        remedy="Export the net again; `onnx.checker.check_model` repeats this check.",
    )
    for tensor in shapeless:
        tensor.ClearField("shape")


def _is_shapeless(port: onnx.ValueInfoProto) -> bool:
    return port.type.HasField("tensor_type") and not port.type.tensor_type.HasField("shape")


def blamed(text: str) -> str | None:
    """The node or value that a message of onnx's is about."""
    for pattern in _NODE:
        if found := pattern.search(text):
            return f"node `{found['name'] or found['op']}` ({found['op']})"
    found = _VALUE.search(text)
    return f"`{found['name']}`" if found else None


def tidy(text: str) -> str:
    """A message of onnx's on one line of bearable length, without source paths."""
    line = " ".join(_SOURCE_LINE.sub("", text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
