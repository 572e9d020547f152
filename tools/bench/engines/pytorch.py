"""PyTorch, by transformers' own classes."""

from pathlib import Path
from typing import Any

import numpy as np

from engines.peer import Peer, Settings, Unavailable


class PyTorch(Peer):
    """Under inference_mode; eager or compiled, where frozen weights let the compiler pack them for oneDNN."""

    name = "PyTorch"
    limits = {
        "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
        "avx512": {"ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    }

    @classmethod
    def candidates(cls, precision: str, threads: int) -> list[Settings]:
        return [
            {"attention": "sdpa", "compile": "frozen"},
            {"attention": "sdpa", "compile": "no"},
            {"attention": "eager", "compile": "no"},
            {"attention": "sdpa", "compile": "yes"},
        ]

    def __init__(self, folder: Path, precision: str, threads: int, settings: Settings):
        import models
        import torch

        if precision == "int8":
            raise Unavailable(f"{self.name} has no int8 encoder that its documentation still recommends")
        self.torch = torch
        torch.set_num_threads(threads)
        model = models.loaded(folder, settings["attention"], dtype=getattr(torch, precision))
        if settings["compile"] != "no":
            import torch._inductor.config

            torch._inductor.config.freezing = settings["compile"] == "frozen"
            model = torch.compile(model)
        self.model = model

    def version(self) -> str:
        return self.torch.__version__

    def prepare(self, ids: np.ndarray, mask: np.ndarray) -> Any:
        """Without a mask when there is no padding: that is the fastest way to call it."""
        tensors = {"input_ids": self.torch.from_numpy(ids)}
        if not mask.all():
            tensors["attention_mask"] = self.torch.from_numpy(mask)
        return tensors

    def run(self, batch: Any) -> Any:
        with self.torch.inference_mode():
            return self.model(**batch).logits

    def logits(self, result: Any) -> np.ndarray:
        return result.float().numpy()
