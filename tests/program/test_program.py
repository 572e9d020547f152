"""The bertha program as its users meet it: what goes in, what comes out, and what it says when something is wrong.

Runs the program that the environment variable BERTHA_PROGRAM names on the models of tests/golden. Python's standard
library only.
"""

import json
import math
import os
import pathlib
import struct
import subprocess
import tempfile
import unittest

PROGRAM = os.environ["BERTHA_PROGRAM"]
MODELS = pathlib.Path(__file__).resolve().parent.parent / "golden" / "models"
WITH_SELF_TEST = {"classify_two", "classify_int8", "entities", "entities_int8", "answers", "answers_int8",
                  "classify_bfloat16", "entities_bfloat16", "answers_bfloat16", "electra_bfloat16"} | {
    f"{family}_{kind}" for family in ("roberta", "distilbert", "electra") for kind in ("classify", "answers", "int8")}
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


class Output(ProgramTest):
    def test_keys_come_in_the_order_of_the_pipelines(self):
        [[label]] = self.ask("classify", CLASSIFIER, "Ada moved to Lima.")
        self.assertEqual(list(label), ["label", "score"])
        [tokens] = self.ask("ner", TAGGER, "Ada moved to Lima.")
        self.assertEqual(list(tokens[0]), ["entity", "score", "index", "word", "start", "end"])
        [groups] = self.ask("ner", TAGGER, "Ada moved to Lima.", "--aggregation", "simple")
        self.assertEqual(list(groups[0]), ["entity_group", "score", "word", "start", "end"])
        [answer] = self.ask("qa", ASKER, "--question", "Where does Sinan live?", "--context", "Sinan lives in Boston")
        self.assertEqual(list(answer), ["score", "start", "end", "answer"])
        [encoding] = self.ask("tokenize", CLASSIFIER, "Ada")
        self.assertEqual(list(encoding), ["ids", "type_ids", "tokens", "offsets"])
        [encoding] = self.ask("tokenize", CLASSIFIER, "Ada", "--all")
        self.assertEqual(list(encoding),
                         ["ids", "type_ids", "tokens", "offsets", "word_ids", "special_tokens_mask"])

    def test_json_is_compact_and_its_text_is_not_escaped(self):
        process = run("ner", TAGGER, UNICODE_TEXT)
        self.assertIn("\U0001f600".encode(), run("tokenize", str(MODELS / "entities_cased.safetensors"),
                                                 "\U0001f600").stdout + process.stdout)
        for arguments in (("classify", THREE_LABELS, "a", "--top-k", "all"), ("tokenize", TAGGER, UNICODE_TEXT),
                          ("ner", TAGGER, UNICODE_TEXT), ("ner", TAGGER, UNICODE_TEXT, "--aggregation", "simple")):
            text = run(*arguments).stdout.decode().rstrip("\n")
            self.assertEqual(text, json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":")))
        self.assertIn("\u00fc".encode(), run("classify", THREE_LABELS, "a", "--top-k", "all").stdout)

    def test_scores_are_float32_numbers(self):
        for [label] in self.ask("classify", CLASSIFIER, *TEXTS[:10]):
            self.assertEqual(struct.unpack("f", struct.pack("f", label["score"]))[0], label["score"])

    def test_top_k_gives_so_many_labels_best_first(self):
        for top_k, n in (("1", 1), ("2", 2), ("3", 3), ("9", 3), ("all", 3)):
            [labels] = self.ask("classify", THREE_LABELS, "Ada", "--top-k", top_k)
            self.assertEqual(len(labels), n)
            self.assertEqual([x["score"] for x in labels], sorted((x["score"] for x in labels), reverse=True))
        [one] = self.ask("classify", THREE_LABELS, "Ada")
        self.assertEqual(one, labels[:1])

    def test_qa_gives_a_list_when_more_answers_are_asked_for(self):
        arguments = ("qa", ASKER, "--question", "Where does Sinan live?", "--context", "Sinan lives in Boston")
        [best] = self.ask(*arguments)
        [answers] = self.ask(*arguments, "--top-k", "3")
        self.assertEqual(len(answers), 3)
        # Not the same score: more candidates are added up, as there.
        self.assertEqual([answers[0][key] for key in ("start", "end")], [best[key] for key in ("start", "end")])
        self.assertEqual(best["answer"], "Sinan lives in Boston"[best["start"]:best["end"]])

    def test_aggregation_none_is_the_default(self):
        self.assertEqual(self.ask("ner", TAGGER, *TEXTS), self.ask("ner", TAGGER, "--aggregation", "none", *TEXTS))

    def test_offsets_count_in_the_unit_that_was_asked_for(self):
        utf16 = UNICODE_TEXT.encode("utf-16-le")
        cut = {"code_point": lambda s, e: UNICODE_TEXT[s:e],
               "byte": lambda s, e: UNICODE_TEXT.encode()[s:e].decode(),
               "utf16": lambda s, e: utf16[2 * s:2 * e].decode("utf-16-le")}
        [default] = self.ask("tokenize", TAGGER, UNICODE_TEXT)
        pieces = [UNICODE_TEXT[s:e] for s, e in default["offsets"]]
        self.assertIn("\U0001f600", pieces)
        self.assertEqual(pieces[-2], "bank")
        for unit, text_at in cut.items():
            [encoding] = self.ask("tokenize", TAGGER, UNICODE_TEXT, "--offsets", unit)
            self.assertEqual([text_at(s, e) for s, e in encoding["offsets"]], pieces)
            [entities] = self.ask("ner", TAGGER, UNICODE_TEXT, "--offsets", unit)
            self.assertEqual([text_at(x["start"], x["end"]) for x in entities],
                             [pieces[x["index"]] for x in entities])
            self.assertTrue(entities)
            [answers] = self.ask("qa", ASKER, "--question", "who", "--context", UNICODE_TEXT, "--offsets", unit,
                                 "--top-k", "5")
            for answer in answers:
                self.assertEqual(text_at(answer["start"], answer["end"]), answer["answer"])
        ends = {unit: self.ask("tokenize", TAGGER, UNICODE_TEXT, "--offsets", unit)[0]["offsets"][-2][1]
                for unit in cut}
        self.assertEqual(ends, {"code_point": 19, "utf16": 20, "byte": 25})

    def test_offsets_of_a_pair_count_in_each_text(self):
        line = json.dumps({"text": "\u011f a", "text_pair": "\U0001f600 a"})
        for unit, ends in (("code_point", (3, 3)), ("utf16", (3, 4)), ("byte", (4, 6))):
            [encoding] = self.ask("tokenize", TAGGER, "--jsonl", "--offsets", unit, stdin=line)
            first_end = encoding["tokens"].index("[SEP]") - 1
            self.assertEqual((encoding["offsets"][first_end][1], encoding["offsets"][-2][1]), ends)

    def test_results_do_not_depend_on_threads_or_batches(self):
        for command, model in (("classify", CLASSIFIER), ("ner", TAGGER)):
            text = "\n".join(TEXTS)
            one = run(command, model, "--threads", "1", "--batch-size", "1", stdin=text).stdout
            self.assertEqual(one.count(b"\n"), len(TEXTS))
            for threads, batch in (("2", "1"), ("1", "32"), ("2", "32"), ("0", "7"), ("2", "1000")):
                self.assertEqual(run(command, model, "--threads", threads, "--batch-size", batch, stdin=text).stdout, one)


