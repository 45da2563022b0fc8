"""What is cast to a port's dtype, what is refused before it is sent, and with which code."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from portgrad_client import InvalidRequestError, Port
from portgrad_client.casting import cast, cast_data


def port(dtype: str = "float32", shape: Any = None, name: str = "x") -> Port:
    return Port(name, dtype, shape)


def array(values: Any, dtype: Any) -> np.ndarray:
    return np.array(values, dtype)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([1, 2], "float32"),
        ([1.5, 2.0], "float32"),
        ((1.5, 2), "float64"),
        (1.5, "float32"),
        (np.float64(1.5), "float16"),
        ([[]], "int64"),
        ([[]], "bool"),
        ([1, -2], "int8"),
        ([1.5], "bfloat16"),
        ([1.5], "float8_e5m2"),
        (array([1.5], np.float64), "float32"),
        (array([1.5], np.float64), "bfloat16"),
        (array([1.5], np.float32), "float64"),
        (array([1.5], np.float16), "float32"),
        (array([1.5], ml_dtypes.bfloat16), "float32"),
        (array([1.5], ">f8"), "float32"),
        (array([255], np.uint8), "float32"),
        (array([7], np.int64), "int32"),
        (array([7], np.uint8), "int64"),
        ([True, False], "bool"),
        ([1.5], "complex64"),
        ([1j], "complex128"),
        ([np.nan, np.inf], "float16"),
    ],
)
def test_cast(value: Any, dtype: str) -> None:
    found = cast(value, port(dtype))
    assert found.dtype.name == dtype
    assert found.shape == np.shape(value)
    np.testing.assert_array_equal(found.astype(complex), np.asarray(value).astype(complex))


def test_an_array_of_the_ports_dtype_is_not_copied() -> None:
    value = np.ones(3, np.float32)
    assert cast(value, port()) is value


@pytest.mark.parametrize(
    ("value", "dtype", "code"),
    [
        (array([1.5], np.float32), "float16", "wrong_dtype"),
        (array([1.5], np.float32), "bfloat16", "wrong_dtype"),
        (array([1.5], np.float16), "bfloat16", "wrong_dtype"),
        (array([1.0], np.float64), "int64", "wrong_dtype"),
        ([1.0], "int64", "wrong_dtype"),
        ([True], "float32", "wrong_dtype"),
        ([True], "int64", "wrong_dtype"),
        ([1], "bool", "wrong_dtype"),
        ([1j], "float32", "wrong_dtype"),
        (["1.5"], "float32", "wrong_dtype"),
        ([1], "string", "wrong_dtype"),
        (np.empty((1, 0)), "int64", "wrong_dtype"),
        (array([1j], np.complex128), "complex64", "wrong_dtype"),
        ([300], "int8", "out_of_range"),
        ([-1], "uint8", "out_of_range"),
        (array([2**40], np.int64), "int32", "out_of_range"),
        ([1e39], "float32", "out_of_range"),
        (array([70000], np.int64), "float16", "out_of_range"),
        ([[1], [1, 2]], "float32", "ragged_array"),
        ([None], "float32", "ragged_array"),
        ({"a": 1}, "float32", "ragged_array"),
        ([10**30], "float32", "ragged_array"),
        (array(["2020-01-01"], "M8[D]"), "float32", "ragged_array"),
    ],
)
def test_refused(value: Any, dtype: str, code: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        cast(value, port(dtype))
    assert caught.value.code == code
    assert caught.value.where == "x"
    assert caught.value.status is None


@pytest.mark.parametrize(
    ("value", "dtype", "sent"),
    [
        ([["a", "b"]], "string", [["a", "b"]]),
        (array(["a"], object), "string", ["a"]),
        (array("a", str), "string", "a"),
        ([7, -8], "int4", [7, -8]),
        ([[1.5], "anything"], "sequence(float32)", [[1.5], "anything"]),
    ],
)
def test_what_has_no_bytes_on_the_wire_stays_lists(value: Any, dtype: str, sent: Any) -> None:
    assert cast(value, port(dtype)) == sent


@pytest.mark.parametrize(
    ("declared", "sent"),
    [
        (("N", 3), (5, 3)),
        (("N", 3), (0, 3)),
        (("N", 3), (3,)),
        ((None, 3), (3,)),
        ((1, 3), (1, 3)),
        ((1, 3), (3,)),
        ((1, 3), (7, 3)),
        ((2, 3), (2, 3)),
        ((), ()),
        ((1,), ()),
        (None, (4, 4)),
    ],
)
def test_shapes_that_some_reading_fits(declared: Any, sent: tuple[int, ...]) -> None:
    value = np.zeros(sent, np.float32)
    assert cast_data(value, [port(shape=declared)])["x"].shape == sent


@pytest.mark.parametrize(
    ("declared", "sent"),
    [
        (("N", 3), (5, 4)),
        (("N", 3), (4,)),
        (("N", 3), (2, 5, 3)),
        ((2, 3), (3,)),
        ((2, 3), (4, 3)),
        ((1, 3), (2, 4)),
        ((), (1,)),
        (("N",), (2, 2)),
    ],
)
def test_shapes_that_no_reading_fits(declared: Any, sent: tuple[int, ...]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        cast_data(np.zeros(sent, np.float32), [port(shape=declared)])
    assert caught.value.code == "wrong_shape"
    assert caught.value.found == str(sent)


PAIR = [port(name="left"), port(name="right")]


@pytest.mark.parametrize(
    ("data", "ports", "code", "where", "remedy"),
    [
        ([1.0], PAIR, "missing_port", "left", None),
        ({"left": 1.0}, PAIR, "missing_port", "right", None),
        ({}, PAIR, "missing_port", "left", None),
        ([1.0], [], "missing_port", None, None),
        (
            {"left": 1.0, "rigth": 1.0},
            PAIR,
            "unknown_port",
            "rigth",
            "Did you mean 'right'?",
        ),
        ({"zzz": 1.0}, PAIR, "unknown_port", "zzz", "net.inputs lists the ports."),
    ],
)
def test_names_of_ports(
    data: Any, ports: list[Port], code: str, where: str | None, remedy: str | None
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        cast_data(data, ports)
    assert (caught.value.code, caught.value.where) == (code, where)
    assert remedy is None or caught.value.remedy == remedy


def test_an_optional_port_may_be_left_out() -> None:
    ports = [port(name="left"), port("optional(float32)", name="right")]
    assert list(cast_data({"left": 1.0}, ports)) == ["left"]
