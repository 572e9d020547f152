"""Folders with an ONNX export in place of a checkpoint: weights as the exporters and onnxruntime's quantisation write them."""

from __future__ import annotations

import logging
import re
import unittest
import unittest.mock
from pathlib import Path
from typing import Any

import folders
import numpy as np
from bertha_convert import onnx_file
from bertha_convert.unpack import read_metadata
from test_conversion import FolderTest

try:
    import onnx
    from onnx import helper, numpy_helper
except ImportError:
    onnx = None
try:
    import onnxruntime.quantization
    import torch
    import transformers
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
except ImportError:
    torch = None

TOKEN, SEQUENCE, QUESTION = "token-classification", "sequence-classification", "question-answering"
BLOCK = 4


def in_bytes(values: np.ndarray, zero: float, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """Scales for the columns of a matrix, and the numbers that stand for it."""
    scale = (np.abs(values).max(axis=0) / (largest - zero)).astype(np.float32)
    return scale, np.clip(np.rint(values / scale) + zero, 0 if zero else -largest, largest)


class Export:
    """An export that is written node by node; no order of its nodes or sizes between them is right."""

    def __init__(self, **options: Any) -> None:
        self.options = {"form": "plain", "named": "nodes", **options}
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.meant: folders.Tensors = {}  # what the export stands for

    def put(self, name: str, values: np.ndarray) -> str:
        """An initialiser."""
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, kind: str, module: str, *inputs: str, op: str = "", **attributes: Any) -> str:
        """A node of a module, and the name of its output."""
        parts = re.sub(r"\.(?=\d)", ":", module).split(".")
        name = "/".join(["", *parts, op or kind]).replace(":", ".")
        out = f"{name}_output_{len(self.nodes)}"
        named = self.options["named"]
        domain = "com.microsoft" if kind == "MatMulNBits" else ""
        node = helper.make_node(
            kind,
            list(inputs),
            [out],
            name if named == "nodes" else f"{kind}_{len(self.nodes)}",
            domain=domain,
            **attributes,
        )
        if named == "scopes":
            node.metadata_props.add(key=onnx_file.SCOPES, value=str(["", module.split(".")[0], module, "linear"]))
        self.nodes.append(node)
        return out

    def matrix(self, module: str, values: np.ndarray) -> str:
        """The product with a matrix [N, K] in this export's form, and its output's name."""
        form, column = self.options["form"], np.ascontiguousarray(values.T)
        name = f"onnx::MatMul_{len(self.nodes)}"
        self.meant[f"{module}.weight"] = values
        if form == "half":
            self.meant[f"{module}.weight"] = values.astype(np.float16).astype(np.float32)
            column = column.astype(np.float16)
        if form in ("plain", "half"):
            return self.node("MatMul", module, "x", self.put(name, column))
        if form in ("dynamic", "columns"):
            scale, q = in_bytes(column if form == "columns" else column.reshape(-1, 1), 128, 255)
            q, zero = q.reshape(column.shape), np.full(scale.shape if form == "columns" else (), 128, np.uint8)
            self.meant[f"{module}.weight"] = ((q - 128) * scale).astype(np.float32).T
            self.put(f"{name}_scale", scale if form == "columns" else scale.reshape(()))
            inputs = [
                "x",
                self.put(f"{name}_quantized", q.astype(np.uint8)),
                "x_zero",
                self.put(f"{name}_zero_point", zero),
            ]
            out = self.node("MatMulInteger", module, *inputs, op="MatMul_quant")
            out = self.node("Cast", module, out, op="output_cast", to=1)
            return self.node("Mul", module, out, "scales", op="quant_output_scale_mul")
        if form == "qdq":
            scale, q = in_bytes(column, 0, 127)
            self.meant[f"{module}.weight"] = (q * scale).astype(np.float32).T
            inputs = [self.put(f"{name}_quantized", q.astype(np.int8)), self.put(f"{name}_scale", scale)]
            inputs.append(self.put(f"{name}_zero_point", np.zeros(scale.shape, np.int8)))
            return self.node("MatMul", module, "x", self.node("DequantizeLinear", module, *inputs, axis=1))
        blocks = -(-values.shape[1] // BLOCK)
        padded = np.zeros((len(values), blocks * BLOCK), np.float32)
        padded[:, : values.shape[1]] = values
        parts = padded.reshape(len(values), blocks, BLOCK)
        bits = 4 if form.startswith("four") else 8
        scale = np.maximum(np.abs(parts).max(axis=2, keepdims=True) / (2 ** (bits - 1) - 1), 1e-3).astype(np.float32)
        zero = 5 if "points" in form else 2 ** (bits - 1)
        q = np.clip(np.rint(parts / scale) + zero, 0, 2**bits - 1).astype(np.uint8)
        self.meant[f"{module}.weight"] = ((q.astype(np.float32) - zero) * scale).reshape(padded.shape)[
            :, : values.shape[1]
        ]
        inputs = [
            "x",
            self.put(f"{name}_Q{bits}", q[..., ::2] | q[..., 1::2] << 4 if bits == 4 else q),
            self.put(f"{name}_scales", scale.reshape(-1)),
        ]
        if "points" in form:
            points = np.full((len(values), -(-blocks // 2)), zero | zero << 4) if bits == 4 else np.full((len(values), blocks), zero)
            inputs.append(self.put(f"{name}_zero_points", points.astype(np.uint8)))
        sizes = {"K": values.shape[1], "N": len(values), "bits": bits, "block_size": BLOCK}
        return self.node("MatMulNBits", module, *inputs, op=f"MatMul_Q{bits}", **sizes)

    def table(self, module: str, values: np.ndarray) -> None:
        """An embedding."""
        name = f"{module}.weight"
        if self.options["form"] in ("dynamic", "columns"):
            scale, q = in_bytes(values.reshape(-1, 1), 128, 255)
            self.meant[name] = ((q.reshape(values.shape) - 128) * scale).astype(np.float32)
            self.put(f"{name}_scale", scale.reshape(()))
            self.put(f"{name}_zero_point", np.array(128, np.uint8))
            name = self.put(f"{name}_quantized", q.reshape(values.shape).astype(np.uint8))
        else:
            half = self.options["form"] == "half"
            self.meant[name] = values.astype(np.float16).astype(np.float32) if half else values
            self.put(name, values.astype(np.float16) if half else values)
        self.node("Gather", module, name, "ids")

    def write(self, path: Path, tensors: folders.Tensors, external: bool = False) -> None:
        """The whole export of a checkpoint."""
        for name, values in tensors.items():
            module, part = name.rsplit(".", 1)
            if part == "bias" or "LayerNorm" in name or "layer_norm" in name:
                self.meant[name] = values
                self.put(name, values)
        for name, values in tensors.items():
            module, part = name.rsplit(".", 1)
            if part == "bias":
                continue
            if "_embeddings" in name:
                self.table(module, values)
            elif f"{module}.bias" not in tensors:
                self.matrix(module, values)
            elif "LayerNorm" in name or "layer_norm" in name:
                if self.options["form"] == "plain":
                    self.node("LayerNormalization", module, "x", name, f"{module}.bias")
                else:
                    out = self.node("Mul", module, "x", name)
                    self.node("Add", module, out, f"{module}.bias", op="Add_1")
            elif module.startswith("classifier") and self.options["form"] == "plain":
                self.meant[name] = values
                self.node("Gemm", module, "x", self.put(name, values), f"{module}.bias", transB=1)
            else:
                self.node("Add", module, f"{module}.bias", self.matrix(module, values))
        graph = helper.make_graph(self.nodes, "main", [], [], self.initializers)
        path.parent.mkdir(exist_ok=True)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
        onnx.save(model, str(path), save_as_external_data=external, location=f"{path.name}_data", size_threshold=64)


class WithoutTheReader(FolderTest):
    def test_what_to_install_is_told(self) -> None:
        folders.write_folder(self.folder)
        (self.folder / "model.safetensors").unlink()
        (self.folder / "onnx").mkdir()
        (self.folder / "onnx/model.onnx").write_bytes(b"x")
        with unittest.mock.patch.object(onnx_file, "FOR_ONNX", {"no_such_package": "1"}):
            self.assert_refused(
                "reading an ONNX file needs the package onnx: no_such_package is missing.*pip install.*checkpoint"
            )


@unittest.skipIf(onnx is None, "needs onnx")
class Exports(FolderTest):
    def export(
        self,
        head: str = TOKEN,
        family: str = "bert",
        name: str = "onnx/model.onnx",
        external: bool = False,
        **options: Any,
    ) -> Export:
        """Writes a folder with an export for weights; what it stands for."""
        tensors = folders.write_folder(self.folder, head, 3, family)
        (self.folder / "model.safetensors").unlink(missing_ok=True)
        export = Export(**options)
        export.write(self.folder / name, tensors, external)
        return export

    def assert_meant(self, export: Export, family: str = "bert") -> None:
        """The file stands for what the export does."""
        found = self.state(family)
        self.assertEqual(sorted(found), sorted(export.meant))
        for name, values in export.meant.items():
            np.testing.assert_allclose(found[name], values, rtol=2e-7, atol=1e-7, err_msg=name)

    def test_every_form_of_weights_is_read(self) -> None:
        for form in ("plain", "half", "dynamic", "columns", "qdq", "four", "four with points", "eight", "eight with points"):
            with self.subTest(form=form):
                export = self.export(form=form)
                report = self.convert()
                self.assert_meant(export)
                self.assertEqual(report["source_files"], ["onnx/model.onnx"])
                told = [warning for warning in report["warnings"] if "were quantised" in warning]
                self.assertEqual(len(told), 0 if form in ("plain", "half") else 1)

    def test_matrices_are_named_by_nodes_scopes_or_biases(self) -> None:
        for named, family in (
            ("nodes", "roberta"),
            ("scopes", "distilbert"),
            ("biases", "electra"),
            ("nodes", "albert"),
        ):
            for form in ("plain", "dynamic", "four", "eight"):
                with self.subTest(named=named, form=form):
                    export = self.export(SEQUENCE, family, named=named, form=form)
                    self.convert()
                    self.assert_meant(export, family)

    def test_names_of_exports_and_files_with_their_numbers(self) -> None:
        for name in ("model.onnx", "onnx/model_fp16.onnx", "onnx/model_quantized.onnx"):
            export = self.export(QUESTION, name=name, external=True)
            report = self.convert()
            self.assert_meant(export)
            self.assertEqual(report["source_files"], [name, f"{name}_data"])
            self.assertEqual(sorted(read_metadata(self.out)["source"]["sha256"]), [name, f"{name}_data"])
            self.assertEqual(report["source_files_not_read"], [])
            (self.folder / f"{name}_data").unlink()
            self.out.unlink()
            self.assert_refused("in a file that is not in the same folder; got '.*_data'. Download")
            (self.folder / name).unlink()

    def test_a_checkpoint_comes_before_an_export(self) -> None:
        self.export()
        folders.write_folder(self.folder, TOKEN, 3)
        report = self.convert()
        self.assertEqual((report["source_files"], report["source_files_not_read"]), (["model.safetensors"], ["onnx"]))

    def test_modules_that_run_again_and_biases_that_are_equal_are_found(self) -> None:
        export = Export()
        tensors = folders.write_folder(self.folder, TOKEN, 3)
        (self.folder / "model.safetensors").unlink()
        equal = "bert.encoder.layer.0.output.dense.bias", "bert.encoder.layer.1.output.dense.bias"
        tensors[equal[1]] = tensors[equal[0]]
        export.write(self.folder / "model.onnx", tensors)
        model = onnx.load(str(self.folder / "model.onnx"))
        kept = [each for each in model.graph.initializer if each.name != equal[1]]
        del model.graph.initializer[:]
        model.graph.initializer.extend(kept)
        for node in model.graph.node:
            node.input[:] = [equal[0] if name == equal[1] else name for name in node.input]
        again = next(node for node in model.graph.node if node.name.endswith("layer.1/intermediate/dense/MatMul"))
        copy = model.graph.node.add()
        copy.CopyFrom(again)
        copy.name = again.name.replace("dense/", "dense_1/")
        onnx.save(model, str(self.folder / "model.onnx"))
        self.convert()
        self.assert_meant(export)
        node = helper.make_node("DequantizeLinear", ["q_quantized", "q_scale"], ["q"])
        quantised = [np.zeros((12, 20), np.int8), np.float32(1)]
        parts = [numpy_helper.from_array(np.array(each), name) for each, name in zip(quantised, node.input)]
        model.graph.initializer.extend(parts)
        model.graph.node.append(node)
        copy.input[1] = "q"  # as onnxruntime leaves weights that several nodes share: only what is not quantised counts
        onnx.save(model, str(self.folder / "model.onnx"))
        self.assertEqual(self.convert()["warnings"], [])
        self.assert_meant(export)

    def test_exports_that_can_not_be_read_are_refused(self) -> None:
        self.export(name="model.onnx")
        path = self.folder / "model.onnx"
        whole = path.read_bytes()

        def changed(change: Any) -> None:
            model = onnx.load_from_string(whole)
            change(model.graph)
            path.write_bytes(model.SerializeToString())

        def product(graph: Any) -> Any:
            return next(node for node in graph.node if node.op_type == "MatMul")

        def fused(graph: Any) -> None:
            node = product(graph)
            node.op_type, node.domain = "Attention", "com.microsoft"

        def nameless(graph: Any) -> None:
            node = product(graph)
            node.name, node.output[0] = "", "nobody reads it"

        def outside(graph: Any) -> None:
            tensor = graph.initializer[0]
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="../config.json")
            tensor.ClearField("raw_data")

        def two(graph: Any) -> None:
            nodes = [node for node in graph.node if node.op_type == "MatMul"]
            nodes[0].name = nodes[1].name

        def short(graph: Any) -> None:
            graph.initializer[3].raw_data = graph.initializer[3].raw_data[:-4]

        def scaleless(graph: Any) -> None:
            node = product(graph)
            node.op_type = "MatMulInteger"

        def odd_bits(graph: Any) -> None:
            node = product(graph)
            node.op_type, node.domain = "MatMulNBits", "com.microsoft"
            node.attribute.add(name="bits", type=2, i=3)

        for change, pattern in (
            (fused, "'Attention' of 'com.microsoft' is an operator that an optimiser put"),
            (nameless, "has no name, nor has what is done"),
            (outside, "in a file that is not in the same folder; got '../config.json'"),
            (two, "has two values|is missing"),
            (short, "can't be read"),
            (scaleless, "there is no scale"),
            (odd_bits, "has options that are not read"),
            (lambda graph: graph.node.remove(product(graph)), "is missing"),
        ):
            changed(change)
            with self.subTest(pattern=pattern):
                self.assert_refused(pattern)
        for damaged in (b"", b"x" * 50, whole[: len(whole) // 2]):
            path.write_bytes(damaged)
            self.assert_refused("is no ONNX file|is missing")

    @unittest.skipIf(torch is None, "needs torch, transformers, onnxruntime")
    def test_exports_of_torch_and_what_onnxruntime_makes_of_them(self) -> None:
        logging.disable(logging.WARNING)
        self.addCleanup(logging.disable, logging.NOTSET)
        folders.write_folder(self.folder, SEQUENCE, 3)
        transformers.logging.set_verbosity_error()
        model = transformers.BertForSequenceClassification.from_pretrained(self.folder).eval()
        expected = {name: values.numpy() for name, values in model.state_dict().items() if "position_ids" not in name}
        (self.folder / "model.safetensors").unlink()
        ids = torch.tensor([[2, 5, 6, 3]])
        path = self.folder / "model.onnx"
        axes = {name: {0: "batch", 1: "length"} for name in ("input_ids", "attention_mask", "token_type_ids")}
        options: Any = {"input_names": list(axes), "dynamic_axes": axes, "dynamo": False, "opset_version": 17}
        torch.onnx.export(model, (ids, torch.ones_like(ids), torch.zeros_like(ids)), str(path), **options)
        plain = path.read_bytes()
        steps: Any = {
            "plain": lambda: None,
            "dynamic": lambda: onnxruntime.quantization.quantize_dynamic(str(path), str(path)),
            "columns": lambda: onnxruntime.quantization.quantize_dynamic(str(path), str(path), per_channel=True),
            "four": lambda: self.by_blocks(path),
        }
        for name, step in steps.items():
            path.write_bytes(plain)
            step()
            self.convert()
            found = self.state()
            self.assertEqual(sorted(found), sorted(expected))
            for tensor, values in expected.items():
                bound = {"plain": 0, "four": np.abs(values).max() / 7}.get(name, np.abs(values).max() / 120)
                np.testing.assert_allclose(found[tensor], values, rtol=0, atol=bound, err_msg=f"{name}: {tensor}")

    def by_blocks(self, path: Path) -> None:
        """Weights of four bits; and the matrix is that which onnxruntime multiplies with."""
        quantizer = MatMulNBitsQuantizer(onnx.load(str(path)), block_size=16, is_symmetric=False)
        quantizer.process()
        quantizer.model.save_model_to_file(str(path))
        model = quantizer.model.model
        node = next(node for node in model.graph.node if node.op_type == "MatMulNBits")
        rows = {attribute.name: attribute.i for attribute in node.attribute}
        given = helper.make_tensor_value_info(node.input[0], 1, [rows["K"], rows["K"]])
        out = helper.make_tensor_value_info(node.output[0], 1, [rows["K"], rows["N"]])
        initializers = [each for each in model.graph.initializer if each.name in node.input]
        small = helper.make_model(
            helper.make_graph([node], "one", [given], [out], initializers), opset_imports=model.opset_import
        )
        small.ir_version = model.ir_version
        session = onnxruntime.InferenceSession(small.SerializeToString())
        product = session.run(None, {node.input[0]: np.eye(rows["K"], dtype=np.float32)})[0]
        module = ".".join(node.name.split("/")[1:-1])
        read = onnx_file.read(path).tensors[f"{module}.weight"].values()
        np.testing.assert_allclose(read.T, product, atol=1e-6)


if __name__ == "__main__":
    unittest.main()
