"""One convolution in blocks of channels, with what the runtime's kernel does along with it.

That is a batch normalisation behind it, which is folded into the kernel, a sum, and an activation.
Kernels are laid out in operators on constants, which the runtime folds as a session is made.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from portgrad.engine.rewrites.channels.layout import DOMAIN, block_size
from portgrad.engine.rewrites.writing import Writer

_ALIGNED = 4  # what the runtime wants channels to be a multiple of


@dataclass(frozen=True)
class Convolution:
    """A convolution that is not yet written.

    Attributes:
        node: the convolution as it was.
        image: what it reads: in blocks, or as it is where it has less than a block of channels.
        blocked: whether the image is in blocks.
        norm: a batch normalisation behind it.
        added: what is added then, in blocks.
        activation: what is applied at last, and its parameters.
    """

    node: ir.Node
    image: ir.Value
    blocked: bool
    norm: ir.Node | None = None
    added: ir.Value | None = None
    activation: tuple[str, tuple[float, ...]] | None = None

    @property
    def bare(self) -> bool:
        """Whether nothing comes behind it yet that a batch normalisation could not be before."""
        return self.norm is None and self.open

    @property
    def open(self) -> bool:
        """Whether a sum may still be taken in."""
        return self.added is None and self.activation is None

    def write(self, write: Writer) -> ir.Value:
        """Its nodes; what it gives, in blocks."""
        kernel, bias = self.node.inputs[1], self._bias
        assert kernel is not None
        sizes = _sizes(kernel)
        if self.norm is not None:
            kernel, bias = _folded(write, self.norm, kernel, bias)
        depthwise = group_of(self.node) > 1
        made = _kernel(write, kernel, sizes, paired=self.blocked and not depthwise)
        operands = [self.image, made, _padded(write, bias, sizes[0]), self.added]
        attributes = list(self.node.attributes.values())
        node = ir.Node(DOMAIN, "Conv", operands, attributes, num_outputs=1)
        if self.activation is not None:
            name, parameters = self.activation
            node.attributes["activation"] = ir.AttrString("activation", name)
            if parameters:
                given = ir.AttrFloat32s("activation_params", parameters)
                node.attributes["activation_params"] = given
        return write.put(node, ir.DataType.FLOAT)

    @property
    def _bias(self) -> ir.Value | None:
        return self.node.inputs[2] if len(self.node.inputs) > 2 else None


def serves(node: ir.Node, constants: Collection[ir.Value]) -> bool:
    """Whether the runtime has blocks for a convolution: a constant kernel over two axes."""
    image, kernel, *bias = node.inputs
    if kernel is None or image is None or kernel not in constants or kernel.dtype != _FLOAT:
        return False
    if any(value is not None and value not in constants for value in bias):
        return False
    sizes, seen = _sizes(kernel), _sizes(image)
    if len(sizes) != 4 or min(sizes) < 1 or len(image.shape or ()) != 4 or len(seen) < 3:
        return False
    outer, inner, groups = sizes[0], sizes[1], group_of(node)
    if groups > 1:
        return inner == 1 and outer == groups and outer % block_size() == 0
    return outer % _ALIGNED == 0 and (inner < block_size() or inner % _ALIGNED == 0)


def folds(node: ir.Node, constants: Collection[ir.Value]) -> bool:
    """Whether a batch normalisation can be folded into a kernel."""
    training = node.attributes.get("training_mode")
    given = (training is None or not training.as_int()) and len(node.outputs) == 1
    return given and all(
        v is not None and v in constants and v.dtype == _FLOAT for v in node.inputs[1:]
    )


def spreads(node: ir.Node, constants: Collection[ir.Value]) -> bool:
    """Whether a transposed convolution is one of each channel alone, that `spread` can say."""
    kernel, *bias = node.inputs[1:]
    sizes = [] if kernel is None or kernel not in constants else _sizes(kernel)
    if len(sizes) != 4 or bias or {"auto_pad", "output_shape"} & set(node.attributes):
        return False
    alone = sizes[1] == 1 and group_of(node) == sizes[0] and sizes[0] % block_size() == 0
    return alone and min(_around(node, sizes[2:])) >= 0


def spread(write: Writer, node: ir.Node, image: ir.Value) -> ir.Value:
    """A transposed convolution of each channel alone, in blocks.

    Zeros go between the rows and columns, and the kernel turned around goes over that. It takes
    half the time of the transposed convolution and the reordering of what it gives (4 images of 96
    channels, 56² to 112²: 8.4 and 4.0 CPU-ms; a convolution for each remainder: 9.3).
    """
    kernel = node.inputs[1]
    assert kernel is not None
    channels, _, *taps = _sizes(kernel)
    strides, size = _pair(node, "strides"), block_size()
    _, rows, columns = _sizes(node.inputs[0])[-3:]
    lines = write.reshape(image, -1, 1, columns, size)
    gaps = write.ints(*[0] * 5, strides[0] - 1, 0, (strides[1] - 1) * size)
    wide = write.node("Pad", lines, gaps)
    last, first = write.ints(-1, -1), write.ints(-(2**31), -(2**31))
    turned = write.node("Slice", kernel, last, first, write.ints(2, 3), last, shape=kernel.shape)
    return write.node(
        "Conv",
        write.reshape(wide, -1, channels, rows * strides[0], columns * strides[1]),
        _kernel(write, turned, [channels, 1, *taps], paired=False),
        domain=DOMAIN,
        group=channels,
        dilations=_pair(node, "dilations"),
        pads=_around(node, taps),
    )


def _around(node: ir.Node, taps: Sequence[int]) -> list[int]:
    """The padding of the convolution that gives what a transposed one does, ends last."""
    given, made = _sizes(node.inputs[0])[-2:], _sizes(node.outputs[0])[-2:]
    pads = node.attributes.get("pads")
    begin = [0, 0] if pads is None else pads.as_ints()[:2]
    reach = [(t - 1) * d for t, d in zip(taps, _pair(node, "dilations"), strict=True)]
    before = [r - b for r, b in zip(reach, begin, strict=True)]
    sizes = zip(made, given, _pair(node, "strides"), reach, before, strict=True)
    return [*before, *(m - g * s + r - b for m, g, s, r, b in sizes)]


def _pair(node: ir.Node, name: str) -> list[int]:
    found = node.attributes.get(name)
    return [1, 1] if found is None else list(found.as_ints())


def group_of(node: ir.Node) -> int:
    """The number of groups."""
    found = node.attributes.get("group")
    return 1 if found is None else found.as_int()


def whole(channels: int) -> int:
    """Channels, rounded up to whole blocks."""
    return -(-channels // block_size()) * block_size()


_FLOAT = ir.DataType.FLOAT


def _sizes(value: ir.Value | None) -> list[int]:
    shape = None if value is None else value.shape
    return [size for size in shape or () if isinstance(size, int)]


def _folded(
    write: Writer, norm: ir.Node, kernel: ir.Value, bias: ir.Value | None
) -> tuple[ir.Value, ir.Value]:
    """A kernel and a bias that do what the normalisation did behind them."""
    _, scale, shift, mean, variance = norm.inputs
    given = norm.attributes.get("epsilon")
    epsilon = write.number(1e-5 if given is None else given.as_float())
    slope = write.node("Div", scale, write.node("Sqrt", write.node("Add", variance, epsilon)))
    centre = mean if bias is None else write.node("Sub", mean, bias)
    of_kernels = write.reshape(slope, -1, 1, 1, 1)
    folded = write.node("Mul", kernel, of_kernels, shape=kernel.shape)
    return folded, write.node("Sub", shift, write.node("Mul", centre, slope))


def _kernel(write: Writer, kernel: ir.Value, sizes: Sequence[int], *, paired: bool) -> ir.Value:
    """A kernel (M, C, rows, columns) in blocks of M, and `paired` also of C."""
    size, (outer, inner, *rows) = block_size(), sizes
    padded = [whole(outer), whole(inner) if paired else inner, *rows]
    if padded != list(sizes):
        more = (new - old for new, old in zip(padded, sizes, strict=True))
        kernel = write.node("Pad", kernel, write.ints(0, 0, 0, 0, *more), shape=padded)
    taps, blocks = math.prod(sizes[2:]), padded[0] // size
    # One axis at a time, by which the runtime takes a third of the time.
    flat = write.reshape(kernel, blocks, size, padded[1] * taps)
    turned = write.node("Transpose", flat, perm=[0, 2, 1], shape=[blocks, padded[1] * taps, size])
    if paired and taps > 1:
        pairs = [blocks, padded[1] // size]
        apart = write.reshape(turned, *pairs, size, taps, size)
        made = [*pairs, taps, size, size]
        turned = write.node("Transpose", apart, perm=[0, 1, 3, 2, 4], shape=made)
    return write.reshape(turned, *padded)


def _padded(write: Writer, bias: ir.Value | None, channels: int) -> ir.Value | None:
    if bias is None or whole(channels) == channels:
        return bias
    more = whole(channels) - channels
    return write.node("Pad", bias, write.ints(0, more), shape=[whole(channels)])