class TextsAndLines(ProgramTest):
    def test_texts_and_lines_give_the_same(self):
        texts = [text for text in TEXTS if text.strip()]
        for command, model in (("classify", CLASSIFIER), ("ner", TAGGER), ("tokenize", CLASSIFIER)):
            from_texts = run(command, model, *texts).stdout
            self.assertEqual(run(command, model, stdin="\n".join(texts)).stdout, from_texts)
            objects = "\n".join(json.dumps({"text": text}) for text in texts)
            self.assertEqual(run(command, model, "--jsonl", stdin=objects).stdout, from_texts)

    def test_a_text_is_taken_as_it_is(self):
        for text in ("[MASK]", "[hello, world]", "[]", "[", "\x01[a]", "a,b", "'quoted'", "", "%s", "a=b", " "):
            [encoding] = self.ask("tokenize", CLASSIFIER, text)
            [line] = self.ask("tokenize", CLASSIFIER, "--jsonl", stdin=json.dumps({"text": text}))
            self.assertEqual(encoding, line, text)
        arguments = ("qa", ASKER, "--question", "[who, where]", "--context")
        self.assertEqual(self.ask(*arguments, "[Ada, Lima]"), self.ask(*arguments[:-1], stdin="[Ada, Lima]"))
        self.assertEqual(len(self.ask("tokenize", CLASSIFIER, "[a, b]", "c", "[d]")), 3)
        [encoding] = self.ask("tokenize", CLASSIFIER, "--", "--jsonl")
        self.assertEqual(encoding, self.ask("tokenize", CLASSIFIER, stdin="--jsonl")[0])

    def test_lines_end_at_lf_or_crlf_and_lose_a_byte_order_mark(self):
        plain = run("tokenize", CLASSIFIER, stdin="one bank\nin Lima\n").stdout
        self.assertEqual(plain.count(b"\n"), 2)
        for stdin in ("one bank\nin Lima", "one bank\r\nin Lima\r\n", "\ufeffone bank\nin Lima\n",
                      "\ufeffone bank\r\nin Lima"):
            self.assertEqual(run("tokenize", CLASSIFIER, stdin=stdin).stdout, plain, stdin)
        spaces = self.ask("tokenize", CLASSIFIER, stdin="  bank \n")[0]
        self.assertEqual(spaces["offsets"][1], [2, 6])

    def test_empty_lines_are_empty_texts(self):
        out = self.ask("tokenize", CLASSIFIER, stdin="\nbank\n\n")
        self.assertEqual([x["tokens"] for x in out], [["[CLS]", "[SEP]"], ["[CLS]", "bank", "[SEP]"], ["[CLS]", "[SEP]"]])
        self.assertEqual(self.ask("ner", TAGGER, stdin="\n"), [[]])
        self.assertEqual(len(self.ask("classify", CLASSIFIER, stdin="\n")[0]), 1)

    def test_nothing_in_gives_nothing_out(self):
        for command, model in (("classify", CLASSIFIER), ("ner", TAGGER), ("tokenize", CLASSIFIER)):
            self.assertEqual(self.ask(command, model), [])
            self.assertEqual(self.ask(command, model, "--jsonl"), [])
        self.assertEqual(self.ask("qa", ASKER, "--jsonl"), [])

    def test_qa_reads_a_context_per_line(self):
        contexts = ["Sinan lives in Boston", "Ada lives in Lima"]
        out = self.ask("qa", ASKER, "--question", "Where?", stdin="\n".join(contexts))
        self.assertEqual(out, [self.ask("qa", ASKER, "--question", "Where?", "--context", c)[0] for c in contexts])
        objects = "\n".join(json.dumps({"context": c, "question": "Where?"}) for c in contexts)
        self.assertEqual(self.ask("qa", ASKER, "--jsonl", stdin=objects), out)

    def test_pairs_are_not_two_texts_in_one(self):
        pair = json.dumps({"text": "one bank", "text_pair": "in Lima"})
        [encoding] = self.ask("tokenize", CLASSIFIER, "--jsonl", stdin=pair)
        self.assertEqual(encoding["tokens"].count("[SEP]"), 2)
        self.assertIn(1, encoding["type_ids"])
        together, alone = self.ask("classify", CLASSIFIER, "--jsonl", stdin=pair + "\n" + '{"text":"one bank"}')
        self.assertNotEqual(together, alone)
        [error] = self.ask("ner", TAGGER, "--jsonl", stdin=pair, status=1)
        self.check_error(error, 1, says="text_pair")


