"""CTranslate2's encoder; the classifier, which it has not, is one small product in numpy."""

from pathlib import Path
from typing import Any

import numpy as np

from engines.peer import Peer, Settings, Unavailable


class CTranslate2(Peer):
    """With its choice of matrix library, or MKL's, with and without packed weights; one batch at a time or several."""

    name = "CTranslate2"
    limits = {
        "avx2": {"CT2_FORCE_CPU_ISA": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
        "avx512": {"CT2_FORCE_CPU_ISA": "AVX512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    }

    @classmethod
    def candidates(cls, precision: str, threads: int) -> list[Settings]:
        usual: Settings = {"inter_threads": 1, "environment": {}}
        mkl = {"CT2_USE_MKL": "1"}
        found = [usual, {**usual, "environment": mkl}, {**usual, "environment": {"CT2_USE_MKL": "0"}}]
        found += [{**usual, "environment": {**mkl, "CT2_USE_EXPERIMENTAL_PACKED_GEMM": "1"}}]
        return found if threads == 1 else [*found, {**usual, "inter_threads": threads}]

    def __init__(self, folder: Path, precision: str, threads: int, settings: Settings):
        import ctranslate2

        self.ctranslate2 = ctranslate2
        if precision not in ctranslate2.get_supported_compute_types("cpu"):
            raise Unavailable(f"{self.name} has no {precision} on this CPU")
        if not (folder / "ctranslate2").exists():
            raise Unavailable("its converter could not convert the model")
        self.encoder = ctranslate2.Encoder(
            str(folder / "ctranslate2"),
            device="cpu",
            compute_type=precision,
            inter_threads=settings["inter_threads"],
            intra_threads=threads // settings["inter_threads"],
        )
        self.inter_threads = settings["inter_threads"]
        with np.load(folder / "classifier.npz") as classifier:
            self.weight, self.bias = classifier["weight"].T, classifier["bias"]

    def version(self) -> str:
        return self.ctranslate2.__version__

    def prepare(self, ids: np.ndarray, mask: np.ndarray) -> Any:
        """Given lengths, it leaves out the padding where it can."""
        view = self.ctranslate2.StorageView.from_array
        return view(ids.astype(np.int32)), view(mask.sum(axis=1).astype(np.int32))

    def run(self, batch: Any) -> Any:
        return np.array(self.encoder.forward_batch(*batch).pooler_output) @ self.weight + self.bias

    def run_all(self, batches: list[Any]) -> list[Any]:
        if self.inter_threads == 1 or len(batches) == 1:
            return super().run_all(batches)
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(self.inter_threads) as pool:
            return list(pool.map(self.run, batches))
