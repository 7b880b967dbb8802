"""A tiny DS-CNN that hears six made-up sounds, int8 by the TFLite converter: `examples/data/keyword.tflite`.

    python3 train_keyword.py [--epochs 6] [--out keyword.tflite]

No recordings of speech are at hand, so the task is made up: one second at 16 kHz holds silence, noise, a rising or a falling
chirp, two beeps, or a warble, at random places, lengths, pitches and loudnesses, in noise. What the network sees is what
keyword spotters see (arXiv 1711.07128): 49 frames of 40 ms every 20 ms, 10 mel-frequency cepstral coefficients each.
Writes the model, `keyword/<sound>.npy` (f32 `[49, 10]`, one unseen sound of each kind) and `results/keyword.json`.
Needs PyPI tensorflow.
"""
import argparse
import hashlib
import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import numpy as np
import tensorflow as tf

HERE = Path(__file__).resolve().parent
RATE = 16000
SOUNDS = ("silence", "noise", "rising", "falling", "beeps", "warble")


def sound(kind, rng):
    """One second, f32 in -1 to 1."""
    out = rng.normal(0, 10 ** rng.uniform(-4, -2.2), RATE)
    length = int(rng.uniform(0.3, 0.7) * RATE)
    start = rng.integers(0, RATE - length)
    t = np.arange(length) / RATE
    span = length / RATE
    low, high = 10 ** rng.uniform(2.3, 2.9), 10 ** rng.uniform(3.1, 3.6)
    if kind == "silence":
        return out
    if kind == "noise":
        shape = np.convolve(rng.normal(0, 1, length + 15), np.hanning(rng.integers(3, 16)), "same")[:length]
        wave = shape / np.abs(shape).max()
    elif kind in ("rising", "falling"):
        a, b = (low, high) if kind == "rising" else (high, low)
        wave = np.sin(2 * np.pi * (a * t + (b - a) * t * t / (2 * span)))
    elif kind == "beeps":
        wave = np.sin(2 * np.pi * np.sqrt(low * high) * t) * ((t < span * 0.35) | (t > span * 0.65))
    else:
        middle, depth, speed = np.sqrt(low * high), rng.uniform(0.15, 0.4), rng.uniform(4, 9)
        wave = np.sin(2 * np.pi * middle * t + middle * depth / speed * np.sin(2 * np.pi * speed * t))
    edge = np.minimum(1, np.minimum(t, span - t) / 0.02)
    out[start : start + length] += 10 ** rng.uniform(-1.5, -0.2) * wave * edge
    return out


def mel_bank(bins, bands=40, low=20.0, high=4000.0):
    """Triangles evenly spaced in mel, `[bands, bins]`."""
    mel = lambda f: 1127 * np.log1p(f / 700)
    edges = 700 * np.expm1(np.linspace(mel(low), mel(high), bands + 2) / 1127)
    f = np.arange(bins) * RATE / 2 / (bins - 1)
    up = (f - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - f) / (edges[2:] - edges[1:-1])[:, None]
    return np.clip(np.minimum(up, down), 0, None)


BANK = mel_bank(513)
COSINES = np.cos(np.pi / 40 * (np.arange(40) + 0.5) * np.arange(10)[:, None]) * np.sqrt(2 / 40)


def features(wave):
    """`[49, 10]`, f32."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, 640)[::320] * np.hanning(640)
    power = np.abs(np.fft.rfft(frames, 1024)) ** 2
    return (np.log(power @ BANK.T + 1e-6) @ COSINES.T).astype(np.float32)


def examples(count, rng):
    labels = rng.integers(0, len(SOUNDS), count)
    return np.stack([features(sound(SOUNDS[k], rng)) for k in labels])[..., None], labels


def network(mean, variance):
    layers = tf.keras.layers
    x = inputs = layers.Input((49, 10, 1))
    x = layers.Normalization(axis=None, mean=mean, variance=variance)(x)
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(16, (10, 4), 2, "same", use_bias=False)(x)))
    for channels in (24, 24, 32):
        x = layers.ReLU()(layers.BatchNormalization()(layers.DepthwiseConv2D(3, 1, "same", use_bias=False)(x)))
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(channels, 1, use_bias=False)(x)))
    x = layers.Flatten()(layers.AveragePooling2D((25, 5))(x))
    return tf.keras.Model(inputs, layers.Softmax()(layers.Dense(len(SOUNDS))(x)))


def convert(model, some):
    fixed = tf.keras.Model(*(lambda i: (i, model(i)))(tf.keras.Input((49, 10, 1), batch_size=1)))
    converter = tf.lite.TFLiteConverter.from_keras_model(fixed)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x[None]] for x in some)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def accuracy(file, x, labels):
    """Percent right, by the reference kernels."""
    resolver = tf.lite.experimental.OpResolverType.BUILTIN_REF
    interpreter = tf.lite.Interpreter(model_content=file, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = source["quantization"]
    right = 0
    for one, label in zip(np.clip(np.round(x / scale) + zero, -128, 127).astype(np.int8), labels):
        interpreter.set_tensor(source["index"], one[None])
        interpreter.invoke()
        right += int(interpreter.get_tensor(sink["index"])[0].argmax() == label)
    return 100 * right / len(labels)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--out", type=Path, default=HERE.parents[1] / "examples/data/keyword.tflite")
    args = parser.parse_args()
    tf.keras.utils.set_random_seed(2)
    rng = np.random.default_rng(2)
    x, labels = examples(12000, rng)
    test, test_labels = examples(2000, rng)
    model = network(float(x.mean()), float(x.var()))
    steps = args.epochs * (len(x) // 64)
    rate = tf.keras.optimizers.schedules.CosineDecay(4e-3, steps)
    model.compile(tf.keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, labels, 64, args.epochs, verbose=2)
    in_f32 = 100 * float(np.mean(model.predict(test, 500, verbose=0).argmax(1) == test_labels))
    file = convert(model, x[:300])
    args.out.write_bytes(file)
    folder = args.out.with_suffix("")
    folder.mkdir(exist_ok=True)
    for k, name in enumerate(SOUNDS):
        np.save(folder / f"{name}.npy", test[np.flatnonzero(test_labels == k)[0], :, :, 0])
    record = {
        "file": args.out.name, "sha256": hashlib.sha256(file).hexdigest(), "bytes": len(file), "sounds": SOUNDS,
        "parameters": int(model.count_params()), "epochs": args.epochs, "tensorflow": tf.__version__,
        "f32_test_percent": round(in_f32, 2), "int8_test_percent": round(accuracy(file, test, test_labels), 2),
    }
    (HERE / "results" / "keyword.json").write_text(json.dumps(record, indent=2) + "\n")
    print(record)


if __name__ == "__main__":
    main()
