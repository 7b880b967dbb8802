"""The safetensors format: 8 bytes header length, JSON header, data. Here because Debian has no package of it."""
import json

import numpy as np

TYPES = {"F32": np.float32, "I64": np.int64, "I32": np.int32, "U8": np.uint8, "I8": np.int8}


def write(path, tensors, metadata=None):
    """`tensors`: name -> numpy array (of a type below); `metadata`: name -> string."""
    header = {"__metadata__": metadata} if metadata else {}
    offset = 0
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    names = {np.dtype(t): n for n, t in TYPES.items()}
    for name, array in arrays.items():
        header[name] = {"dtype": names[array.dtype], "shape": list(array.shape),
                        "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(array.tobytes())


def read(path):
    """(name -> array, metadata)."""
    raw = open(path, "rb").read()
    start = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:start])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = (start + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(raw[begin:end], TYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata
