"""ONNX Runtime on its CPU provider, which has no bfloat16 kernels for x86-64, and can't be kept off an instruction set."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from engines.peer import Peer, Settings, Unavailable


class OnnxRuntime(Peer):
    """With all graph optimisations: in float32 on the exported graph or on that with the fusions of
    onnxruntime.transformers, in int8 on the latter with weights quantised for each output and activations as they come."""

    name = "ONNX Runtime"
    models: ClassVar[dict[str, list[str]]] = {"float32": ["fused", "exported"], "int8": ["dynamic"]}  # the fastest first

    @classmethod
    def candidates(cls, precision: str, threads: int) -> list[Settings]:
        models = cls.models.get(precision, [""])
        found: list[Settings] = [{"model": model, "spinning": "1"} for model in models]
        return found if threads == 1 else [*found, {"model": models[0], "spinning": "0"}]

    def __init__(self, folder: Path, precision: str, threads: int, settings: Settings):
        import onnxruntime

        if precision not in self.models:
            raise Unavailable(f"{self.name} has no {precision} on this CPU")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_session_config_entry("session.intra_op.allow_spinning", settings["spinning"])
        path = folder / f"{settings['model']}.onnx"
        if not path.exists():
            raise Unavailable(f"{path.name} was not made: onnx and onnxscript are needed")
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def version(self) -> str:
        import onnxruntime

        return onnxruntime.__version__

    def prepare(self, ids: np.ndarray, mask: np.ndarray) -> Any:
        return {"input_ids": ids, "attention_mask": mask}

    def run(self, batch: Any) -> Any:
        return self.session.run(None, batch)[0]


class OnnxRuntimeReduced(OnnxRuntime):
    """With weights of 7 bits, whose sums don't saturate where there is no VNNI."""

    name = "ONNX Runtime, reduce_range"
    models: ClassVar[dict[str, list[str]]] = {"int8": ["dynamic_reduced"]}


class OnnxRuntimeStatic(OnnxRuntime):
    """With activations quantised by ranges that were found on a calibration set."""

    name = "ONNX Runtime, static"
    models: ClassVar[dict[str, list[str]]] = {"int8": ["static"]}
