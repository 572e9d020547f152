"""The self-test of a file: tokens always, logits and answers where torch and transformers are installed."""

import json
import tempfile
import types
import unittest
import unittest.mock
from pathlib import Path

import folders
import numpy as np
from bertha_convert import selftest
from bertha_convert.conversion import Options, convert
from bertha_convert.errors import ConvertError
from bertha_convert.unpack import read_metadata

try:
    import torch
    import transformers

    torch.set_num_threads(1)  # small models, and other tests beside this one
except ImportError:
    transformers = None

KEYS = ["text", "text_pair", "ids", "type_ids", "offsets", "logits", "logits_bytes", "answer"]


def attention_of_one_sequence(query, key, value, scale=None, **_):
    """Attention with the operands of its two products in bfloat16: tools/format.md, section 7. Every key is seen."""
    scaled = query * (query.shape[-1] ** -0.5 if scale is None else scale)
    scores = scaled.bfloat16().float() @ key.bfloat16().float().mT
    weights = torch.exp(scores - scores.max(dim=-1, keepdim=True).values)
    return weights.bfloat16().float() @ value.bfloat16().float() / weights.sum(dim=-1, keepdim=True)


class SelfTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder, self.out = Path(temporary.name) / "model", Path(temporary.name) / "out.safetensors"

    def record(self, head: str, **options: object) -> tuple[list[folders.Json], folders.Json]:
        """The recorded cases and the file's source."""
        folders.write_folder(self.folder, head, max_position_embeddings=300)
        folders.write_json(self.folder / "tokenizer_config.json", {"do_lower_case": False, "model_max_length": 300})
        convert(Options(self.folder, self.out, **options))
        metadata = read_metadata(self.out)
        return metadata["selftest"], metadata["source"]

    def test_without_torch_the_tokens_are_recorded_alone(self) -> None:
        with unittest.mock.patch.object(selftest, "FOR_SELFTEST", {"no_such_package": "1"}):
            cases, source = self.record("token-classification")
        self.assertEqual(len(cases), len(selftest.TEXTS))
        self.assertIsNone(source["transformers"])
        for case in cases:
            self.assertEqual(list(case), KEYS)
            self.assertEqual([case[key] for key in KEYS[5:]], [None, None, None])
            self.assertEqual(len(case["offsets"]), len(case["ids"]))
        empty = next(case for case in cases if case["text"] == "")
        self.assertEqual((empty["ids"], empty["type_ids"], empty["offsets"]), ([2, 3], [0, 0], [[0, 0], [0, 0]]))
        self.assertIn(1, next(case for case in cases if case["text_pair"])["type_ids"])

    def test_cases_that_are_too_long_for_the_model_are_left_out(self) -> None:
        with unittest.mock.patch.object(selftest, "FOR_SELFTEST", {"no_such_package": "1"}):
            folders.write_folder(self.folder)
            convert(Options(self.folder, self.out))
        cases = read_metadata(self.out)["selftest"]
        self.assertTrue(0 < len(cases) < len(selftest.TEXTS))
        self.assertLessEqual(max(len(case["ids"]) for case in cases), 32)

    def test_other_tokens_than_those_of_the_release_that_counts_are_a_fault(self) -> None:
        case = {"text": "a", "text_pair": None, "ids": [2, 5, 3], "offsets": [[0, 0], [0, 1], [0, 0]]}
        given = {"input_ids": [2, 5, 3], "offset_mapping": [(0, 0), (0, 1), (0, 0)]}
        others = ({**given, "input_ids": [2, 6, 3]}, {**given, "offset_mapping": [(0, 0), (0, 2), (0, 0)]})

        def check(version: str, answering: bool, *answers: folders.Json) -> str:
            replies = iter(answers)
            loaded = lambda *_, **options: next(replies) if options == {"return_offsets_mapping": True} else None
            release = types.SimpleNamespace(__version__=version)
            return selftest._check_tokenizer(loaded, release, [case] * len(answers), answering)

        for answering, version, other in ((False, "5.23.0", "4.57.6"), (True, "4.57.6", "5.23.0")):
            self.assertEqual(check(version, answering, given, given)[:9], "0 of 2 ca")
            for wrong in others:
                with self.assertRaisesRegex(selftest.Mismatch, f"differs from transformers {version} in 1 self-test cases"):
                    check(version, answering, given, wrong)
                self.assertEqual(
                    check(other, answering, wrong, given, wrong),
                    f"2 of 3 cases are tokenized otherwise by transformers {other}",
                )

    def test_what_the_recording_program_says_is_passed_on(self) -> None:
        program = self.folder.parent / "program"
        for script, got in (("echo 'no room' >&2; exit 3", "no room$"), ("echo '{}'", "{}"), ("echo '['", "Expecting value")):
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
            with self.assertRaisesRegex(ConvertError, f"the reference logits can't be recorded; .*got {got}"):
                selftest.record_bytes(program, self.out)

    def test_no_self_test_is_an_empty_list(self) -> None:
        self.assertEqual(self.record("none", selftest=False)[0], [])

    @unittest.skipIf(transformers, "torch and transformers are installed")
    def test_asking_for_logits_without_torch_is_an_error(self) -> None:
        with self.assertRaisesRegex(ConvertError, "can't be recorded.*needs torch and transformers: torch is missing"):
            self.record("none", selftest=True)

    @unittest.skipUnless(transformers, "needs torch and transformers")
    def test_random_logits_are_not_recorded(self) -> None:
        tensors = folders.write_folder(self.folder, "token-classification")
        weights = self.folder / "model.safetensors"
        folders.write_safetensors(weights, {f"module.{name}": values for name, values in tensors.items()})
        report = convert(Options(self.folder, self.out, selftest=True))
        self.assertRegex(report["selftest"], f"tokens only: .* doesn't find {len(tensors)} weights and makes them from")
        metadata = read_metadata(self.out)
        self.assertEqual({str(case["logits"]) for case in metadata["selftest"]}, {"None"})
        self.assertIsNone(metadata["source"]["transformers"])

    @unittest.skipUnless(transformers, "needs torch and transformers")
    def test_the_logits_are_those_of_the_original_checkpoint(self) -> None:
        for head in ("sequence-classification", "token-classification", "question-answering"):
            for precision in ("float32", "int8"):
                cases, source = self.record(head, precision=precision, selftest=True)
                self.assertEqual(source["transformers"], transformers.__version__)
                model = (
                    getattr(transformers, folders.ARCHITECTURES[head]).from_pretrained(str(self.folder)).float().eval()
                )
                for case in cases:
                    with torch.no_grad():
                        output = model(torch.tensor([case["ids"]]), token_type_ids=torch.tensor([case["type_ids"]]))
                    logits = np.array(case["logits"], dtype=np.float32)
                    rows = (1, 2) if head == "sequence-classification" else (len(case["ids"]), 2)
                    self.assertEqual(logits.shape, rows)
                    expected = (
                        output.start_logits[0] if head == "question-answering" else output.logits.reshape(rows)[:, 0]
                    )
                    np.testing.assert_allclose(logits[:, 0], expected.numpy(), rtol=0, atol=1e-6)

    @unittest.skipUnless(transformers, "needs torch and transformers")
    def test_the_logits_are_of_float32_whatever_the_folder_says_that_they_should_be(self) -> None:
        """transformers 5 rounds all weights to the type that config.json names, or to that of the first tensor."""
        cases, _ = self.record("token-classification", selftest=True)
        path = self.folder / "config.json"
        for key in ("dtype", "torch_dtype"):
            folders.write_json(path, json.loads(path.read_text()) | {key: "bfloat16"})
            convert(Options(self.folder, self.out, selftest=True))
            self.assertEqual([case["logits"] for case in read_metadata(self.out)["selftest"]], [case["logits"] for case in cases])

    @unittest.skipUnless(transformers, "needs torch and transformers")
    def test_the_logits_of_a_bfloat16_file_are_those_of_rounded_weights_and_operands(self) -> None:
        for head in ("sequence-classification", "token-classification", "question-answering"):
            exact, _ = self.record(head, selftest=True)
            cases, _ = self.record(head, precision="bfloat16", selftest=True)
            model = getattr(transformers, folders.ARCHITECTURES[head]).from_pretrained(str(self.folder)).float().eval()
            layers = [module for module in model.base_model.encoder.modules() if isinstance(module, torch.nn.Linear)]
            tables = [module for module in model.modules() if isinstance(module, torch.nn.Embedding)]
            self.assertEqual((len(layers), len(tables)), (12, 3))
            for module in layers + tables:
                module.weight.data = module.weight.data.bfloat16().float()
            for layer in layers:
                layer.forward = lambda x, at=layer: torch.nn.functional.linear(
                    x.bfloat16().float(), at.weight, at.bias
                )
            attention = unittest.mock.patch.object(
                torch.nn.functional, "scaled_dot_product_attention", attention_of_one_sequence
            )
            for case, other in zip(cases, exact):
                with torch.no_grad(), attention:
                    output = model(torch.tensor([case["ids"]]), token_type_ids=torch.tensor([case["type_ids"]]))
                first = output.start_logits[0] if head == "question-answering" else output.logits.reshape(-1, 2)[:, 0]
                found = np.array(case["logits"], dtype=np.float32)[:, 0]
                np.testing.assert_allclose(found, first.numpy(), rtol=0, atol=1e-6)
                self.assertNotEqual(case["logits"], other["logits"])
                self.assertEqual(case["answer"], other["answer"])

    @unittest.skipUnless(transformers, "needs torch and transformers")
    def test_a_file_allows_the_split_when_it_moves_no_logit_by_a_quarter_of_the_promise(self) -> None:
        for head in ("sequence-classification", "token-classification", "question-answering"):
            for factor, allowed in ((1, True), (10, False)):  # then attention turns on small differences
                tensors = folders.write_folder(self.folder, head, max_position_embeddings=300)
                larger = {name: factor * values if "LayerNorm.weight" in name else values for name, values in tensors.items()}
                folders.write_safetensors(self.folder / "model.safetensors", larger)
                convert(Options(self.folder, self.out, selftest=True))
                metadata = read_metadata(self.out)
                self.assertEqual(metadata["config"]["float32_split"], allowed, head)
                self.assertEqual(self.moved_by_the_split(head, metadata["selftest"]) <= 0.25 * 2e-4, allowed, head)

    def moved_by_the_split(self, head: str, cases: list[folders.Json]) -> float:
        """How far a logit is from the recorded one at most, of max(1, abs), when products are of two halves each."""
        model = getattr(transformers, folders.ARCHITECTURES[head]).from_pretrained(str(self.folder)).float().eval()
        for layer in [part for part in model.base_model.encoder.modules() if isinstance(part, torch.nn.Linear)]:
            layer.forward = lambda x, at=layer: at.bias + sum(
                a @ w.T for a, w in self.products_of_halves(x, at.weight)
            )
        worst = 0.0
        for case in cases:
            with torch.no_grad():
                output = model(torch.tensor([case["ids"]]), token_type_ids=torch.tensor([case["type_ids"]]))
            rows = np.array(case["logits"], dtype=np.float32)
            found = (
                torch.stack([output.start_logits[0], output.end_logits[0]], dim=1).numpy()
                if head == "question-answering"
                else output.logits.numpy().reshape(rows.shape)
            )
            worst = max(worst, float(np.max(np.abs(found - rows) / np.maximum(1, np.abs(rows)))))
        return worst

    @staticmethod
    def products_of_halves(x: "torch.Tensor", w: "torch.Tensor") -> list:
        """The three that are summed."""
        (a, b), (c, d) = ((t.bfloat16().float(), (t - t.bfloat16().float()).bfloat16().float()) for t in (x, w))
        return [(a, d), (a, c), (b, c)]

    @unittest.skipUnless(transformers, "needs torch and transformers")
    def test_the_split_is_of_three_products_of_rounded_halves(self) -> None:
        """On numbers whose products and sums float32 holds exactly, so that any other number of halves shows."""
        folders.write_folder(self.folder, "token-classification")
        model = transformers.BertForTokenClassification.from_pretrained(str(self.folder)).float().eval()
        selftest.as_split(model)
        layer = model.bert.encoder.layer[1].attention.self.key
        whole, small, tiny = 1.0, 2.0**-9, 2.0**-21  # bfloat16 has 8 bits: the halves are the first two, the third is lost
        for x, w, expected in (
            (whole + small, 3.0, 3 * (whole + small)),
            (3.0, whole + small, 3 * (whole + small)),
            (whole + small + tiny, 1.0, whole + small),
            (1.0, whole + small + tiny, whole + small),
            (whole + small, whole + small, whole + 2 * small),  # without the product of both low halves
        ):
            with torch.no_grad():
                layer.weight.zero_()
                layer.bias.fill_(0.5)
                layer.weight[5, 7] = w
                found = layer(torch.eye(12)[7:8] * x)[0]
            self.assertEqual(found.tolist(), [0.5] * 5 + [0.5 + expected] + [0.5] * 6)
        with torch.no_grad():  # the heads and the embeddings are no part of it
            model.classifier.weight.fill_(whole + small + tiny)
            model.classifier.bias.zero_()
            self.assertEqual(model.classifier(torch.eye(12)[:1])[0, 0].item(), whole + small + tiny)

    def test_the_promise_of_the_split_is_a_quarter_of_that_of_float32(self) -> None:
        rng = np.random.default_rng(2)
        expected = [rng.normal(0, 4, (5, 3)) for _ in range(4)]
        for case, row, column in ((0, 0, 0), (3, 4, 2), (2, 1, 1)):
            for logit in (0.3, -0.9, 1.0, 20.0, -300.0):
                for factor, kept in ((0.98, True), (-0.98, True), (1.02, False), (-1.02, False), (np.nan, False)):
                    expected[case][row, column] = logit
                    found = [values.copy() for values in expected]
                    found[case][row, column] += factor * 0.25 * 2e-4 * max(1, abs(logit))
                    self.assertEqual(selftest._keep_promise(expected, found), kept)

    @unittest.skipUnless(transformers, "needs torch and transformers")
    def test_the_answers_are_the_pipelines(self) -> None:
        keys = {
            "sequence-classification": ["label", "score"],
            "token-classification": ["entity", "score", "index", "word", "start", "end"],
        }
        for head, expected in keys.items():
            for case in self.record(head, selftest=True)[0]:
                if case["answer"] is None:
                    self.assertTrue(head == "token-classification" and case["text_pair"])
                else:
                    self.assertTrue(all(list(entry) == expected for entry in json.loads(case["answer"])))
        answered = [case["answer"] is not None for case in self.record("question-answering", selftest=True)[0]]
        has_pipeline = int(transformers.__version__.split(".")[0]) < 5
        self.assertEqual(sum(answered), len(selftest.QUESTIONS) - 1 if has_pipeline else 0)


if __name__ == "__main__":
    unittest.main()
