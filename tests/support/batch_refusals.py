"""Small nets that the batch analysis must refuse, each with the reason. Ports: see `batch_rows`."""

from __future__ import annotations

REFUSED = [
    (
        "a vector as features",
        """(float[1] x) => (y) {
            y = ai.onnx.ml.LinearRegressor<coefficients = [2.0], intercepts = [1.0]>(x) }""",
        "it does not take rows of features",
    ),
    (
        "a vector to scale",
        "(float[1] x) => (y) { y = ai.onnx.ml.Scaler<offset = [1.0], scale = [2.0]>(x) }",
        "it takes its vector for one example",
    ),
    (
        "vectors side by side",
        "(float[1] x) => (y) { y = ai.onnx.ml.FeatureVectorizer<inputdimensions = [1]>(x) }",
        "it takes a vector for one example",
    ),
    (
        "features of a vector",
        "(float[1] x) => (y) { y = ai.onnx.ml.ArrayFeatureExtractor(x, [0]) }",
        "it takes features along the batch axis",
    ),
    (
        "rows across",
        """(float[1,2] x) => (y) { t = Transpose(x)
            y = ai.onnx.ml.Normalizer<norm = "L1">(t) }""",
        "operand 0 does not carry the batch on axis 0",
    ),
    (
        "reduction over the batch",
        "(float[1,3] x) => (y) { y = ReduceSum(x, [0]) }",
        "it works along the batch axis",
    ),
    (
        "reduction over all",
        "(float[1,3] x) => (y) { y = ReduceMean(x) }",
        "it works along the batch axis",
    ),
    (
        "reduction over unknown axes",
        "(float[1,3] x, int64[1] a) => (y) { y = ReduceSum(x, a) }",
        "operand 1 is not constant",
    ),
    (
        "softmax over the batch",
        "(float[1,3] x) => (y) { y = Softmax<axis = 0>(x) }",
        "it works along the batch axis",
    ),
    (
        "layer norm over the batch",
        "(float[1,3] x, float[1,3] s) => (y) { y = LayerNormalization<axis = 0>(x, s) }",
        "it works along the batch axis",
    ),
    (
        "argmax over the batch",
        "(float[1,3] x) => (y) { y = ArgMax(x) }",
        "it works along the batch axis",
    ),
    (
        "cumsum over the batch",
        "(float[1,3] x) => (y) { y = CumSum(x, #0) }",
        "it works along the batch axis",
    ),
    (
        "top of the batch",
        "(float[1,3] x) => (y) { y, i = TopK<axis = 0>(x, [1]) }",
        "it works along the batch axis",
    ),
    (
        "mean and variance of the batch",
        "(float[1,2,3,3] x) => (y) { y = MeanVarianceNormalization<axes=[0,2,3]>(x) }",
        "it works along the batch axis",
    ),
    (
        "mean loss",
        "(float[1,5] x, int64[1] x2) => (y) { y = SoftmaxCrossEntropyLoss(x, x2) }",
        "it totals over the examples",
    ),
    (
        "crossed operands",
        "(float[1,1] x) => (y) { t = Transpose(x) y = Add(x, t) }",
        "its operands carry the batch on different axes",
    ),
    (
        "shared along the batch",
        "(float[1,3] x, float[2,3] w) => (y) { y = Add(x, w) }",
        "the shared operand 1 spans the batch axis",
    ),
    (
        "unknown along the batch",
        '(float[1,3] x, float["M",3] w) => (y) { y = Add(x, w) }',
        "the shared operand 1 spans the batch axis",
    ),
    (
        "different ranks",
        "(float[1,3] x, float[1,1,3] x2) => (y) { y = Add(x, x2) }",
        "its operands carry the batch on different axes",
    ),
    (
        "product over the batch",
        "(float[1,3] x) => (y) { t = Transpose(x) y = MatMul(t, x) }",
        "it sums over the batch",
    ),
    (
        "every with every",
        "(float[1,3] x) => (y) { t = Transpose(x) y = MatMul(x, t) }",
        "it multiplies every example with every other",
    ),
    (
        "rows and rows",
        "(float[1,3] x, float[3,3] w, float[1,3] x2) => (y) {"
        " a = MatMul(x, w) t = Transpose(x2) y = MatMul(a, t) }",
        "it multiplies every example with every other",
    ),
    (
        "gemm over the batch",
        "(float[1,3] x, float[1,2] w) => (y) { y = Gemm<transA = 1>(x, w) }",
        "its examples are neither rows of A nor columns of B",
    ),
    (
        "gemm with an addend that crosses",
        "(float[1,3] x, float[3,2] w, float[1,1] x2) => (y) {"
        " t = Transpose(x2) y = Gemm(x, w, t) }",
        "C carries the batch on another axis",
    ),
    (
        "einsum over the batch",
        '(float[1,3] x, float[3] w) => (y) { y = Einsum<equation = "bi,i->i">(x, w) }',
        "the batch's letter is summed over, repeated or shared",
    ),
    (
        "einsum of two letters",
        '(float[1,3] x, float[1,3] x2) => (y) { y = Einsum<equation = "bi,ci->bc">(x, x2) }',
        "its operands carry the batch under different letters",
    ),
    (
        "weights by example",
        "(float[1,1,3] x, float[1,1,1] x2) => (y) { y = Conv(x, x2) }",
        "an operand that configures the operator differs between examples",
    ),
    (
        "batch in the channels",
        "(float[1,2,3] x, float[1,1,1] w) => (y) { t = Transpose<perm=[1,0,2]>(x) y = Conv(t, w) }",
        "operand 0 does not carry the batch on axis 0",
    ),
    (
        "pooled indices",
        "(float[1,1,4] x) => (y, i) { y, i = MaxPool<kernel_shape = [2]>(x) }",
        "its Indices count through the whole batch",
    ),
    (
        "batch norm in training",
        "(float[1,2,3] x, float[2] s, float[2] b, float[2] m, float[2] v) => (y, n, w) {"
        " y, n, w = BatchNormalization<training_mode = 1>(x, s, b, m, v) }",
        "it takes its statistics over the batch",
    ),
    (
        "dropout in training",
        "(float[1,4] x, float r) => (y) {"
        " t = Constant<value = bool {1}>() y, m = Dropout(x, r, t) }",
        "it draws at random",
    ),
    (
        "dropout by a port",
        "(float[1,4] x, float r, bool t) => (y) { y, m = Dropout(x, r, t) }",
        "it draws at random",
    ),
    (
        "noise",
        "(float[1,4] x) => (y) { n = RandomNormal<shape = [1, 4]>() y = Add(x, n) }",
        "it draws at random",
    ),
    (
        "noise alike",
        "(float[1,4] x) => (y) { y = RandomNormalLike(x) }",
        "it draws at random",
    ),
    (
        "joined along the batch",
        "(float[1,3] x, float[1,3] x2) => (y) { y = Concat<axis = 0>(x, x2) }",
        "it joins values along the batch axis",
    ),
    (
        "split along the batch",
        "(float[1,3] x) => (y) { y = Split<num_outputs = 1>(x) }",
        "it splits along the batch axis",
    ),
    (
        "none of the batch",
        "(float[1,3] x) => (y) { y = Slice(x, [1], [9], [0]) }",
        "it takes a part of the batch axis",
    ),
    (
        "the last example",
        "(float[1,3] x) => (y) { y = Slice(x, [-1], [9], [0]) }",
        "it takes a part of the batch axis",
    ),
    (
        "the first example",
        "(float[1,3] x) => (y) { y = Gather(x, #0) }",
        "it picks among the examples",
    ),
    (
        "backwards",
        "(float[1,3] x) => (y) { y = Slice(x, [-1], [-9], [0], [-1]) }",
        "it takes a part of the batch axis",
    ),
    (
        "padded batch",
        "(float[1,3] x) => (y) { y = Pad(x, [1, 0, 0, 0]) }",
        "it pads the batch axis",
    ),
    (
        "repeated batch",
        "(float[1,3] x) => (y) { y = Tile(x, [2, 1]) }",
        "it repeats the batch axis",
    ),
    (
        "widened batch",
        "(float[1,3] x) => (y) { y = Expand(x, [2, 3]) }",
        "it repeats the batch axis",
    ),
    (
        "merged by a flatten",
        "(float[1,2,3] x) => (y) { y = Flatten<axis = 2>(x) }",
        "it merges the batch with another axis",
    ),
    (
        "heads that meet one example's",
        """(float[1,4,2] x) => (y) {
            h = Reshape(x, [2, 2, 2]) a = ReduceSum<keepdims = 0>(x, [1]) y = Add(h, a) }""",
        "its operands have the batch and other axes as one, each in its way",
    ),
    (
        "rows of all sequences that meet a sequence",
        """(float[1,2,3] x, float[2,3] w) => (y) {
            r = Reshape(x, [2, 3]) y = Add(r, w) }""",
        "the shared operand 1 spans the batch axis",
    ),
    (
        "rows of all sequences, added up",
        "(float[1,2,3] x) => (y) { r = Reshape(x, [2, 3]) y = ReduceSum(r, [0]) }",
        "it works along the batch axis",
    ),
    (
        "a part of the rows of all sequences",
        "(float[1,2,3] x) => (y) { r = Reshape(x, [2, 3]) y = Slice(r, [0], [2], [0]) }",
        "it takes a part of an axis that has the batch and more",
    ),
    (
        "rows of all sequences, sorted",
        """(float[1,2,3] x) => (y) {
            r = Reshape(x, [2, 3]) i = Neg(r) y, p = TopK<axis = 1>(i, [1]) }""",
        "another axis is one with the batch's",
    ),
    (
        "copied to another axis",
        '(float[1,6,"L"] x) => (y) { u = Unsqueeze(x, [0, 1]) y = Reshape(u, [1, 6, 0, -1]) }',
        "it may copy the batch size to another axis",
    ),
    (
        "squeezed away",
        "(float[1,3] x) => (y) { y = Squeeze(x, [0]) }",
        "it takes the batch axis away",
    ),
    (
        "squeezed with all",
        "(float[1,3] x) => (y) { y = Squeeze(x) }",
        "it takes away every axis of size 1, the batch among them",
    ),
    (
        "data and indices",
        "(float[1,5] x, int64[1,2] x2) => (y) { y = Gather<axis = 1>(x, x2) }",
        "it picks among the examples",
    ),
    (
        "elements of the batch",
        "(float[1,3] x, int64[1,3] x2) => (y) { y = GatherElements(x, x2) }",
        "it picks among the examples",
    ),
    (
        "resized batch",
        "(float[1,1,2,2] x) => (y) { y = Resize(x, , [2.0, 1.0, 1.0, 1.0]) }",
        "it resizes the batch axis",
    ),
    (
        "no entry in the table",
        "(float[1,3] x) => (y) { y = NonZero(x) }",
        "its operator is not in the table",
    ),
    (
        "scatter into shared",
        "(float[1,2] x, float[4,2] w, int64[1,1] i) => (y) { y = ScatterND(w, i, x) }",
        "its operator is not in the table",
    ),
    (
        "divided by its size",
        "(float[1,3] x) => (y) { s = Shape<end=1>(x) f = Cast<to=1>(s) y = Div(x, f) }",
        "the batch size is used as a number",
    ),
    (
        "number of elements",
        "(float[1,3] x) => (y) { s = Size(x) f = Cast<to=1>(s) y = Div(x, f) }",
        "its operator is not in the table",
    ),
    (
        "its size as an output",
        "(float[1,3] x) => (y, s) { y = Relu(x) s = Shape(x) }",
        "is computed from the batch size",
    ),
    (
        "doubled size",
        "(float[1,4] x) => (y) {"
        " s = Shape<end=1>(x) d = Add(s, s) e = Concat<axis = 0>(d, [2]) y = Reshape(x, e) }",
        "the batch size is used as a number",
    ),
    (
        "size on two axes",
        "(float[1,4] x, float[1,1] w) => (y) {"
        " s = Shape<end=1>(x) d = Concat<axis = 0>(s, s) y = Expand(w, d) }",
        "the batch size is used on more than one axis",
    ),
    (
        "a count to the size",
        "(float[1,4] x) => (y) {"
        " s = Shape(x) n = Gather(s, #0) r = Range(#0, n, #1) y = Cast<to=1>(r) }",
        "the output y is computed from the batch size",
    ),
    (
        "a subgraph",
        "(float[1,4] x, bool c) => (y) {"
        " y = If(c) <then_branch = a () => (float[1,4] u) { u = Relu(x) },"
        " else_branch = b () => (float[1,4] v) { v = Neg(x) }> }",
        "it has a subgraph",
    ),
]
