"""Keras on TensorFlow, written by tf2onnx. They have an environment of their own.

TensorFlow's own gradients come from the same net with the same weights in float64.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from keras import layers as kl

from support.exporters.elements import Elements, distinct
from support.exporters.sample import Exported, Made, Sample

OPSET = 18


@dataclass(frozen=True)
class Source:
    """A net to export: how to make it, and the shape of an example."""

    make: Callable[[], keras.Model]
    shape: tuple[int, ...]


def gelu(x: keras.KerasTensor) -> keras.KerasTensor:
    """By tanh: tf2onnx cannot write the exact one of this TensorFlow."""
    return keras.activations.gelu(x, approximate=True)


def cnn() -> keras.Model:
    x = keras.Input((10, 10, 3), name="x")
    h = kl.Conv2D(6, 3, padding="same", activation="relu")(x)
    h = kl.BatchNormalization()(h)
    h = kl.MaxPooling2D(2)(h)
    h = kl.Add()([kl.SeparableConv2D(6, 3, padding="same", activation=gelu)(h), h])
    h = kl.Conv2DTranspose(4, 3, strides=2, padding="same", activation="silu")(h)
    h = kl.AveragePooling2D(2)(kl.UpSampling2D(2, interpolation="bilinear")(h))
    return keras.Model(x, kl.Dense(3, activation="softmax")(kl.GlobalAveragePooling2D()(h)))


def lstm() -> keras.Model:
    x = keras.Input((5, 4), name="x")
    h = kl.Bidirectional(kl.LSTM(4, return_sequences=True))(x)
    h = kl.LSTM(3)(h)
    return keras.Model(x, kl.Dense(2, activation="tanh")(h))


def gru() -> keras.Model:
    """Which tf2onnx writes as a Loop."""
    x = keras.Input((5, 4), name="x")
    return keras.Model(x, kl.Dense(2, activation="tanh")(kl.GRU(5)(x)))


def transformer() -> keras.Model:
    x = keras.Input((5, 8), name="x")
    h = kl.LayerNormalization()(x)
    x2 = x + kl.MultiHeadAttention(2, 4)(h, h, use_causal_mask=True)
    h = kl.Dense(12, activation=gelu)(kl.RMSNormalization()(x2))
    return keras.Model(x, x2 + kl.Dense(8)(h))


SOURCES = {
    "cnn": Source(cnn, (10, 10, 3)),
    "lstm": Source(lstm, (5, 4)),
    "gru": Source(gru, (5, 4)),
    "transformer": Source(transformer, (5, 8)),
}


def made() -> Iterator[Made]:
    """Each net by each way to write it."""
    for name, source in SOURCES.items():
        yield Made("tf2onnx", name, functools.partial(exported, source, _by_function))
        yield Made("keras", name, functools.partial(exported, source, _by_export))


def exported(source: Source, write: Callable[[keras.Model, Source], onnx.ModelProto]) -> Exported:
    """A net as tf2onnx writes it, with TensorFlow's gradients at a random point."""
    rng = np.random.default_rng(5)
    keras.utils.set_random_seed(23)
    net = _made(source, "float32")
    net.set_weights(_drawn(net, rng))
    x = rng.standard_normal((2, *source.shape)).astype(np.float32)
    net(x)
    return _sampled(source, net, write(net, source), x, rng)


def _made(source: Source, dtype: str) -> keras.Model:
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        return source.make()
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def _drawn(net: keras.Model, rng: np.random.Generator) -> list[np.ndarray]:
    weights = distinct([w.numpy() for w in net.weights], rng)
    return [
        np.abs(x) + 0.5 if w.name == "moving_variance" else x
        for w, x in zip(net.weights, weights, strict=True)
    ]


def _by_function(net: keras.Model, source: Source) -> onnx.ModelProto:
    spec = [tf.TensorSpec((None, *source.shape), tf.float32, name="x")]
    function = tf.function(lambda x: tf.identity(net(x), "y"), input_signature=spec)
    model, _ = tf2onnx.convert.from_function(function, input_signature=spec, opset=OPSET)
    return model


def _by_export(net: keras.Model, source: Source) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        net.export(path, format="onnx", verbose=False, opset_version=OPSET)
        return onnx.load(path)


def _sampled(
    source: Source,
    net: keras.Model,
    model: onnx.ModelProto,
    x: np.ndarray,
    rng: np.random.Generator,
) -> Exported:
    double = _made(source, "float64")
    double.set_weights(net.get_weights())
    point = tf.constant(x, tf.float64)
    learned = double.trainable_weights
    with tf.GradientTape() as tape:
        tape.watch(point)
        y = double(point)
        seed = rng.standard_normal(y.shape).astype(np.float32)
        total = tf.reduce_sum(y * tf.constant(seed, y.dtype))
    by_x, *by_weights = tape.gradient(total, [point, *learned])
    grads = {w.path: np.asarray(g) for w, g in zip(learned, by_weights, strict=True)}
    parameters = Elements(model, {w.path: w.numpy().astype(np.float32) for w in learned}, grads)
    [port], [output] = model.graph.input, model.graph.output
    gradients = {port.name: by_x.numpy().astype(np.float32), **parameters.gradients}
    return Exported(
        model,
        Sample(
            {port.name: x},
            {output.name: seed},
            {output.name: y.numpy().astype(np.float32)},
            gradients,
            {name: np.array(0) for name in parameters.missed},
        ),
    )
