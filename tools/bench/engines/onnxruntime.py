"""ONNX Runtime on its CPU provider, which has no bfloat16 kernels for x86-64, and can't be kept off an instruction set."""

from pathlib import Path
from typing import Any

import numpy as np

from engines.peer import Peer, Settings, Unavailable


class OnnxRuntime(Peer):
    """With all graph optimisations, on the exported graph or on that with the fusions of onnxruntime.transformers."""

    name = "ONNX Runtime"

    @classmethod
    def candidates(cls, threads: int) -> list[Settings]:
        found: list[Settings] = [{"model": "fused", "spinning": "1"}, {"model": "exported", "spinning": "1"}]
        return found if threads == 1 else [*found, {"model": "fused", "spinning": "0"}]

    def __init__(self, folder: Path, precision: str, threads: int, settings: Settings):
        import onnxruntime

        if precision != "float32":
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
