"""Arguments of the bertha program."""

import json
import os
import subprocess
import unittest

from program import ASKER, CLASSIFIER, MODELS, PROGRAM, TAGGER, ProgramTest, run


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
                          ("bench", CLASSIFIER, "--repeat", "0"), ("classify", CLASSIFIER, "a", "--function-to-apply", "tanh"),
                          ("qa", ASKER, "--question", "a", "--context", "b", "--max-answer-len", "0"),
                          ("tokenize", CLASSIFIER, "a", "--truncation", "longest"), ("logits", CLASSIFIER, "a", "--truncation"),
                          ("classify", CLASSIFIER, "a", "--precision", "int4"), ("ner", TAGGER, "a", "--ignore-labels"),
                          ("ner", TAGGER, "a", "--stride", "4"), ("ner", TAGGER, "a", "--aggregation", "none", "--stride", "4"),
                          ("ner", TAGGER, "a", "--aggregation", "simple", "--stride", "4", "--truncation"),
                          ("ner", TAGGER, "a", "--aggregation", "simple", "--stride", "126"),
                           ("bench", CLASSIFIER, "--logits"),
                          ("inspect", CLASSIFIER, "--batch", "2"), ("inspect", CLASSIFIER, "--precision", "int8"),
                          ("bench", CLASSIFIER, "--jsonl", "--batch", "2"), ("bench", CLASSIFIER, "--jsonl", "--length", "2"),
                          ("bench", CLASSIFIER, "--jsonl", "--repeat", "2"), ("classify", CLASSIFIER, "a", "--offsets", "byte")):
            self.refuse(*arguments)

    def test_a_word_that_an_option_does_not_know_is_named_beside_those_it_knows(self):
        self.refuse("bench", CLASSIFIER, "--memory", "tiny", says=("--memory", "fast, low", "'tiny'"))
        self.refuse("bench", CLASSIFIER, "--precision", "int4",
                    says=("--precision", "bfloat16, float32, float32_strict, int8", "'int4'"))
        self.refuse("ner", TAGGER, "a", "--offsets", "word", says=("--offsets", "byte, code_point, utf16", "'word'"))

    def test_a_text_that_begins_with_a_hyphen_comes_last(self):
        texts = ["-hello there", "-h", "--help", "--", "-", "--jsonl", "-5", "---", "[-a, -b]", "++"]
        from_lines = self.ask("tokenize", CLASSIFIER, stdin="\n".join(texts))
        self.assertEqual(self.ask("tokenize", CLASSIFIER, "--", *texts), from_lines)
        self.assertEqual(self.ask("tokenize", "--", CLASSIFIER, *texts), from_lines)
        self.assertEqual(self.ask("tokenize", CLASSIFIER, "--all", "one", "--", *texts)[1:],
                         self.ask("tokenize", CLASSIFIER, "--all", stdin="\n".join(texts)))
        self.assertEqual(self.ask("tokenize", CLASSIFIER, "-"), from_lines[4:5])

    def test_without_it_says_where_it_belongs(self):
        for text in ("-hello there", "-x", "-help", "-5", "--hello", "--hello there"):
            for arguments in (("classify", CLASSIFIER, text), ("tokenize", CLASSIFIER, "a", text),
                              ("ner", text, TAGGER), ("qa", ASKER, text), ("bench", CLASSIFIER, text),
                              ("classify", CLASSIFIER, "--jsonl", text), ("classify", CLASSIFIER, "--top-k=1", text)):
                self.refuse(*arguments, says="after --")
            self.refuse("classify", CLASSIFIER, text, says=f"not expected: {text}\n")
        self.refuse("verify", CLASSIFIER, "b", says="not expected: b\nRun with --help")

    def test_a_value_is_taken_as_it_is(self):
        for value in ("-hello", "-h", "--context", "-[a, b]", "-a=b", "-", "--", "[a, b]", "\x01[c]", "--help"):
            expected = self.ask("qa", ASKER, "--jsonl", stdin=json.dumps({"question": value, "context": value}))
            self.assertEqual(self.ask("qa", ASKER, f"--question={value}", f"--context={value}"), expected, value)
            self.assertEqual(self.ask("qa", ASKER, "--question", value, "--context", value), expected, value)
        self.assertEqual(self.ask("qa", ASKER, "--question=[a, b]", "--context=[c]"),
                         self.ask("qa", ASKER, "--question", "[a, b]", "--context", "[c]"))

    def test_a_text_may_be_the_name_of_a_command(self):
        words = ["classify", "ner", "bench", "help", "version"]
        self.assertEqual(self.ask("tokenize", CLASSIFIER, *words), self.ask("tokenize", CLASSIFIER, stdin="\n".join(words)))

    def test_options_that_need_another_are_refused_alone(self):
        for arguments in (("classify", CLASSIFIER, "a", "--max-length", "8"), ("tokenize", CLASSIFIER, "a", "--max-length", "8"),
                          ("tokenize", CLASSIFIER, "a", "--windows"), ("tokenize", CLASSIFIER, "a", "--stride", "1"),
                          ("inspect", CLASSIFIER, "--memory", "low"), ("inspect", CLASSIFIER, "--threads", "1")):
            self.refuse(*arguments, says="requires")

    def test_help_says_what_texts_lines_and_other_keys_are(self):
        for command in ("classify", "ner", "qa", "logits", "tokenize"):
            text = run(command, "--help").stdout.decode()
            for words in ("--jsonl", "blank lines", '"result"', "after --", "--quiet", f"bertha {command}"):
                self.assertIn(words, text)
            self.assertLess(max(map(len, text.split("\n"))), 140)
            self.assertEqual(run(command, "-h").stdout.decode(), text)

    def test_both_kinds_of_memory_run(self):
        for memory in ("fast", "low"):
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


if __name__ == "__main__":
    unittest.main()
