// Runs files in onnxruntime-web: jobs as JSON on stdin, what they give as JSON on stdout.
import { readFileSync, writeSync } from "node:fs";
import * as ort from "onnxruntime-web";

const ARRAYS = {
  float32: Float32Array, float64: Float64Array, int32: Int32Array, int64: BigInt64Array,
  uint8: Uint8Array, int8: Int8Array, bool: Uint8Array,
};

function tensor({ dtype, shape, data }) {
  const bytes = Uint8Array.from(Buffer.from(data, "base64"));
  return new ort.Tensor(dtype, new ARRAYS[dtype](bytes.buffer), shape);
}

function plain({ type, dims, data }) {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return { dtype: type, shape: dims, data: bytes.toString("base64") };
}

function mapped(object, change) {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));
}

ort.env.wasm.numThreads = 1;
ort.env.logLevel = "fatal";
const answers = {};
for (const [name, { model, feeds }] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  const session = await ort.InferenceSession.create(Buffer.from(model, "base64"));
  answers[name] = mapped(await session.run(mapped(feeds, tensor)), plain);
  await session.release();
}
const text = Buffer.from(JSON.stringify(answers));
for (let sent = 0; sent < text.length; ) sent += writeSync(1, text, sent);
