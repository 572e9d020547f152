"""What a model gives before it is decoded, and how long it takes: logits, bench, inspect --profile."""

import json
import math
import os
import subprocess
import unittest

from program import ASKER, CLASSIFIER, MODELS, PROGRAM, TAGGER, TEXTS, ProgramTest, lines, run


class Timing(ProgramTest):
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
        arguments = ("--json", "--profile", "--batch", "3", "--length", "17", "--threads", "1", "--repeat", "2")
        layers = self.ask("inspect", CLASSIFIER, "--json")[0]["config"]["num_hidden_layers"]
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
            self.assertEqual(("quantising", "pack_quantised") in stages, precision == "int8")
            self.assertNotIn("kernel", stages["outside of kernels", None])
            times = [stage["ms"] for stage in found["stages"]]
            self.assertEqual(times, sorted(times, reverse=True))
            self.assertAlmostEqual(sum(times), found["ms"])
            self.assertAlmostEqual(sum(stage["share"] for stage in found["stages"]), 1)
        for path in (TAGGER, ASKER, str(MODELS / "encoder.safetensors")):
            self.assertGreater(self.ask("inspect", path, *arguments)[0]["ms"], 0)
        self.refuse("inspect", CLASSIFIER, "--profile", "--length", "129", says=("129", "128"))

    def test_profile_is_a_table_for_people(self):
        arguments = ("inspect", CLASSIFIER, "--profile", "--length", "8", "--repeat", "1")
        text = run(*arguments).stdout.decode()
        [facts] = self.ask(*arguments, "--json")
        self.assertRegex(text, r"(?m)^  stage +ms +share +kernel +level +calls +gflop_per_s$")
        for stage in facts["stages"]:
            self.assertRegex(text, rf"(?m)^  {stage['stage']} .*\b{stage.get('kernel', '')}\b")

    def test_profile_runs_at_the_level_that_is_forced(self):
        for level in self.ask("inspect", TAGGER, "--json")[0]["levels"]:
            process = subprocess.run([PROGRAM, "inspect", TAGGER, "--json", "--profile", "--repeat", "1", "--length", "8"],
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
        bad = {"nonsense": "not valid JSON", "[" * 100000: "not valid JSON", "[]": "object",
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


if __name__ == "__main__":
    unittest.main()
