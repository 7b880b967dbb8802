"""Makes operator cases for `scrimp check --cases`: random models of one operator, inputs, and what the references give.

    python3 cases.py conv --count 3000 --seed 1 -o /tmp/conv.safetensors      # one family, many
    python3 cases.py all --committed -o ../../tests/vectors/tflite            # the files in this repository

A family is a module here with `FAMILY`, a list of functions `case(rng, committed) -> (kind, model, steps, rule)`: `kind` names
the case, `steps` is a list of lists of input arrays, `rule` says which reference decides (`REFERENCE` values below). With
`committed` the case is to be small. Cases that the deciding reference refuses are dropped and counted.
"""

import argparse
import collections
import importlib
import json
import os

import numpy as np
from safetensors.numpy import save_file

from references import Reference

FAMILIES = ["conv", "elem", "moves", "ties"]
# What decides: TFLM, and LiteRT where it runs must agree; or one alone, where the other has no such kernel or is known to be
# wrong.
BOTH, TFLM, LITERT = "both", "tflm", "litert-1.2.0-ref"


def make(family, count, seed, committed, path):
    module = importlib.import_module(family)
    rng = np.random.default_rng(seed)
    references = {name: Reference(name) for name in ("tflm", "litert-1.2.0-ref")}
    arrays, cases, tally = {}, {}, collections.Counter()
    while len(cases) < count:
        function = module.FAMILY[tally["tried"] % len(module.FAMILY)]
        tally["tried"] += 1
        if tally["tried"] > 20 * count + 100:
            break
        kind, model, steps, rule = function(rng, committed)
        names = ["tflm", "litert-1.2.0-ref"] if rule == BOTH else [rule]
        outputs = {name: references[name].run(model, steps) for name in names}
        refused = [name for name in names if isinstance(outputs[name], str)]
        for name in refused:
            tally[f"{kind}: refused by {name}"] += 1
        if names[0] in refused:
            continue
        names = [name for name in names if name not in refused]
        first = outputs[names[0]]
        if any(not equal(first, outputs[name]) for name in names[1:]):
            tally[f"{kind}: references differ"] += 1
            continue
        case = f"{kind}_{len(cases):04}"
        cases[case] = {"reference": names}
        arrays[f"{case}.model"] = np.frombuffer(model, dtype=np.uint8)
        for k in range(len(steps[0])):
            arrays[f"{case}.in{k}"] = np.stack([step[k] for step in steps])
        for k in range(len(first[0])):
            arrays[f"{case}.out{k}"] = np.stack([step[k] for step in first])
    origin = "random single-operator models, tools/vectors/cases.py"
    save_file(arrays, path, metadata={"cases": json.dumps(cases), "origin": origin})
    os.chmod(path, 0o644)
    print(f"{path}: {len(cases)} cases, {os.path.getsize(path)} bytes")
    for what, number in sorted(tally.items()):
        print(f"  {what}: {number}")


def equal(a, b):
    return all(
        x.dtype == y.dtype and x.tobytes() == y.tobytes() for one, two in zip(a, b, strict=True) for x, y in zip(one, two, strict=True)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=[*FAMILIES, "all"])
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--committed", action="store_true", help="small cases; -o is a folder, a file a family")
    parser.add_argument("-o", dest="out", required=True)
    args = parser.parse_args()
    for family in FAMILIES if args.family == "all" else [args.family]:
        path = os.path.join(args.out, f"{family}.safetensors") if args.committed else args.out
        make(family, args.count, args.seed, args.committed, path)


if __name__ == "__main__":
    main()
