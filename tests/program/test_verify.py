"""bertha verify: what it finds in a file, and what it says of a self-test that is wrong."""

import json
import math
import os
import pathlib
import tempfile
import unittest

from program import ASKER, CLASSIFIER, MODELS, TAGGER, WITH_SELF_TEST, ProgramTest, run


class Verify(ProgramTest):
    def edited(self, model, edit):
        """A copy of a model whose self-test cases went through `edit`."""
        data = pathlib.Path(model).read_bytes()
        size = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:size])
        cases = json.loads(header["__metadata__"]["selftest"])
        edit(cases)
        header["__metadata__"]["selftest"] = json.dumps(cases)
        text = json.dumps(header).encode()
        text += b" " * (-(8 + len(text)) % 64)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name, "edited.safetensors")
        path.write_bytes(len(text).to_bytes(8, "little") + text + data[size:])
        return str(path)

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

    def test_a_case_that_is_not_reproduced_ends_with_status_1_and_its_number(self):
        def set_id(cases):
            cases[2]["ids"][1] += 1
        def set_logit(cases):
            cases[2]["logits"][0][0] += 1e-2
        def set_label(cases):
            answer = json.loads(cases[2]["answer"])
            answer[0]["label"] = {"positive": "negative", "negative": "positive"}[answer[0]["label"]]
            cases[2]["answer"] = json.dumps(answer)
        def set_score(cases):
            answer = json.loads(cases[2]["answer"])
            answer[0]["score"] += 1e-3
            cases[2]["answer"] = json.dumps(answer)
        def drop(cases):
            cases[2]["answer"] = "[]"
        for edit in (set_id, set_logit, set_label, set_score, drop):
            path = self.edited(CLASSIFIER, edit)
            self.refuse("verify", path, says=(path, "case 2"), status=1)
            self.assertEqual(run("classify", path, "a").returncode, 0)

    def test_answers_of_all_tasks_are_compared(self):
        def set_start(cases):
            case = next(case for case in cases if case["answer"] not in (None, "[]"))
            answer = json.loads(case["answer"])
            (answer if isinstance(answer, dict) else answer[0])["start"] += 1
            case["answer"] = json.dumps(answer)
        for model in (TAGGER, ASKER):
            self.refuse("verify", self.edited(model, set_start), says=("the answer is", "expected"), status=1)

    def test_scores_may_differ_by_what_float32_promises(self):
        def move_scores(cases):
            for case in cases:
                answer = json.loads(case["answer"])
                for label in answer:
                    label["score"] = math.nextafter(label["score"] - 9e-5, 0)
                case["answer"] = json.dumps(answer)
        [result] = self.ask("verify", self.edited(CLASSIFIER, move_scores))
        self.assertIs(result["verified"], True)

    def test_a_self_test_that_says_nonsense_is_refused_by_the_name_of_the_file(self):
        def no_context(cases):
            cases[0]["text_pair"] = None
        def no_json(cases):
            cases[0]["answer"] = "nonsense"
        def half(cases):
            cases[0]["answer"] = '{"score":'
        def no_string(cases):
            cases[0]["answer"] = {"score": 1}
        def deep(cases):
            cases[0]["answer"] = "[" * 100_000 + "]" * 100_000
        for edit in (no_context, no_json, half, no_string, deep):
            for model in (ASKER, CLASSIFIER, TAGGER):
                if edit is no_context and model != ASKER:
                    continue
                path = self.edited(model, edit)
                for arguments in (("verify", path), ("inspect", path), ("tokenize", path, "a")):
                    self.refuse(*arguments, says=path)
                    self.assertNotIn(b"json.exception", run(*arguments).stderr)


if __name__ == "__main__":
    unittest.main()
