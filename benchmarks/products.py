"""What derivatives cost beside one forward pass, and a stack of K seeds beside K calls and beside
K copies of the data in one batch, on an MLP and a small convolutional net.

    python benchmarks/products.py --stack 10 100
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console
from rich.table import Table

from portgrad.autodiff import gradient_graph, hvp_graph, jvp_graph
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load

Arrays = Mapping[str, np.ndarray]
Run = Callable[[Arrays], Sequence[np.ndarray]]


def net(name: str) -> tuple[ir.Model, np.ndarray]:
    """A net with an open batch size, and data for it."""
    layers, shape, count = NETS[name]
    rng, nodes, weights, x = np.random.default_rng(0), [], [], "x"
    for index, (op_type, size, attributes) in enumerate(layers):
        inputs, y = [x], f"v{index}"
        if size:
            scale = 1.0 / np.sqrt(np.prod(size[1:]) if len(size) > 2 else size[0])
            array = (rng.standard_normal(size) * scale).astype(np.float32)
            weights.append(numpy_helper.from_array(array, f"w{index}"))
            inputs.append(f"w{index}")
        nodes.append(helper.make_node(op_type, inputs, [y], **attributes))
        x = y
    nodes[-1].output[0] = "y"
    ports = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", *s])
        for n, s in (("x", shape), ("y", (10,)))
    ]
    graph = helper.make_graph(nodes, name, ports[:1], ports[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    data = rng.standard_normal((count, *shape)).astype(np.float32)
    return load(NetFiles(model.SerializeToString())), data


_CONV = {"pads": [1, 1, 1, 1]}
_POOL = {"kernel_shape": [2, 2], "strides": [2, 2]}
NETS = {
    "MLP": (
        [
            ("Gemm", (784, 512), {}),
            ("Relu", None, {}),
            ("Gemm", (512, 512), {}),
            ("Tanh", None, {}),
            ("Gemm", (512, 10), {}),
        ],
        (784,),
        32,
    ),
    "conv": (
        [
            ("Conv", (16, 3, 3, 3), _CONV),
            ("Relu", None, {}),
            ("MaxPool", None, _POOL),
            ("Conv", (32, 16, 3, 3), _CONV),
            ("Relu", None, {}),
            ("MaxPool", None, _POOL),
            ("Flatten", None, {}),
            ("Gemm", (2048, 10), {}),
        ],
        (3, 32, 32),
        8,
    ),
}


def session(model: ir.Model) -> Run:
    """A function from feeds to results, on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    made = ort.InferenceSession(ir.to_proto(model).SerializeToString(), options)
    return lambda feeds: made.run(None, feeds)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The least time of the processor, of some tries."""
    work()
    tries = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        tries.append(time.process_time() - start)
    return min(tries)


def orders(model: ir.Model, x: np.ndarray, repeats: int) -> dict[str, float]:
    """The time of each kind of derivative."""
    way = {"tangent/x": np.ones_like(x)}
    graphs = {
        "forward": (model, {}),
        "gradient": (gradient_graph(model, wrt=["x"], of=["y"], outputs=["y"]).model, {}),
        "jvp": (jvp_graph(model, tangents=["x"], of=["y"], outputs=["y"]).model, way),
        "hvp": (hvp_graph(model, wrt=["x"], tangents=["x"], of=["y"], outputs=["y"]).model, way),
    }
    found = {}
    for name, (graph, feeds) in graphs.items():
        run = session(graph)
        found[name] = seconds(lambda r=run, f=feeds: r({"x": x, **f}), repeats)
    return found


def stacks(model: ir.Model, x: np.ndarray, count: int, repeats: int) -> dict[str, float]:
    """The time of K gradients at the data, three ways."""
    settings = {"wrt": ["x"], "of": ["y"], "seeds": ["y"]}
    one = session(gradient_graph(model, **settings).model)
    many = session(gradient_graph(model, **settings, stacked=True).model)
    seeds = np.random.default_rng(1).standard_normal((count, len(x), 10)).astype(np.float32)
    copies = np.tile(x, (count, *[1] * (x.ndim - 1)))
    whole = seeds.reshape(-1, 10)
    ways = {
        "one stack": lambda: many({"x": x, "seed/y": seeds}),
        "K calls": lambda: [one({"x": x, "seed/y": seed}) for seed in seeds],
        "K copies": lambda: one({"x": copies, "seed/y": whole}),
    }
    return {name: seconds(work, repeats) for name, work in ways.items()}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--batch", type=int, help="examples, at most 32 and 8")
    given = parser.parse_args()
    table = Table("net", "what", "ms", "of a forward pass")
    for name in NETS:
        model, x = net(name)
        x = x[: given.batch]
        base = orders(model, x, given.repeats)
        timed = dict(base)
        for count in given.stack:
            found = stacks(model, x, count, max(3, given.repeats // count))
            timed |= {f"{count}: {way}": time for way, time in found.items()}
        for what, time_ in timed.items():
            table.add_row(name, what, f"{1e3 * time_:.2f}", f"{time_ / base['forward']:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
