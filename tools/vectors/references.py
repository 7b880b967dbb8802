"""Runs a model under the references, each in a process of its own, as they abort on what they refuse.

TFLM is PyPI `tflite_micro`; LiteRT is PyPI `ai-edge-litert` 1.2.0 with its reference kernels. Both round twice.
"""

import os
import pickle
import subprocess
import sys

import numpy as np


def run_tflm(model, steps):
    from tflite_micro.python.tflite_micro import runtime

    outputs = []
    for inputs in steps:
        # A fresh one a step: variables start anew.
        interpreter = runtime.Interpreter.from_bytes(bytes(model), arena_size=4 << 20)
        for k, x in enumerate(inputs):
            interpreter.set_input(x, k)
        interpreter.invoke()
        count = output_count(model)
        outputs.append([np.array(interpreter.get_output(k)) for k in range(count)])
    return outputs


def run_litert(model, steps):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    outputs = []
    for inputs in steps:
        interpreter.reset_all_variables()
        for detail, x in zip(interpreter.get_input_details(), inputs):
            interpreter.set_tensor(detail["index"], x)
        interpreter.invoke()
        outputs.append([np.array(interpreter.get_tensor(d["index"])) for d in interpreter.get_output_details()])
    return outputs


def output_count(model):
    """How many outputs subgraph 0 has, read from the file."""
    word = lambda at: int.from_bytes(model[at : at + 4], "little", signed=True)
    half = lambda at: int.from_bytes(model[at : at + 2], "little")

    def field(table, number):
        vtable = table - word(table)
        return table + half(vtable + 4 + 2 * number)

    follow = lambda at: at + word(at)
    subgraphs = follow(field(follow(0), 2))
    return word(follow(field(follow(subgraphs + 4), 2)))


RUNNERS = {"tflm": run_tflm, "litert-1.2.0-ref": run_litert}


def serve(name):
    """Answers pickled requests on stdin until it ends."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # Their complaints are not of interest: a refusal shows as an exception or a dead process.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    while True:
        try:
            model, steps = pickle.load(requests)
        except EOFError:
            return
        try:
            answer = RUNNERS[name](model, steps)
        except Exception as error:  # noqa: BLE001
            answer = str(error)
        pickle.dump(answer, answers)
        answers.flush()


class Reference:
    """A reference in a process that is started again when it dies."""

    def __init__(self, name):
        self.name = name
        self.process = None

    def run(self, model, steps):
        """Outputs of each step, or a text why there are none."""
        if self.process is None or self.process.poll() is not None:
            command = [sys.executable, os.path.abspath(__file__), self.name]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            pickle.dump((model, steps), self.process.stdin)
            self.process.stdin.flush()
            return pickle.load(self.process.stdout)
        except (EOFError, OSError):
            self.process.wait()
            return "aborted"


if __name__ == "__main__":
    serve(sys.argv[1])