class BadLines(ProgramTest):
    BAD = {'{"text":': "not valid JSON", '{"txt":"a"}': '"text"', '{"text":5}': "number", '{"text":null}': "null",
           '["a"]': "object", '"a"': "object", "null": "object", "": "not valid JSON", "nonsense": "not valid JSON",
           r'{"text":"\ud800"}': "not valid JSON", r'{"text":"\udc00x"}': "not valid JSON",
           '{"text":"a","text_pair":["b"]}': "text_pair", '{"text":"a"} {"text":"b"}': "not valid JSON",
           "[" * 100000: "not valid JSON"}

    def test_a_bad_line_gives_an_error_in_its_place_and_the_others_go_on(self):
        good = '{"text":"Ada moved to Lima."}'
        [expected] = self.ask("classify", CLASSIFIER, "--jsonl", stdin=good)
        for batch in ("1", "4", "100"):
            stdin = "\n".join(good + "\n" + bad for bad in self.BAD)
            out = self.ask("classify", CLASSIFIER, "--jsonl", "--batch-size", batch, stdin=stdin + "\n" + good, status=1)
            self.assertEqual(len(out), 2 * len(self.BAD) + 1)
            self.assertEqual(out[::2], [expected] * (len(self.BAD) + 1))
            for i, says in enumerate(self.BAD.values()):
                self.check_error(out[2 * i + 1], 2 * i + 2, says=says)

    def test_a_null_text_pair_is_none(self):
        out = self.ask("classify", CLASSIFIER, "--jsonl", stdin='{"text":"a","text_pair":null}\n{"text":"a"}')
        self.assertEqual(out[0], out[1])

    def test_escapes_are_the_characters_that_they_stand_for(self):
        escaped, plain = self.ask("tokenize", TAGGER, "--jsonl", stdin='{"text":"\\ud83d\\ude00 \\u0130"}\n' +
                                  json.dumps({"text": "\U0001f600 \u0130"}, ensure_ascii=False))
        self.assertEqual(escaped, plain)

    def test_qa_needs_both_keys_in_every_line(self):
        stdin = '{"question":"Where?"}\n{"context":"Boston"}\n{"question":"Where?","context":null}\n' \
                '{"question":"Where?","context":"in Boston"}\n{"question":"","context":"Boston"}\n' \
                '{"question":"Where?","context":""}'
        out = self.ask("qa", ASKER, "--jsonl", stdin=stdin, status=1)
        for i, says in ((0, '"context"'), (1, '"question"'), (2, "null"), (4, "question is empty"),
                        (5, "context is empty")):
            self.check_error(out[i], i + 1, says=says)
        self.assertEqual(list(out[3]), ["score", "start", "end", "answer"])

    def test_empty_arguments_of_qa_are_empty_texts(self):
        [error] = self.ask("qa", ASKER, "--question", "", "--context", "Boston", status=1)
        self.check_error(error, 1, says="question is empty")
        [error] = self.ask("qa", ASKER, "--question", "Where?", "--context", "", stdin="Boston", status=1)
        self.check_error(error, 1, says="context is empty")

    def test_invalid_utf8_is_an_error_or_replaced(self):
        stdin = b"bank\nba\xffnk\n\xe2\x82\nbank\n"
        out = self.ask("tokenize", CLASSIFIER, stdin=stdin, status=1)
        self.assertEqual(out[0], out[3])
        self.check_error(out[1], 2, says="2")  # the position of the byte
        self.check_error(out[2], 3)
        self.assertEqual(self.ask("tokenize", CLASSIFIER, "--invalid-utf8", "error", stdin=stdin, status=1), out)
        replaced = self.ask("tokenize", CLASSIFIER, "--invalid-utf8", "replace", stdin=stdin)
        as_python = stdin.decode(errors="replace").encode()
        self.assertEqual(replaced, self.ask("tokenize", CLASSIFIER, stdin=as_python))
        out = self.ask("classify", CLASSIFIER, "--jsonl", stdin=b'{"text":"a\xff"}\n{"text":"a"}', status=1)
        self.check_error(out[0], 1)
        self.assertFalse(is_error(out[1]))
        process = run("classify", CLASSIFIER, b"ba\xffnk")
        self.assertEqual(process.returncode, 1)
        self.check_error(lines(process)[0], 1)
        out = self.ask("qa", ASKER, "--question", b"wh\xffo", "--context", "in Boston", status=1)
        self.check_error(out[0], 1)
        expected = self.ask("qa", ASKER, "--question", "wh\ufffdo", "--context", "in \ufffd Boston")
        replace = ("--question", b"wh\xffo", "--invalid-utf8", "replace")
        self.assertEqual(self.ask("qa", ASKER, *replace, "--context", b"in \xff Boston"), expected)
        self.assertEqual(self.ask("qa", ASKER, *replace, stdin=b"in \xff Boston\n"), expected)
        self.assertEqual(self.ask("tokenize", CLASSIFIER, b"ba\xffnk", "--invalid-utf8", "replace"), replaced[1:2])

    def test_a_text_that_is_too_long_is_an_error_with_both_numbers(self):
        long = "bank " * 600
        out = self.ask("classify", CLASSIFIER, stdin=f"bank\n{long}\nbank\n", status=1)
        self.check_error(out[1], 2, says="602")
        self.assertIn("128", out[1]["error"]["message"])
        self.assertEqual(out[0], out[2])
        self.assertEqual(len(self.ask("tokenize", CLASSIFIER, long)[0]["ids"]), 602)
        self.assertTrue(self.ask("ner", TAGGER, long))
        [answer] = self.ask("qa", ASKER, "--question", "Where?", "--context", long)
        self.assertEqual(long[answer["start"]:answer["end"]], answer["answer"])
        [error] = self.ask("qa", ASKER, "--question", long, "--context", "Boston", status=1)
        self.check_error(error, 1)


