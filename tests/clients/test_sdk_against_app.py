"""The SDK against the application itself, in process: nets, calls, formats, errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import ml_dtypes
import numpy as np
import pytest

import portgrad_client as sdk
from portgrad.api.app import create_app
from portgrad.settings import Settings
from portgrad.store import LocalStore
from portgrad_client import Client, Net
from support.engine import net_bytes
from support.fake_compute import FakeCompute, fake_net
from support.http import serving
from support.sdk import ADDRESS, Scripted, description, layers, pool

X = np.array([[1.0, 1.0], [-1.0, 2.0]])


def test_a_net_tells_its_ports_and_parameters(net: Net) -> None:
    assert net.names == ("layers",)
    assert net.inputs == (sdk.Port("Input", "float32", ("N", 2)),)
    assert net.outputs == (sdk.Port("Output", "float32", ("N", 1)),)
    assert [(p.name, p.shape, p.buffer) for p in net.parameters] == [
        ("layer1.weight", (3, 2), False),
        ("layer1.bias", (3,), False),
        ("layer2.weight", (1, 3), False),
    ]
    assert net.parameters[0].paths == (("hidden", "B"),)
    assert net.describe()["id"] == net.id
    assert repr(net) == "<Net layers>"


def test_names_and_ids_find_the_same_net(client: Client, net: Net) -> None:
    assert client.net("layers").id == client.net(net.id).id == net.id
    assert client.upload(layers()).id == net.id


def test_a_name_is_removed_and_the_net_stays(client: Client, net: Net) -> None:
    client.delete("layers")
    assert client.net(net.id).names == ()
    with pytest.raises(sdk.NotFoundError):
        client.net("layers")


def test_a_net_is_shared_and_no_longer(client: Client, net: Net) -> None:
    assert not net.shared
    net.share()
    assert net.shared
    assert client.net("layers").shared
    assert [found.shared for found in client.nets() if found.id == net.id] == [True]
    net.unshare()
    assert not net.shared
    assert not client.net("layers").shared
    assert client.upload(layers(), shared=True).shared


def test_a_net_is_batchable_and_no_longer(client: Client, net: Net) -> None:
    assert not net.batchable
    assert client.upload(layers(), batchable=True).batchable
    assert [found.batchable for found in client.nets()] == [True]
    assert client.upload(layers()).batchable
    assert not client.upload(layers(), batchable=False).batchable
    meeting = "(float[n,3] x) => (float[n,3] y) { y = Softmax<axis=0>(x) }"
    with pytest.raises(sdk.InvalidRequestError) as caught:
        client.upload(net_bytes(meeting), batchable=True)
    assert (caught.value.code, caught.value.where) == ("not_batchable", "y")


def test_a_deleted_net_is_gone(client: Client, net: Net) -> None:
    net.delete()
    with pytest.raises(sdk.NotFoundError):
        net.evaluate(X)


def test_outputs_and_gradients_in_one_call(net: Net) -> None:
    outputs, found = net.value_and_gradient(X, wrt="all")
    assert outputs["Output"].tolist() == [[13.0], [7.0]]
    assert found.targets == ("Input", "layer1.weight", "layer1.bias", "layer2.weight")
    assert found["Input"].tolist() == [[8.0, 10.0], [8.0, 10.0]]
    assert found["layer2.weight"].tolist() == [[4.0, 8.0, 12.0]]
    assert {"decode", "queue", "compile", "run", "encode", "total"} == set(found.timings)
    assert found.request_id == outputs.request_id is not None


def test_one_example_loses_its_leading_axis(net: Net) -> None:
    outputs, found = net.value_and_gradient(X[0])
    assert outputs["Output"].tolist() == [13.0]
    assert found["Input"].tolist() == [8.0, 10.0]


def test_seeds_at_an_inner_value(net: Net) -> None:
    found = net.gradient(X, wrt=["Input", "hidden"], output_gradients={"active": 1.0})
    assert found["hidden"].tolist() == [[1.0] * 3] * 2
    assert found["Input"].tolist() == [[9.0, 12.0]] * 2


def test_long_options_come_to_the_same(net: Net) -> None:
    many = net.gradient(X, wrt=["Input", "layer1.bias"] * 200)
    assert len(many.targets) == 400
    assert list(many) == ["Input", "layer1.bias"]
    assert (
        many["layer1.bias"].tolist() == net.gradient(X, wrt="layer1.bias")["layer1.bias"].tolist()
    )


@pytest.mark.parametrize(
    ("options", "kind", "code"),
    [
        ({"wrt": "Inptu"}, sdk.UnprocessableError, "unknown_name"),
        ({"wrt": []}, sdk.UnprocessableError, "empty_targets"),
        ({"batch": "sideways"}, sdk.UnprocessableError, "invalid_field"),
        ({"quantized": "never"}, sdk.UnprocessableError, "invalid_field"),
        ({"output_gradients": {"Output": [1.0, 2.0, 3.0]}}, sdk.UnprocessableError, None),
    ],
)
def test_refused_by_the_service(
    net: Net, options: dict[str, object], kind: type[sdk.PortgradError], code: str | None
) -> None:
    with pytest.raises(kind) as caught:
        net.gradient(X, **options)  # type: ignore[arg-type]
    assert caught.value.status == 422
    assert code is None or caught.value.code == code
    assert caught.value.request_id


def test_a_name_that_is_taken(client: Client, net: Net) -> None:
    other = layers().replace(b"Output", b"Result")
    with pytest.raises(sdk.ConflictError) as caught:
        client.upload(other, name="layers")
    assert caught.value.code == "name_taken"
    moved = client.upload(other, name="layers", replace=True)
    assert client.net("layers").id == moved.id != net.id


def test_what_is_no_net(client: Client) -> None:
    with pytest.raises(sdk.InvalidNetError):
        client.upload(b"not a protobuf")


def test_an_upload_that_is_too_large(client: Client) -> None:
    with pytest.raises(sdk.TooLargeError):
        client.upload(bytes(2_000_000))


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Client]:
    """The application over a compute whose gradients are the data it was sent."""
    store = LocalStore(tmp_path / "echo")
    with serving(create_app(store, FakeCompute(), Settings())) as app:
        yield Client(ADDRESS, http_client=pool(app))


def test_a_net_out_of_the_list_is_described_when_it_is_asked(echo: Client) -> None:
    uploaded = {echo.upload(fake_net(note=str(i))).id for i in range(3)}
    listed = list(echo.nets())
    assert [net.id for net in listed] == sorted(uploaded)
    assert [p.name for p in listed[0].parameters] == ["layer1.weight"]


def test_nets_are_fetched_a_page_at_a_time() -> None:
    pages = [
        httpx.Response(200, json={"nets": [description()] * count, "next": following})
        for count, following in ((2, "a/b"), (0, "c"), (1, None))
    ]
    service = Scripted(*pages)
    assert len(list(service.client().nets())) == 3
    assert [request.url.query.decode() for request in service.requests] == [
        "", "after=a%2Fb", "after=c"
    ]  # fmt: skip


DTYPES = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
    *("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu"),
]


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_survives_the_round_trip(echo: Client, name: str) -> None:
    dtype = np.dtype(getattr(ml_dtypes, name, name))
    raw = np.random.default_rng(5).integers(0, 256, 6 * 16, np.uint8)
    full = (raw & 1 if name == "bool" else raw).view(dtype)[:6]
    net = echo.upload(fake_net(dtype=name))
    for sent in (full, full[:0], full[::2], full[::-1]):
        outputs, found = net.value_and_gradient(sent)
        for array in (outputs["output"], found["input"]):
            assert array.dtype == dtype
            assert array.shape == sent.shape
            assert array.tobytes() == sent.tobytes()


def test_strings_survive_the_round_trip(echo: Client) -> None:
    net = echo.upload(fake_net(dtype="string"))
    assert net.evaluate(["a", "ü", "NaN"])["output"].tolist() == ["a", "ü", "NaN"]
