"""Reads the weights of an ONNX export, under the names that the exported model's own checkpoint has.

torch's exporters keep the names of most parameters. A product's matrix is transposed and loses its name; the module that
it belongs to stands in the node's name (/bert/encoder/layer.0/attention/self/query/MatMul), in its metadata, or in the
name of the bias that is added. What onnxruntime's quantisation made of weights is turned back into float32.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np

from .errors import ConvertError, fail
from .requirements import FOR_ONNX, faults
from .source import MadeTensor

ENDING = ".onnx"
FILES = (  # of which the first that is there is read
    *(f"{folder}{name}" for name in ("model.onnx", "model_fp16.onnx") for folder in ("onnx/", "")),
    *(f"onnx/model_{kind}.onnx" for kind in ("int8", "quantized", "uint8", "q4", "q4f16")),
    *("model_quantized.onnx", "model_int8.onnx", "model_q4.onnx"),
)
ROLES = {  # operator -> what its inputs are to a module, and whether as torch has them
    "MatMul": {1: ("weight", False)},
    "MatMulInteger": {1: ("weight", False)},
    "MatMulNBits": {1: ("weight", True), 5: ("bias", True)},
    "Gemm": {1: ("weight", False), 2: ("bias", True)},  # the weight by its transB
    "Gather": {0: ("weight", True)},
    "LayerNormalization": {1: ("weight", True), 2: ("bias", True)},
    "Mul": {0: ("weight", True), 1: ("weight", True)},
    "Add": {0: ("bias", True), 1: ("bias", True)},
}
PRODUCTS = ("MatMul", "MatMulInteger", "MatMulNBits", "Gemm")
SCOPES = "pkg.torch.onnx.name_scopes"
TAKE_ORIGIN = "Take the checkpoint that it was made from, or an export that no optimiser went over."
BITS = (4, 8)
AGAIN = r"_\d+$"  # ends the name of a module that runs again: of layers that share weights
QUANTISED = "_quantized"  # ends the names of integers, as the next do those of what turns them back
QUANTISATION = ("_scale", "_scales", "_zero_point", "_zero_points")


class Weights(NamedTuple):
    """What an export holds."""

    tensors: dict[str, MadeTensor]
    quantised: int  # of them, how many were

    def files(self, path: Path) -> list[Path]:
        """The export at `path`, and where its numbers are."""
        return sorted({path, *(tensor.path for tensor in self.tensors.values())})

    def sentences(self, path: Path) -> list[str]:
        """What there is to say of it."""
        what = f"{self.quantised} of its {len(self.tensors)} tensors were quantised: the file holds what they stand for"
        return [f"{path.name}: {what}, what it was made from is more exact"] if self.quantised else []


class Values(NamedTuple):
    """A tensor of the graph that does not depend on the input."""

    path: Path  # of the file with its numbers
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]
    name: str  # that the exporter gave the parameter; empty: it has none
    quantised: bool = False


def find(folder: Path) -> Path | None:
    """The export in a folder that is read."""
    return next((folder / name for name in FILES if (folder / name).is_file()), None)


def _attributes(node: Any) -> dict[str, int]:
    """A node's integers."""
    return {attribute.name: attribute.i for attribute in node.attribute}


def _module(node: Any) -> str:
    """The module that a node came from; empty where it doesn't say."""
    scopes = next((prop.value for prop in node.metadata_props if prop.key == SCOPES), "")
    if scopes and len(scopes) < 10_000:
        try:
            names = ast.literal_eval(scopes)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            names = None
        if isinstance(names, list) and len(names) > 1 and isinstance(names[-2], str):
            return str(names[-2])
    return ".".join(node.name.split("/")[1:-1])


def _parameter(name: str) -> str:
    """The name of the parameter that an initialiser holds; empty where it holds another thing."""
    return name if "." in name and "/" not in name and "::" not in name and not name.endswith(QUANTISATION) else ""


def _unpacked(values: np.ndarray, bits: int) -> np.ndarray:
    """Rows of bytes -> rows of numbers of so many bits, the low ones first."""
    return values if bits == 8 else np.stack([values & 15, values >> 4], axis=-1).reshape(len(values), -1)