class Usage(ProgramTest):
    def test_wrong_arguments_end_with_status_2(self):
        for arguments in ((), ("nonsense",), ("classify",), ("ner",), ("qa",), ("tokenize",), ("verify",), ("inspect",),
                          ("bench",), ("classify", CLASSIFIER, "--nonsense"), ("verify", CLASSIFIER, "b"),
                          ("classify", CLASSIFIER, "a", "--top-k", "0"), ("classify", CLASSIFIER, "a", "--top-k", "-1"),
                          ("classify", CLASSIFIER, "a", "--top-k", "some"), ("classify", CLASSIFIER, "a", "--top-k"),
                          ("classify", CLASSIFIER, "a", "--threads", "x"), ("classify", CLASSIFIER, "--threads", "-1"),
                          ("classify", CLASSIFIER, "a", "--batch-size", "0"), ("classify", CLASSIFIER, "a", "--jsonl"),
                          ("classify", CLASSIFIER, "a", "--invalid-utf8", "ignore"),
                          ("ner", TAGGER, "a", "--aggregation", "most"), ("ner", TAGGER, "a", "--offsets", "word"),
                          ("ner", TAGGER, "a", "--jsonl"), ("tokenize", TAGGER, "a", "--jsonl"), ("qa", ASKER),
                          ("qa", ASKER, "--context", "a"), ("qa", ASKER, "--question", "a", "--jsonl"),
                          ("qa", ASKER, "--question", "a", "--context", "b", "--top-k", "0"),
                          ("bench", CLASSIFIER, "--batch", "0"), ("bench", CLASSIFIER, "--precision", "int4"),
                          ("bench", CLASSIFIER, "--repeat", "0"), ("bench", CLASSIFIER, "--logits"),
                          ("inspect", CLASSIFIER, "--batch", "2"), ("inspect", CLASSIFIER, "--precision", "int8"),
                          ("bench", CLASSIFIER, "--jsonl", "--batch", "2"), ("bench", CLASSIFIER, "--jsonl", "--length", "2"),
                          ("bench", CLASSIFIER, "--jsonl", "--repeat", "2"), ("classify", CLASSIFIER, "a", "--offsets", "byte")):
            self.refuse(*arguments)

    def test_a_word_that_an_option_does_not_know_is_named_beside_those_it_knows(self):
        self.refuse("bench", CLASSIFIER, "--memory", "tiny", says=("--memory", "fast, small", "'tiny'"))
        self.refuse("bench", CLASSIFIER, "--precision", "int4",
                    says=("--precision", "bfloat16, float32, float32_strict, int8", "'int4'"))
        self.refuse("ner", TAGGER, "a", "--offsets", "word", says=("--offsets", "byte, code_point, utf16", "'word'"))

    def test_both_kinds_of_memory_run(self):
        for memory in ("fast", "small"):
            self.assertEqual(len(self.ask("bench", CLASSIFIER, "--length", "4", "--repeat", "1", "--memory", memory)), 1)

    def test_a_model_of_another_head_is_refused_by_both_names(self):
        self.refuse("classify", TAGGER, "a", says=("token-classification", "sequence-classification"))
        self.refuse("ner", ASKER, "a", says=("token-classification", "question-answering"))
        self.refuse("qa", CLASSIFIER, "--question", "a", "--context", "b", says=("question-answering",))
        self.refuse("logits", str(MODELS / "encoder.safetensors"), "a", says=("encoder.safetensors", "no head"))

    def test_help_and_version_go_to_stdout(self):
        process = run("--version")
        self.assertEqual((process.returncode, process.stderr), (0, b""))
        self.assertRegex(process.stdout.decode(), r"^\d+\.\d+\.\d+\n$")
        for arguments in (("--help",), ("classify", "--help"), ("qa", "--help"), ("bench", "--help")):
            process = run(*arguments)
            self.assertEqual((process.returncode, process.stderr), (0, b""))
            self.assertIn(b"Usage", process.stdout)
        for command in ("classify", "ner", "qa", "logits", "tokenize", "verify", "inspect", "bench"):
            self.assertIn(command.encode(), run("--help").stdout)

    def test_an_unknown_level_is_refused(self):
        process = subprocess.run([PROGRAM, "classify", CLASSIFIER, "a"], capture_output=True, timeout=60, check=False,
                                 env={**os.environ, "BERTHA_ISA": "sse9"})
        self.assertEqual((process.returncode, process.stdout), (2, b""))
        self.assertIn(b"sse9", process.stderr)


