"""The engines that peers.py compares, each in a process of its own."""

from engines.bertha import Bertha
from engines.ctranslate2 import CTranslate2
from engines.onnxruntime import OnnxRuntime, OnnxRuntimeReduced, OnnxRuntimeStatic
from engines.openvino import OpenVino, OpenVinoDynamic
from engines.peer import Peer
from engines.pytorch import PyTorch

ENGINES = (PyTorch, OnnxRuntime, OnnxRuntimeReduced, OnnxRuntimeStatic, OpenVino, OpenVinoDynamic, CTranslate2)
PEERS: dict[str, type[Peer]] = {peer.name: peer for peer in ENGINES}

__all__ = ["PEERS", "Bertha", "Peer"]