class _Graph:
    """An export's graph: what its nodes read that does not depend on the input."""

    def __init__(self, path: Path) -> None:
        import onnx

        self.path, self.onnx = path, onnx
        try:
            self.graph = onnx.load(str(path), load_external_data=False).graph
        except Exception as error:  # of protobuf's own kinds
            raise fail("is no ONNX file, or not all of it", where=path, got=f"{error}".split("\n")[0][:100]) from error
        self.initializers = {each.name: each for each in self.graph.initializer}
        self.makers = {output: node for node in self.graph.node for output in node.output}
        self.readers: dict[str, list[Any]] = {}
        for node in self.graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)

    def _file(self, tensor: Any) -> Path:
        """Where an initialiser's numbers are."""
        if tensor.data_location != self.onnx.TensorProto.EXTERNAL:
            return self.path
        place = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        path = self.path.parent / place
        if Path(place).name != place or not path.is_file():
            do = "Download the file with the numbers too."
            what = f"tensor {tensor.name[:100]!a} is in a file that is not in the same folder"
            raise fail(what, where=self.path, got=ascii(place[:100]), do=do)
        return path

    def numbers(self, name: str) -> np.ndarray:
        """An initialiser's numbers."""
        try:
            return self.onnx.numpy_helper.to_array(self.initializers[name], base_dir=str(self.path.parent))
        except Exception as error:  # of several kinds
            raise fail(f"tensor {name[:100]!a} can't be read", where=self.path, got=f"{error}"[:100]) from error

    def values(self, name: str) -> Optional[Values]:
        """A tensor that does not depend on the input; None where it does."""
        if name in self.initializers:
            tensor = self.initializers[name]
            shape = tuple(tensor.dims)
            return Values(self._file(tensor), shape, functools.partial(self.numbers, name), _parameter(name))
        node = self.makers.get(name)
        if node is None or not node.input or node.input[0] not in self.initializers:
            return None
        first = self.values(node.input[0])
        if first is not None and node.op_type == "DequantizeLinear":
            return self._dequantised(node, first)
        if first is not None and node.op_type == "Transpose" and len(first.shape) == 2:
            return first._replace(shape=first.shape[::-1], read=lambda: first.read().T, name="")
        return first if first is not None and node.op_type in ("Cast", "Identity") else None

    def _dequantised(self, node: Any, first: Values) -> Values:
        """(q - zero point) * scale, by tensor, by row or column, or by blocks of them."""
        options, others = _attributes(node), [name for name in node.input[1:] if name]

        def read() -> np.ndarray:
            q, axis, block = first.read().astype(np.float32), options.get("axis", 1), options.get("block_size", 0)
            parts = [self.numbers(name).astype(np.float32) for name in others]
            axis = axis if axis >= 0 else axis + q.ndim
            if block:
                parts = [np.repeat(part, block, axis).take(range(q.shape[axis]), axis) for part in parts]
            elif parts[0].size > 1:
                parts = [part.reshape([-1 if at == axis else 1 for at in range(q.ndim)]) for part in parts]
            return (q - parts[1] if len(parts) > 1 else q) * parts[0]

        return first._replace(read=read, name=first.name.removesuffix(QUANTISED), quantised=True)

    def _of_integers(self, name: str, zero: str, first: Values) -> Values:
        """A matrix that is used in integers, as onnxruntime's dynamic quantisation does and names its scale."""
        scale = name.removesuffix(QUANTISED) + "_scale"
        if scale not in self.initializers:
            raise fail(f"there is no scale {scale[:100]!a}", where=self.path, do=TAKE_ORIGIN)

        def read() -> np.ndarray:
            q = first.read().astype(np.float32)
            return (q - self.numbers(zero).astype(np.float32) if zero else q) * self.numbers(scale)

        return first._replace(read=read, name=first.name.removesuffix(QUANTISED), quantised=True)

    def _of_bits(self, node: Any, first: Values) -> Values:
        """The matrix of a MatMulNBits: rows of blocks with a scale each."""
        options = _attributes(node)
        rows, width, bits, block = (options.get(key, 0) for key in ("N", "K", "bits", "block_size"))
        if bits not in BITS or block < 1 or rows < 1 or width < 1 or len(node.input) > 4 and node.input[4]:
            what = "MatMulNBits has options that are not read"
            raise fail(what, where=self.path, expected=f"{BITS} bits, no g_idx", got=options, do=TAKE_ORIGIN)
        zero = node.input[3] if len(node.input) > 3 else ""
        count = -(-width // block)

        def read() -> np.ndarray:
            q = _unpacked(first.read().reshape(rows * count, -1), bits).reshape(rows, count, block).astype(np.float32)
            scale = self.numbers(node.input[2]).reshape(rows, count, 1).astype(np.float32)
            points = self.numbers(zero) if zero else np.full((rows, count), 1 << (bits - 1), np.float32)
            if points.dtype == np.uint8:
                points = _unpacked(points.reshape(rows, -1), bits)[:, :count]
            return ((q - points.reshape(rows, count, 1).astype(np.float32)) * scale).reshape(rows, -1)[:, :width]

        return first._replace(shape=(rows, width), read=read, name="", quantised=True)

    def operand(self, node: Any, index: int) -> Optional[Values]:
        """What a node has for one of its inputs, if that does not depend on the model's input."""
        found = self.values(node.input[index]) if index < len(node.input) else None
        name = node.input[index] if found else ""
        if found and node.op_type == "MatMulInteger" and index == 1:
            return self._of_integers(name, node.input[3] if len(node.input) > 3 else "", found)
        if found and node.op_type == "Gather" and name.endswith(QUANTISED) and name in self.initializers:
            zero = name.removesuffix(QUANTISED) + "_zero_point"
            return self._of_integers(name, zero if zero in self.initializers else "", found)
        return self._of_bits(node, found) if found and node.op_type == "MatMulNBits" and index == 1 else found

    def module(self, node: Any) -> str:
        """The module that a node is of: by its own name, or by the bias that is added to its product."""
        name = _module(node)
        seen = 0
        while not name and node is not None and seen < 4:  # product, cast, scale, bias
            if node.op_type in ("Add", "Gemm"):
                biases = (_parameter(each) for each in node.input)
                return next((each.removesuffix(".bias") for each in biases if each.endswith(".bias")), "")
            node, seen = next(iter(self.readers.get(node.output[0], [])), None), seen + 1
        return name


def _take(graph: _Graph, weights: dict[str, Values], node: Any) -> None:
    """The parameters that a node reads."""
    for index, (part, as_torch) in ROLES.get(node.op_type, {}).items():
        found = graph.operand(node, index)
        if found is None or len(found.shape) not in (1, 2):
            continue
        product = node.op_type in PRODUCTS and part == "weight"
        if not product and not found.name:
            continue
        module = graph.module(node)
        if not module and found.name:
            module = found.name.removesuffix(f".{part}")
        if not module:
            what = (
                f"the matrix of {node.op_type} {node.name[:100]!a} has no name, nor has what is done with its product"
            )
            raise fail(what, where=graph.path, do=TAKE_ORIGIN)
        if product and not (as_torch or _attributes(node).get("transB")):
            read = found.read
            found = found._replace(shape=found.shape[::-1], read=lambda read=read: read().T)
        first = f"{re.sub(AGAIN, '', module)}.{part}"
        name = first if first in weights else f"{module}.{part}"
        other = weights.setdefault(name, found)
        if other.quantised != found.quantised:  # onnxruntime quantises shared weights where they are used first
            weights[name] = found if other.quantised else other
        elif other is not found and not np.array_equal(other.read(), found.read()):
            raise fail(f"'{name}' has two values", where=graph.path, do=TAKE_ORIGIN)


def read(path: Path) -> Weights:
    """The weights of an export."""
    if told := faults(FOR_ONNX):
        do = "Or take the checkpoint that it was made from."
        raise ConvertError(f"{path}: reading an ONNX file needs the package onnx: {told}. {do}")
    graph = _Graph(path)
    for node in graph.graph.node:
        if node.domain not in ("", "ai.onnx") and node.op_type != "MatMulNBits":
            named = f"{node.op_type[:100]!a} of {node.domain[:100]!a}"
            what = f"{named} is an operator that an optimiser put in place of others"
            raise fail(what, where=path, do=TAKE_ORIGIN)
    weights: dict[str, Values] = {}
    for node in graph.graph.node:
        _take(graph, weights, node)
    floats = (graph.onnx.TensorProto.FLOAT, graph.onnx.TensorProto.FLOAT16, graph.onnx.TensorProto.BFLOAT16)
    for name, tensor in graph.initializers.items():
        if _parameter(name) and tensor.data_type in floats:
            weights.setdefault(name, graph.values(name))
    made = {name: MadeTensor(found.path, found.shape, found.read) for name, found in weights.items()}
    return Weights(made, sum(found.quantised for found in weights.values()))
