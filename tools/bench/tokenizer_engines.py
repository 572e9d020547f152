"""The tokenizers that tokenizer.py compares bertha's with, and the process of one: `python tokenizer_engines.py NAME`.

Lines in and out are JSON. First {"folder", "tokenizer", "threads"} comes in, a Hugging Face folder and the tokenizer.json
of what transformers makes of it, and {"version"} goes out, or {"unavailable": reason}. Then {"texts": FILE} names the
texts, one a line, and gets {"bytes"}; {} encodes them all in one call and gets {"ms", "cpu_ms"}; {"tokens": FILE} writes
their token ids, a JSON list a line.
"""

import importlib.metadata
import json
import os
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from engines.peer import Unavailable

Ids = list[list[int]]


class Engine(ABC):
    """A tokenizer. Its package is imported when it is made."""

    name: ClassVar[str]  # of the package
    threads: ClassVar[bool] = True  # can use several
    offsets: ClassVar[bool] = False  # of the tokens come along

    @abstractmethod
    def __init__(self, folder: Path, tokenizer: Path, threads: int):
        """Loads it. Throws Unavailable, ImportError, or what the package throws at what it can't load."""

    @abstractmethod
    def encode(self, texts: list[str]) -> Any:
        """The call that is timed, in the fastest form that the package has for lists of texts."""

    @abstractmethod
    def ids(self, encoded: Any) -> Ids:
        """The token ids of what `encode` gave."""


class Tokenizers(Engine):
    """Hugging Face's, the reference."""

    name, offsets = "tokenizers", True

    def __init__(self, folder: Path, tokenizer: Path, threads: int):
        import tokenizers

        self.its = tokenizers.Tokenizer.from_file(str(tokenizer))

    def encode(self, texts: list[str]) -> Any:
        return self.its.encode_batch(texts)

    def ids(self, encoded: Any) -> Ids:
        return [encoding.ids for encoding in encoded]


class Iree(Engine):
    name, threads = "iree-tokenizer", False

    def __init__(self, folder: Path, tokenizer: Path, threads: int):
        import iree.tokenizer

        self.its = iree.tokenizer.Tokenizer.from_file(str(tokenizer))

    def encode(self, texts: list[str]) -> Any:
        return self.its.encode_batch_to_array(texts, add_special_tokens=True)

    def ids(self, encoded: Any) -> Ids:
        flat, lengths = encoded[0].tolist(), encoded[1].tolist()
        ends = [sum(lengths[: i + 1]) for i in range(len(lengths))]
        return [flat[end - length : end] for end, length in zip(ends, lengths, strict=True)]


class Tokie(Engine):
    name = "tokie"

    def __init__(self, folder: Path, tokenizer: Path, threads: int):
        import tokie

        self.its = tokie.Tokenizer.from_json(str(tokenizer))

    def encode(self, texts: list[str]) -> Any:
        return self.its.encode_batch(texts)

    def ids(self, encoded: Any) -> Ids:
        return [list(encoding.ids) for encoding in encoded]


class Nanotoken(Engine):
    name = "nanotoken"

    def __init__(self, folder: Path, tokenizer: Path, threads: int):
        import nanotoken

        self.parallel, self.its = threads > 1, nanotoken.Tokenizer.from_json(tokenizer.read_text(encoding="utf-8"))

    def encode(self, texts: list[str]) -> Any:
        return self.its.encode_batch(texts, parallel=self.parallel)

    def ids(self, encoded: Any) -> Ids:
        return [row.tolist() for row in encoded]


class FlashTokenizer(Engine):
    name, threads = "flash-tokenizer", False

    def __init__(self, folder: Path, tokenizer: Path, threads: int):
        import flash_tokenizer

        vocabulary, its = folder / "vocab.txt", json.loads(tokenizer.read_text(encoding="utf-8"))
        if its["model"]["type"] != "WordPiece" or not vocabulary.exists():
            raise Unavailable("it reads vocab.txt of WordPiece only")
        lower = its["normalizer"].get("lowercase", False)
        self.its = flash_tokenizer.BertTokenizerFlash(str(vocabulary), do_lower_case=lower, model_max_length=1 << 30)

    def encode(self, texts: list[str]) -> Any:
        return [self.its.tokenizer.encode(text, "longest", 1 << 30) for text in texts]

    def ids(self, encoded: Any) -> Ids:
        return encoded


class Blingfire(Engine):
    name, threads = "blingfire", False
    models: ClassVar[dict[str, str]] = {
        "bert-base-uncased": "bert_base_tok.bin",
        "bert-base-cased": "bert_base_cased_tok.bin",
        "bert-base-chinese": "bert_chinese.bin",
        "bert-base-multilingual-cased": "bert_multi_cased.bin",
        "roberta-base": "roberta.bin",
        "xlm-roberta-base": "xlm_roberta_base.bin",
    }

    def __init__(self, folder: Path, tokenizer: Path, threads: int):
        import blingfire

        if folder.name not in self.models:
            raise Unavailable("it loads no vocabulary; it has models of its own for a few checkpoints")
        self.package = blingfire
        self.its = blingfire.load_model(str(Path(blingfire.__file__).parent / self.models[folder.name]))
        self.unknown = 3 if "roberta" in folder.name else 100

    def encode(self, texts: list[str]) -> Any:
        return [self.package.text_to_ids(self.its, text, len(text.encode()) + 8, self.unknown, True) for text in texts]

    def ids(self, encoded: Any) -> Ids:
        return [row.tolist() for row in encoded]


ENGINES: dict[str, type[Engine]] = {e.name: e for e in (Tokenizers, Iree, Tokie, Nanotoken, FlashTokenizer, Blingfire)}


def load(name: str, request: dict[str, Any]) -> tuple[Engine | None, dict[str, Any]]:
    """The engine and what to answer."""
    try:
        engine = ENGINES[name](Path(request["folder"]), Path(request["tokenizer"]), request["threads"])
        engine.encode(["a text"])
    except (Exception, SystemExit) as error:  # each package has errors of its own for what it can't load
        return None, {"unavailable": " ".join(str(error).split()) or type(error).__name__}
    return engine, {"version": importlib.metadata.version(name)}


def main() -> None:
    """Answers until standard input ends."""
    out = os.fdopen(os.dup(1), "w")  # what the packages print must not mix with the answers
    os.dup2(2, 1)
    answer: dict[str, Any]
    engine, answer = load(sys.argv[1], json.loads(sys.stdin.readline()))
    print(json.dumps(answer), file=out, flush=True)
    texts: list[str] = []
    encoded: Any = None
    for line in sys.stdin if engine else ():
        assert engine
        request, answer = json.loads(line), {}
        if "texts" in request:
            data = Path(request["texts"]).read_bytes()
            texts, answer["bytes"] = data.decode().removesuffix("\n").split("\n"), len(data)
        elif "tokens" in request:
            rows = (json.dumps([int(i) for i in ids]) + "\n" for ids in engine.ids(encoded))
            Path(request["tokens"]).write_text("".join(rows), encoding="utf-8")
        else:
            encoded = None
            begin, cpu_begin = time.perf_counter(), time.process_time()
            encoded = engine.encode(texts)
            answer = {"cpu_ms": (time.process_time() - cpu_begin) * 1e3, "ms": (time.perf_counter() - begin) * 1e3}
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