class Files(ProgramTest):
    COMMANDS = (("classify", "a"), ("ner", "a"), ("qa", "--question", "a", "--context", "b"), ("logits", "a"),
                ("tokenize", "a"), ("verify",), ("inspect",), ("bench", "--length", "8", "--repeat", "1"))

    def refuse_by_all(self, path, says):
        for command, *arguments in self.COMMANDS:
            self.refuse(command, path, *arguments, says=says)

    def test_a_missing_file_is_refused_by_name(self):
        self.refuse_by_all("no_such.safetensors", ("no_such.safetensors",))

    def test_a_folder_is_refused(self):
        self.refuse_by_all(str(MODELS), (str(MODELS), "directory"))

    def test_files_that_are_cut_off_are_refused(self):
        whole = pathlib.Path(CLASSIFIER).read_bytes()
        header = 8 + int.from_bytes(whole[:8], "little")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "cut.safetensors")
            for size in (0, 1, 7, 8, 9, 100, header - 1, header, header + 1, header + 64, len(whole) // 2,
                         len(whole) - 64, len(whole) - 1):
                pathlib.Path(path).write_bytes(whole[:size])
                for command, *arguments in (("classify", "a"), ("inspect",), ("tokenize", "a")):
                    self.refuse(command, path, *arguments, says=path)
            pathlib.Path(path).write_bytes(whole + b"\0")
            self.refuse("inspect", path, says=path)

    def test_verify_passes_every_golden_model(self):
        for path in MODELS.glob("*.safetensors"):
            [result] = self.ask("verify", str(path))
            self.assertEqual(list(result), ["verified", "cases", "tensors", "level"])
            self.assertIs(result["verified"], True)
            self.assertEqual(result["cases"] > 0, path.stem in WITH_SELF_TEST)

    def test_verify_finds_a_flipped_bit(self):
        whole = bytearray(pathlib.Path(CLASSIFIER).read_bytes())
        whole[-100] ^= 1
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "damaged.safetensors")
            pathlib.Path(path).write_bytes(whole)
            self.refuse("verify", path, says=(path, "CRC"))

    def test_inspect_describes_the_file(self):
        [found] = self.ask("inspect", TAGGER)
        self.assertEqual(found["config"]["labels"][:3], ["O", "B-PER", "I-PER"])
        self.assertEqual((found["kind"], found["config"]["head"], found["config"]["precision"], found["max_length"]),
                         ("model", "token-classification", "float32", 128))
        self.assertIn("embeddings.word.weight", [tensor["name"] for tensor in found["tensors"]])
        self.assertIn(found["level"], found["levels"])
        [found] = self.ask("inspect", str(MODELS / "encoder.safetensors"))
        self.assertEqual((found["kind"], found["config"]["head"]), ("encoder", "none"))

    def test_logits_are_those_that_the_answers_are_made_of(self):
        texts = TEXTS[:9]  # of many lengths
        for text, found in zip(texts, self.ask("logits", CLASSIFIER, *texts)):
            [row] = found["logits"]
            powers = [math.exp(logit - max(row)) for logit in row]
            [answers] = self.ask("classify", CLASSIFIER, "--top-k", "all", text)
            for answer, power in zip(answers, sorted(powers, reverse=True)):
                self.assertAlmostEqual(answer["score"], power / sum(powers), 5)
        tokens = self.ask("tokenize", TAGGER, *texts)
        for encoding, found in zip(tokens, self.ask("logits", TAGGER, *texts)):
            self.assertEqual({len(row) for row in found["logits"]}, {7})
            self.assertEqual(len(found["logits"]), len(encoding["ids"]))
        found = self.ask("logits", ASKER, "--jsonl", stdin='{"text": "a", "text_pair": "b c"}\n{"text": "a"}\n')
        self.assertEqual([len(each["logits"][0]) for each in found], [2, 2])

    def test_bench_prints_one_line(self):
        keys = ["median_ms", "tokens_per_s", "level", "precision", "batch", "length", "threads", "repeat"]
        for path in (CLASSIFIER, TAGGER, ASKER, str(MODELS / "encoder.safetensors")):
            [found] = self.ask("bench", path, "--batch", "2", "--length", "9", "--repeat", "1", "--threads", "1",
                               "--precision", "int8")
            self.assertEqual(list(found), keys)
            self.assertEqual([found[key] for key in keys[3:]], ["int8", 2, 9, 1, 1])
            self.assertGreater(found["median_ms"], 0)
            self.assertAlmostEqual(found["tokens_per_s"] * found["median_ms"] / 18000, 1)
        self.refuse("bench", CLASSIFIER, "--length", "129", "--repeat", "1", says=("129", "128"))

    def test_profile_says_where_the_time_of_a_call_goes(self):
        arguments = ("--profile", "--batch", "3", "--length", "17", "--threads", "1", "--repeat", "2")
        layers = self.ask("inspect", CLASSIFIER)[0]["config"]["num_hidden_layers"]
        for precision, product, embed in (("float32", "gemm_f32", "embed_f32"), ("int8", "gemm_s8", "embed_s8")):
            [found] = self.ask("inspect", CLASSIFIER, *arguments, "--precision", precision)
            self.assertEqual(list(found), ["ms", "level", "precision", "batch", "length", "threads", "repeat", "stages"])
            self.assertEqual([found[key] for key in ("precision", "batch", "length", "threads", "repeat")],
                             [precision, 3, 17, 1, 2])
            stages = {(stage["stage"], stage.get("kernel")): stage for stage in found["stages"]}
            self.assertEqual(len(stages), len(found["stages"]))
            # In int8 both products with a residual have 64 inputs, this model being so small: they can't be told apart.
            layer = {"intermediate": layers, "output": 2 * layers} if precision == "int8" else \
                {"attention.output": layers, "intermediate": layers, "output": layers}
            for stage, calls in layer.items():
                self.assertEqual(stages[stage, product]["calls"], calls)
                self.assertGreater(stages[stage, product]["gflop_per_s"], 0)
            self.assertGreater(stages["attention.query_key_value", product]["calls"], 0)
            self.assertEqual(stages["embeddings", embed]["calls"], 1)
            self.assertEqual(stages["norm", "layer_norm"]["calls"], 2 * layers + 1)
            self.assertIn(("attention", f"attention_{product[5:]}"), stages)
            self.assertEqual(("quantising", "quantise_rows") in stages, precision == "int8")
            self.assertNotIn("kernel", stages["outside of kernels", None])
            times = [stage["ms"] for stage in found["stages"]]
            self.assertEqual(times, sorted(times, reverse=True))
            self.assertAlmostEqual(sum(times), found["ms"])
            self.assertAlmostEqual(sum(stage["share"] for stage in found["stages"]), 1)
        for path in (TAGGER, ASKER, str(MODELS / "encoder.safetensors")):
            self.assertGreater(self.ask("inspect", path, *arguments)[0]["ms"], 0)
        self.refuse("inspect", CLASSIFIER, "--profile", "--length", "129", says=("129", "128"))

    def test_profile_runs_at_the_level_that_is_forced(self):
        for level in self.ask("inspect", TAGGER)[0]["levels"]:
            process = subprocess.run([PROGRAM, "inspect", TAGGER, "--profile", "--repeat", "1", "--length", "8"],
                                     capture_output=True, timeout=60, check=True,
                                     env={**os.environ, "BERTHA_ISA": level})
            self.assertEqual(lines(process)[0]["level"], level)

    def test_bench_times_a_call_for_each_line(self):
        first, second = [[1, 2, 3], [5]], [[7, 8]]
        stdin = "".join(json.dumps({"ids": ids}) + "\n" for ids in (first, second, first))
        for path, rows in ((CLASSIFIER, 2), (TAGGER, 4), (ASKER, 4)):
            out = self.ask("bench", path, "--jsonl", "--logits", "--threads", "1", "--precision", "float32", stdin=stdin)
            self.assertEqual(list(out[0]), ["ms", "tokens_per_s", "level", "precision", "sequences", "tokens", "threads",
                                            "logits"])
            self.assertEqual([(x["precision"], x["sequences"], x["tokens"], x["threads"]) for x in out],
                             [("float32", 2, 4, 1), ("float32", 1, 2, 1), ("float32", 2, 4, 1)])
            for found in out:
                self.assertGreater(found["ms"], 0)
                self.assertAlmostEqual(found["tokens_per_s"] * found["ms"] / found["tokens"] / 1000, 1)
            self.assertEqual(len(out[0]["logits"]), rows)
            self.assertEqual(out[0]["logits"], out[2]["logits"])
        plain = self.ask("bench", str(MODELS / "encoder.safetensors"), "--jsonl", stdin=stdin)
        self.assertEqual(list(plain[0]), ["ms", "tokens_per_s", "level", "precision", "sequences", "tokens", "threads"])
        self.refuse("bench", str(MODELS / "encoder.safetensors"), "--jsonl", "--logits", stdin=stdin, says="head")

    def test_logits_of_bench_are_those_that_the_file_recorded(self):
        golden = json.loads((MODELS.parent / "classify_two.json").read_text())
        cases = [case for case in golden["cases"] if not any(case["type_ids"])]
        [found] = self.ask("bench", CLASSIFIER, "--jsonl", "--logits",
                           stdin=json.dumps({"ids": [case["ids"] for case in cases]}))
        self.assertGreater(len(cases), 5)
        for case, logits in zip(cases, found["logits"], strict=True):
            for expected, number in zip(case["logits"][0], logits, strict=True):
                self.assertAlmostEqual(number, expected, delta=2e-4 * max(1, abs(expected)))

    def test_a_bad_line_of_bench_gives_an_error_in_its_place(self):
        bad = {"nonsense": "not valid JSON", "[" * 100000: "not valid JSON", "": "not valid JSON", "[]": '"ids"',
               "{}": '"ids"', '{"ids":[]}': "no list", '{"ids":5}': "no list", '{"ids":[5]}': "no list",
               '{"ids":[[]]}': "no tokens", '{"ids":[[1,-1]]}': "-1", '{"ids":[[1.5]]}': "1.5",
               '{"ids":[["a"]]}': "a", '{"ids":[[4294967296]]}': "4294967296", '{"ids":[[99999]]}': "99999",
               json.dumps({"ids": [[1] * 129]}): "129"}
        good = '{"ids":[[1,2]]}'
        out = self.ask("bench", CLASSIFIER, "--jsonl", stdin="\n".join(good + "\n" + line for line in bad), status=1)
        self.assertEqual(len(out), 2 * len(bad))
        for i, says in enumerate(bad.values()):
            self.assertEqual(out[2 * i]["tokens"], 2)
            self.check_error(out[2 * i + 1], 2 * i + 2, says=says)

    def test_levels_agree_on_what_is_found(self):
        for level in self.ask("inspect", TAGGER)[0]["levels"]:
            process = subprocess.run([PROGRAM, "ner", str(MODELS / "entities_int8.safetensors"), *TEXTS],
                                     capture_output=True, timeout=60, check=False,
                                     env={**os.environ, "BERTHA_ISA": level})
            self.assertEqual(process.stdout, run("ner", str(MODELS / "entities_int8.safetensors"), *TEXTS).stdout)


if __name__ == "__main__":
    unittest.main()
