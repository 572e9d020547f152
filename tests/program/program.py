"""What the tests of the bertha program share: running it, and reading what it prints.

The environment variable BERTHA_PROGRAM names the program; it runs on the models of tests/golden. Python's standard
library only.
"""

import json
import os
import pathlib
import select
import subprocess
import unittest

PROGRAM = os.environ["BERTHA_PROGRAM"]
MODELS = pathlib.Path(__file__).resolve().parent.parent / "golden" / "models"
WITH_SELF_TEST = {"classify_two", "classify_int8", "entities", "entities_int8", "answers", "answers_int8",
                  "next_sentence", "classify_bfloat16", "entities_bfloat16", "answers_bfloat16", "electra_bfloat16"} | {
    f"{family}_{kind}" for family in ("roberta", "distilbert", "electra") for kind in ("classify", "answers", "int8")} | {
    "xlm_roberta_classify", "xlm_roberta_entities", "xlm_roberta_answers", "camembert_classify", "camembert_answers",
    "albert_classify", "albert_entities", "albert_answers", "albert_bfloat16", "albert_int8",
    "embed_bert", "embed_distilbert", "embed_gemma", "embed_xlm_roberta", "rerank", "masked", "masked_untied", "masked_int8",
    "mpnet_classify", "mpnet_answers", "mpnet_int8", "masked_bfloat16", "masked_distilbert", "masked_electra", "masked_mpnet", "masked_roberta",
    "masked_xlm_roberta", "gte_classify", "jina_classify", "masked_gte", "masked_jina", "masked_modern",
    "masked_nomic", "modern_answers", "modern_bfloat16", "modern_classify", "modern_entities", "modern_int8",
    "nomic_classify", "nomic_int8",
    "deberta_answers", "deberta_bfloat16", "deberta_classify", "deberta_int8", "masked_deberta",
    "ernie_classify", "ernie_int8", "masked_ernie", "masked_megatron",
    "masked_prelayernorm", "megatron_classify", "prelayernorm_classify", "prelayernorm_int8",
    "jina_bert_answers", "jina_bert_classify", "jina_bert_int8",
    "deberta_1_answers", "deberta_1_bfloat16", "deberta_1_classify", "deberta_1_int8", "masked_deberta_1", "gte_bfloat16", "jina_bert_bfloat16", "nomic_bfloat16",
    "eurobert_classify", "eurobert_entities", "eurobert_int8", "eurobert_bfloat16", "masked_eurobert",
    "hub_deberta_bfloat16", "hub_deberta_classify", "hub_deberta_int8", "neobert_classify", "neobert_int8", "neobert_bfloat16"}
CLASSIFIER, TAGGER, ASKER = (str(MODELS / f"{name}.safetensors") for name in ("classify_two", "entities", "answers"))
THREE_LABELS = str(MODELS / "classify_multi_label.safetensors")
# Turkish letters (two bytes each) and an emoji (four bytes, two UTF-16 units).
UNICODE_TEXT = "\u0130stanbul \U0001f600 \u011f\u00fcz bank"
TEXTS = [f"{word} moved from Oslo to Lima in {number} {'and back ' * (number % 7)}there."
         for number, word in enumerate(["Ada", "Sinan", "nobody", "\u011fu", "the bank", "", "\U0001f600"] * 7)]


def run(*arguments, stdin=b""):
    """The finished process; its output as bytes."""
    if isinstance(stdin, str):
        stdin = stdin.encode()
    return subprocess.run([PROGRAM, *arguments], input=stdin, capture_output=True, timeout=120, check=False)


def start(*arguments, **options):
    """The running process, with pipes unless `options` say otherwise."""
    return subprocess.Popen([PROGRAM, *arguments], **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE,
                                                      "stderr": subprocess.PIPE, **options})


def wait_for_line(stream):
    """The next line of an unbuffered stream; fails when it doesn't come."""
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([stream], [], [], 60)[0]:
            raise AssertionError(f"no line after a minute; so far {line!r}")
        line += os.read(stream.fileno(), 1) or b" (end)\n"
    return line


def lines(process):
    """The JSON values of the lines of a process's output, each of which must end with LF."""
    text = process.stdout.decode()
    assert text == "" or text.endswith("\n"), text
    return [json.loads(line) for line in text.split("\n")[:-1]]


def is_error(value):
    return isinstance(value, dict) and "error" in value


class ProgramTest(unittest.TestCase):
    def ask(self, *arguments, stdin=b"", status=0):
        """The JSON lines of a run that must end with `status` and say nothing on stderr."""
        process = run(*arguments, stdin=stdin)
        self.assertEqual(process.returncode, status, process.stderr)
        self.assertEqual(process.stderr, b"")
        return lines(process)

    def refuse(self, *arguments, says=(), stdin=b"", status=2):
        """A run that can't do anything: status 2, a message on stderr, nothing on stdout."""
        process = run(*arguments, stdin=stdin)
        message = process.stderr.decode()
        self.assertEqual(process.returncode, status, (arguments, message))
        self.assertEqual(process.stdout, b"", arguments)
        for words in (says,) if isinstance(says, str) else says:
            self.assertIn(words, message, arguments)
        self.assertNotEqual(message.strip(), "", arguments)

    def check_error(self, value, line, code="input", says=""):
        self.assertEqual(list(value), ["error", "line"], value)
        self.assertEqual(list(value["error"]), ["code", "message"])
        self.assertEqual((value["line"], value["error"]["code"]), (line, code), value)
        self.assertIn(says, value["error"]["message"])
