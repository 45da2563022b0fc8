"""What is checked of each pipeline of scikit-learn: its gradients are scikit-learn's own slopes.

The slopes lie beside the nets: see `sklearn_nets`, which needs scikit-learn; this file does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

import portgrad
from portgrad.engine.results import Gradients
from support.double import Arrays
from support.exporters.sample import Sample, read

FOLDER = Path(__file__).parents[1] / "data" / "sklearn"
# float32: weights of a few hundred and a sum of 50 support vectors; measured worst 3e-5. In
# float64 scikit-learn's slopes are differences of the fourth order; measured worst 2e-10.
CLOSE = {np.dtype(np.float32): 1e-4, np.dtype(np.float64): 1e-8}
# Differences of the runtime's float32 err by 1e-7 / step, and by its square times a third
# derivative.
STEP, ROUGH = 1e-2, 2e-2


@dataclass(frozen=True)
class Pipeline:
    """A converted pipeline, and a point of it."""

    model: onnx.ModelProto
    sample: Sample

    @classmethod
    def load(cls, name: str) -> Pipeline:
        """A file of the folder."""
        path = FOLDER / f"{name}.onnx"
        return cls(onnx.load(path), read(path.with_suffix(".npz")))

    @property
    def output(self) -> str:
        """The output port whose slopes are known."""
        [name] = self.sample.seeds
        return name

    def net(self) -> portgrad.Net:
        """The net, loaded."""
        return portgrad.load(self.model.SerializeToString(), threads=1)

    def seeds(self, y: np.ndarray) -> Arrays:
        """The cotangent of the output, in its shape and dtype."""
        return {self.output: self.sample.seeds[self.output].reshape(y.shape).astype(y.dtype)}

    def gradients(self, net: portgrad.Net) -> Gradients:
        """At the input ports."""
        y = net.evaluate(self.sample.inputs)[self.output]
        return net.gradient(
            self.sample.inputs, of=[self.output], output_gradients=self.seeds(y), outputs=True
        )


def check(pipeline: Pipeline) -> None:
    """The net says what scikit-learn says, and so does its gradient; what is zero has a warning."""
    found = pipeline.gradients(pipeline.net())
    [name], sample = sample_names(pipeline), pipeline.sample
    y = found.outputs[name]
    close = CLOSE[next(x.dtype for x in sample.inputs.values() if x.dtype.kind == "f")]
    np.testing.assert_allclose(
        y.reshape(sample.outputs[name].shape), sample.outputs[name], close, close
    )
    for port, slope in sample.gradients.items():
        assert found[port].dtype == sample.inputs[port].dtype
        largest = float(np.abs(slope).max())
        np.testing.assert_allclose(found[port], slope, rtol=0, atol=close * largest)
        assert largest > 0 or found.warnings


def sample_names(pipeline: Pipeline) -> list[str]:
    """Names of outputs with slopes."""
    return list(pipeline.sample.seeds)
