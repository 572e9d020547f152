"""OpenVINO's CPU plugin."""

from pathlib import Path
from typing import Any

import numpy as np

from engines.peer import Peer, Settings, Unavailable

PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}  # int8 is in the model; the rest stays as exact


class OpenVino(Peer):
    """On the exported ONNX graph or on PyTorch's own, or on the latter quantised by NNCF with a calibration set; with
    several streams the batches of a workload run side by side."""

    name = "OpenVINO"
    int8_model = "openvino_static"
    # Of activations that are quantised as they come: one scale for that many numbers; 0: none are.
    group_size = 0
    # ONEDNN_MAX_CPU_ISA=AVX2 makes it slower, but doesn't keep it to AVX2: with it, 1x128 of BERT-base (22.3 GFLOP) took
    # 141 ms on a CPU whose 256-bit units can do 137 GFLOP/s.
    limits = {"avx512": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}}

    @classmethod
    def candidates(cls, precision: str, threads: int) -> list[Settings]:
        usual: Settings = {"source": "onnx", "hint": "LATENCY", "streams": 1, "shapes": "dynamic"}
        found = [usual, {**usual, "source": "pytorch"}, {**usual, "shapes": "static"}]
        if precision == "int8":
            usual["source"] = cls.int8_model
            found = [usual, {**usual, "shapes": "static"}]
        return [*found, {**usual, "hint": "THROUGHPUT", "streams": threads}]

    def __init__(self, folder: Path, precision: str, threads: int, settings: Settings):
        import openvino

        self.openvino = openvino
        self.settings = settings
        self.core = openvino.Core()
        if precision == "bfloat16" and "BF16" not in self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise Unavailable(f"{self.name} has no bfloat16 on this CPU")
        self.properties = {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": settings["hint"],
            "NUM_STREAMS": settings["streams"],
            "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": self.group_size,
        }
        files = {"onnx": "exported.onnx", "pytorch": "openvino.xml"}
        path = folder / files.get(settings["source"], f"{settings['source']}.xml")
        if not path.exists():
            raise Unavailable(f"{path.name} was not made: onnx, onnxscript and, for int8, nncf are needed")
        self.model = self.core.read_model(path)
        self.queues: dict[Any, Any] = {}  # by the shape they are compiled for; None is any

    def version(self) -> str:
        return self.openvino.__version__

    def queue(self, shape: Any) -> Any:
        """The infer requests for a shape: compiled once."""
        if shape not in self.queues:
            model = self.model.clone()
            if shape:
                model.reshape({port: list(shape) for port in model.inputs})
            compiled = self.core.compile_model(model, "CPU", self.properties)
            self.queues[shape] = self.openvino.AsyncInferQueue(compiled, self.settings["streams"])
        return self.queues[shape]

    def prepare(self, ids: np.ndarray, mask: np.ndarray) -> Any:
        return self.queue(ids.shape if self.settings["shapes"] == "static" else None), {"input_ids": ids, "attention_mask": mask}

    def run(self, batch: Any) -> Any:
        queue, inputs = batch
        return queue[0].infer(inputs)[0]

    def run_all(self, batches: list[Any]) -> list[Any]:
        if self.settings["streams"] == 1 or len(batches) == 1:
            return super().run_all(batches)
        results: list[Any] = [None] * len(batches)

        def keep(request: Any, index: int) -> None:
            results[index] = request.get_output_tensor(0).data.copy()

        for index, (queue, inputs) in enumerate(batches):
            queue.set_callback(keep)
            queue.start_async(inputs, index)
        for queue, _ in batches:
            queue.wait_all()
        return results


class OpenVinoDynamic(OpenVino):
    """With weights in int8, and activations quantised as they come."""

    name = "OpenVINO, int8 weights"
    int8_model = "openvino_weights"
    group_size = 768

    def __init__(self, folder: Path, precision: str, threads: int, settings: Settings):
        if precision != "int8":
            raise Unavailable(f"{self.name} is for int8 only")
        super().__init__(folder, precision, threads, settings)
