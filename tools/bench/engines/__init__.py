"""The engines that peers.py compares, each in a process of its own."""

from engines.bertha import Bertha
from engines.ctranslate2 import CTranslate2
from engines.onnxruntime import OnnxRuntime
from engines.openvino import OpenVino
from engines.peer import Peer
from engines.pytorch import PyTorch

PEERS: dict[str, type[Peer]] = {peer.name: peer for peer in (PyTorch, OnnxRuntime, OpenVino, CTranslate2)}

__all__ = ["PEERS", "Bertha", "Peer"]
