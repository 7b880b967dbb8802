"""A small DS-CNN on Fashion-MNIST, int8 by the TFLite converter: `examples/data/classify.tflite`.

    python3 train_classify.py [--epochs 9] [--out classify.tflite]

Depthwise separable convolutions after arXiv 1704.04861 (MobileNet), in the sizes of arXiv 1711.07128 (keyword DS-CNN).
Trained on 55,000 pictures, chosen by nothing but the last epoch; calibrated on 500 of them; `classify.json` has the accuracy
of the int8 file on the 10,000 test pictures, by the reference kernels (LiteRT, BUILTIN_REF), and 5,000 of validation.
Needs PyPI tensorflow; nothing of it is needed to build or test the library.
"""
import argparse
import hashlib
import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
import numpy as np
import tensorflow as tf

import fashion

HERE = Path(__file__).resolve().parent


def network():
    """28 x 28 x 1 -> 10: a strided convolution, four separable blocks, global average, linear, softmax. 26,000 parameters."""
    layers = tf.keras.layers

    def unit(x, layer):
        return layers.ReLU()(layers.BatchNormalization(momentum=0.95)(layer(x)))

    x = inputs = layers.Input((28, 28, 1), batch_size=None)
    x = unit(x, layers.Conv2D(24, 3, 2, "same", use_bias=False))
    for channels, stride in ((40, 1), (64, 2), (96, 1), (128, 1)):
        x = unit(x, layers.DepthwiseConv2D(3, stride, "same", use_bias=False))
        x = unit(x, layers.Conv2D(channels, 1, use_bias=False))
    x = layers.Dropout(0.2)(layers.AveragePooling2D(7)(x))
    return tf.keras.Model(inputs, layers.Softmax()(layers.Dense(10)(layers.Flatten()(x))))


def scaled(pictures):
    """0 to 1, `[N, 28, 28, 1]`."""
    return pictures[..., None].astype(np.float32) / 255


def batches(pictures, labels, size, rng):
    """One epoch, shuffled, each picture mirrored or not and moved by up to two pixels."""
    order = rng.permutation(len(pictures))
    for at in range(0, len(order) - size + 1, size):
        part = order[at : at + size]
        x = pictures[part].copy()
        mirrored = rng.random(size) < 0.5
        x[mirrored] = x[mirrored, :, ::-1]
        # One shift for the whole batch: as good, and quick.
        padded, (i, j) = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0))), rng.integers(0, 5, 2)
        yield padded[:, i : i + 28, j : j + 28], labels[part]


def train(model, epochs, rng):
    x, y = fashion.load("train")
    x, val = scaled(x), fashion.load("val")
    steps = epochs * (len(x) // 200)
    rate = tf.keras.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=4e-3, warmup_steps=steps // 20)
    optimizer = tf.keras.optimizers.AdamW(rate, weight_decay=0.01)

    @tf.function(jit_compile=False)
    def step(x, y):
        with tf.GradientTape() as tape:
            probabilities = model(x, training=True)
            wanted = tf.one_hot(y, 10) * 0.95 + 0.005
            loss = tf.reduce_mean(tf.keras.losses.categorical_crossentropy(wanted, probabilities))
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
        return loss

    for epoch in range(epochs):
        losses = [float(step(*batch)) for batch in batches(x, y, 200, rng)]
        right = np.mean(model.predict(scaled(val[0]), 500, verbose=0).argmax(1) == val[1])
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}, validation {100 * right:.2f} %", flush=True)


def convert(model, rng):
    pictures = scaled(fashion.load("train")[0])
    some = pictures[rng.permutation(len(pictures))[:500]]
    fixed = tf.keras.Model(*(lambda i: (i, model(i)))(tf.keras.Input((28, 28, 1), batch_size=1)))
    converter = tf.lite.TFLiteConverter.from_keras_model(fixed)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([p[None]] for p in some)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def accuracy(file, split):
    """Percent right, by the reference kernels."""
    resolver = tf.lite.experimental.OpResolverType.BUILTIN_REF
    interpreter = tf.lite.Interpreter(model_content=file, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = source["quantization"]
    pictures, labels = fashion.load(split)
    codes = np.clip(np.round(scaled(pictures) / scale) + zero, -128, 127).astype(np.int8)
    right = 0
    for code, label in zip(codes, labels):
        interpreter.set_tensor(source["index"], code[None])
        interpreter.invoke()
        right += int(interpreter.get_tensor(sink["index"])[0].argmax() == label)
    return 100 * right / len(labels)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--out", type=Path, default=HERE.parents[1] / "examples/data/classify.tflite")
    args = parser.parse_args()
    tf.keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    model = network()
    model.summary(print_fn=print)
    train(model, args.epochs, rng)
    test, labels = fashion.load("test")
    in_f32 = 100 * float(np.mean(model.predict(scaled(test), 500, verbose=0).argmax(1) == labels))
    file = convert(model, rng)
    args.out.write_bytes(file)
    record = {
        "file": args.out.name, "sha256": hashlib.sha256(file).hexdigest(), "bytes": len(file),
        "parameters": int(model.count_params()), "epochs": args.epochs, "tensorflow": tf.__version__,
        "f32_test_percent": round(in_f32, 2), "int8_test_percent": round(accuracy(file, "test"), 2),
        "int8_validation_percent": round(accuracy(file, "val"), 2),
    }
    (HERE / "results" / "classify.json").write_text(json.dumps(record, indent=2) + "\n")
    print(record)


if __name__ == "__main__":
    main()
