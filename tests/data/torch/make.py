#!/usr/bin/env python3
"""Writes files of torch.save for the tests of the converter: zip.bin, legacy.bin and expected.json in this folder.

    python3 tests/data/torch/make.py

Both files hold one state dict: every type that weights come in, views and shared storages, and the `_metadata` of a
module. `expected.json` has each tensor's values as torch sees them, and torch's version. The legacy file names its
storages by addresses, so each run writes other bytes.
"""

import json
import pathlib

import torch

HERE = pathlib.Path(__file__).resolve().parent


def state_dict() -> dict[str, torch.Tensor]:
    """The tensors; the module's two are Parameters where they are saved so."""
    module = torch.nn.Linear(3, 2)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[0.5, -1.25, 3.0], [1e-30, 2.0, -7.5]]))
        module.bias.copy_(torch.tensor([0.1, -0.1]))
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 8
    result = module.state_dict()
    result |= {
        "parameter": torch.nn.Parameter(base[0].clone()),
        "whole": base,
        "tied": base,
        "transposed": base.t(),
        "rows": base[1:3],
        "every_second": base[1:, 1::2],
        "half": base.half() + 1000,
        "bfloat16": base.bfloat16() + 3.14159,
        "double": base.double() + 1 / 3,
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "position_ids": torch.arange(5).expand(1, -1),
        "flags": torch.tensor([True, False]),
        "bytes": torch.tensor([1, 255], dtype=torch.uint8),
    }
    return result


def main() -> None:
    """Writes the three files."""
    tensors = state_dict()
    torch.save(tensors, HERE / "zip.bin")
    torch.save(tensors, HERE / "legacy.bin", _use_new_zipfile_serialization=False)
    expected = {
        name: {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape), "values": tensor.tolist()}
        for name, tensor in tensors.items()
    }
    text = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in expected.items())
    (HERE / "expected.json").write_text(f'{{"torch": "{torch.__version__}", "tensors": {{\n{text}\n}}}}\n')


if __name__ == "__main__":
    main()
