"""What comes out of the bertha program: keys, numbers, offsets, order."""

import json
import math
import struct
import unittest

from program import ASKER, CLASSIFIER, MODELS, TAGGER, TEXTS, THREE_LABELS, UNICODE_TEXT, ProgramTest, lines, run


class Options(ProgramTest):
    """Those of the Hugging Face pipelines reach the library."""
    QUESTION = ("qa", ASKER, "--question", "Where does Sinan live?", "--context",
                "Sinan lives in Boston, but the banks of Lima are where nobody moved from Oslo.")

    def test_function_to_apply(self):
        text, ask = "Ada moved to Lima.", ("classify", CLASSIFIER, "--top-k", "all")
        softmax, sigmoid, none = ({x["label"]: x["score"] for x in self.ask(*ask, "--function-to-apply", name, text)[0]}
                                  for name in ("softmax", "sigmoid", "none"))
        [[logits]] = [each["logits"] for each in self.ask("logits", CLASSIFIER, text)]
        self.assertEqual([none["negative"], none["positive"]], logits)
        for label, logit in none.items():
            self.assertAlmostEqual(sigmoid[label], 1 / (1 + math.exp(-logit)), 6)
        self.assertAlmostEqual(sum(softmax.values()), 1, 6)
        default = {x["label"]: x["score"] for x in self.ask(*ask, text)[0]}
        self.assertEqual(default, softmax)
        three = ("classify", THREE_LABELS, "--top-k", "all", text)  # a model that says sigmoid
        self.assertEqual(self.ask(*three), self.ask(*three, "--function-to-apply", "sigmoid"))
        self.assertNotEqual(self.ask(*three), self.ask(*three, "--function-to-apply", "softmax"))

    def test_truncation_and_max_length(self):
        long = "bank " * 600
        [error] = self.ask("classify", CLASSIFIER, long, status=1)
        self.check_error(error, 1, says="602")
        cut = run("classify", CLASSIFIER, "--truncation", long)
        self.assertEqual(lines(cut), self.ask("classify", CLASSIFIER, "bank " * 126))
        cut = run("classify", CLASSIFIER, "--truncation", "--max-length", "9", long)
        self.assertEqual(lines(cut), self.ask("classify", CLASSIFIER, "bank " * 7))
        self.assertEqual(self.ask("classify", CLASSIFIER, "--truncation", "a"), self.ask("classify", CLASSIFIER, "a"))
        [error] = self.ask("ner", TAGGER, "--no-truncation", long, status=1)
        self.check_error(error, 1, says="602")
        cut = run("ner", TAGGER, long)
        self.assertEqual(cut.stderr, b"bertha: 1 of 1 texts was cut; with --no-truncation that is an error\n")
        self.assertEqual(lines(cut), self.ask("ner", TAGGER, "--no-truncation", "bank " * 126))

    def test_a_stride_reads_a_long_text_in_windows(self):
        for name, model in (("entities_cased_windows", "entities_cased"), ("roberta_entities_windows", "roberta_entities")):
            for case in json.loads((MODELS.parent / f"{name}.json").read_text())["pipelines"]:  # from transformers
                options = case["options"]
                ignored = [] if options.get("ignore_labels") is None else ["--ignore-labels", ""]
                process = run("ner", str(MODELS / f"{model}.safetensors"), "--aggregation", options["aggregation_strategy"],
                              "--stride", str(options["stride"]), *ignored, "--", case["text"])
                self.assertEqual((process.returncode, process.stderr), (0, b""))
                [found] = lines(process)
                scores = [[entity.pop("score") for entity in entities] for entities in (found, case["answers"])]
                self.assertEqual(found, case["answers"])
                for score, expected in zip(*scores):
                    self.assertAlmostEqual(score, expected, delta=1e-4)

    def test_ignore_labels(self):
        text = "Ada moved to Lima and Oslo with the bank of Sinan."
        [everything] = self.ask("ner", TAGGER, "--ignore-labels", "", text)
        labels = {token["entity"] for token in everything}
        self.assertGreater(len(labels), 2)
        for ignored in ([label] for label in labels), [sorted(labels)[:2]]:
            for names in ignored:
                options = [part for name in names for part in ("--ignore-labels", name)]
                [rest] = self.ask("ner", TAGGER, *options, text)
                self.assertEqual(rest, [token for token in everything if token["entity"] not in names])
        self.assertEqual(self.ask("ner", TAGGER, "--ignore-labels", "O", text), self.ask("ner", TAGGER, text))

    def test_words_that_are_cut_already(self):
        words, options = ["Ada,Sinan", "moved", "\u0130zmir"], ("--is-split-into-words", "--delimiter", " - ")
        stdin = json.dumps({"text": words}) + "\n" + json.dumps({"text": " - ".join(words)}) + "\n"
        ask = ("ner", TAGGER, "--ignore-labels", "", *options)
        listed, joined = self.ask(*ask, "--jsonl", stdin=stdin)
        self.assertEqual(listed, joined)
        self.assertEqual([listed], self.ask(*ask, " - ".join(words)))
        starts = [token["start"] for token in listed]
        self.assertEqual((starts[0], starts[-1] >= len("Ada,Sinan - moved - ")), (0, True))
        [error, other] = self.ask("ner", TAGGER, *options, "--jsonl", stdin='{"text": ["a", 1]}\n{"text": "a"}\n', status=1)
        self.check_error(error, 1, says="list of strings")
        self.assertNotIn("error", other)
        [error] = self.ask("ner", TAGGER, "--jsonl", stdin='{"text": ["a"]}\n', status=1)
        self.check_error(error, 1, says="array")

    def test_words_have_one_label_and_tokens_several(self):
        for aggregation in ("first", "average", "max"):
            [found] = self.ask("ner", TAGGER, "--aggregation", aggregation, "--word-grouping", "true_words", "--label-scheme",
                               "bioes", "--decoding", "valid", "--ignore-labels", "", TEXTS[1])
            self.assertTrue(all(set(entity) == {"entity_group", "score", "word", "start", "end"} for entity in found))
            self.assertTrue(found)
        [found] = self.ask("ner", TAGGER, "--top-labels", "2", "--ignore-labels", "", TEXTS[1])
        for token in found:
            first, second = token["top_labels"]
            self.assertEqual((first["label"], first["score"]), (token["entity"], token["score"]))
            self.assertGreaterEqual(first["score"], second["score"])

    def test_a_long_text_is_classified_in_windows(self):
        long = " ".join(["bank", "."] * 20)
        ask = ("classify", CLASSIFIER, "--top-k", "all", "--max-length", "12", "--stride", "2")
        [shown] = self.ask(*ask, "--show-windows", "--reduce", "max", long)
        self.assertEqual(len(shown["windows"]), 5)
        for part in shown["windows"]:
            self.assertEqual([part["labels"]], self.ask("classify", CLASSIFIER, "--top-k", "all", long[part["start"]:part["end"]]))
        for entry in shown["labels"]:
            said = [x["score"] for part in shown["windows"] for x in part["labels"] if x["label"] == entry["label"]]
            self.assertEqual(entry["score"], max(said))
        [first] = self.ask(*ask, "--reduce", "first", long)
        self.assertEqual(first, shown["windows"][0]["labels"])
        [pair] = self.ask(*ask[:-1], "1", "--truncation-strategy", "only_second", "--show-windows", "--jsonl",
                          stdin=json.dumps({"text": "Ada moved", "text_pair": long}) + "\n")
        self.assertEqual({(part["start"], part["end"]) for part in pair["windows"]}, {(0, 9)})
        self.assertEqual(pair["windows"][-1]["pair_end"], len(long))

    def test_several_contexts_are_ranked_together(self):
        contexts = ["Sinan lives in Boston.", "Nobody moved from Oslo to the banks of Lima.", "Sinan lives in \u0130zmir."]
        ask = ("qa", ASKER, "--top-k", "4", "--score-rule", "calibrated")
        given = [part for context in contexts for part in ("--context", context)]
        [found] = self.ask(*ask, "--question", "Where does Sinan live?", *given)
        self.assertEqual(len(found), 4)
        for answer in found:
            self.assertEqual(contexts[answer["passage"]][answer["start"]:answer["end"]], answer["answer"])
        self.assertLessEqual(sum(answer["score"] for answer in found), 1)
        line = json.dumps({"question": "Where does Sinan live?", "context": contexts}) + "\n"
        self.assertEqual([found], self.ask(*ask, "--jsonl", stdin=line))
        [none] = self.ask("qa", ASKER, "--score-rule", "calibrated", "--no-answer-threshold", "1.5", "--jsonl", stdin=line)
        self.assertEqual((none["answer"], none["start"], none["end"], none["passage"]), ("", 0, 0, 0))
        [error] = self.ask(*ask, "--jsonl", stdin='{"question": "Who?", "context": []}\n', status=1)
        self.check_error(error, 1, says="context")

    def test_aggregation_has_the_name_of_hugging_face_too(self):
        self.assertEqual(self.ask("ner", TAGGER, "--aggregation-strategy", "simple", *TEXTS),
                         self.ask("ner", TAGGER, "--aggregation", "simple", *TEXTS))

    def test_the_length_of_answers(self):
        for length in (1, 2, 4):
            [answers] = self.ask(*self.QUESTION, "--top-k", "20", "--max-answer-len", str(length), "--no-align-to-words")
            tokens = self.ask("tokenize", ASKER, self.QUESTION[-1])[0]["offsets"][1:-1]
            sizes = {sum(x["start"] <= start and end <= x["end"] for start, end in tokens) for x in answers}
            self.assertEqual(max(sizes), length)

    def test_windows_of_a_context(self):
        default = self.ask(*self.QUESTION, "--top-k", "5")
        self.assertEqual(self.ask(*self.QUESTION, "--top-k", "5", "--max-seq-len", "128", "--doc-stride", "64"), default)
        small = self.ask(*self.QUESTION, "--top-k", "5", "--max-seq-len", "24", "--doc-stride", "4")
        self.assertNotEqual(small, default)
        self.assertNotEqual(small, self.ask(*self.QUESTION, "--top-k", "5", "--max-seq-len", "24", "--doc-stride", "8"))
        self.refuse(*self.QUESTION, "--max-seq-len", "24", "--doc-stride", "25", says="doc_stride (25)")
        self.refuse(*self.QUESTION, "--max-seq-len", "129", says=("129", "128"))

    def test_score_rule(self):
        context = "Boston. " * 8  # equal answers, whose scores add up
        ask = ("qa", ASKER, "--question", "Where?", "--context", context, "--no-align-to-words", "--max-answer-len", "1",
               "--top-k", "20")
        [summed], [best] = self.ask(*ask), self.ask(*ask, "--score-rule", "best")
        self.assertEqual(self.ask(*ask, "--score-rule", "hf_4_57"), [summed])
        self.assertEqual({x["answer"] for x in summed}, {x["answer"] for x in best})
        self.assertGreater(summed[0]["score"], max(x["score"] for x in best))

    def test_no_answer_and_parts_of_words(self):
        [plain] = self.ask(*self.QUESTION, "--top-k", "500")
        [with_none] = self.ask(*self.QUESTION, "--top-k", "500", "--handle-impossible-answer")
        self.assertEqual([(x["answer"], x["start"], x["end"]) for x in with_none if x not in plain][:1], [("", 0, 0)])
        self.assertEqual(self.ask(*self.QUESTION, "--align-to-words"), self.ask(*self.QUESTION))
        context = self.QUESTION[-1]
        [aligned], [tokens] = (self.ask(*self.QUESTION, "--top-k", "50", option)
                               for option in ("--align-to-words", "--no-align-to-words"))
        inside = [x for x in tokens if context[x["start"] - 1:x["start"] + 1].isalpha() and x["start"] > 0]
        self.assertTrue(inside)
        self.assertFalse([x for x in aligned if context[x["start"] - 1:x["start"] + 1].isalpha() and x["start"] > 0])

    def test_split_special_tokens(self):
        whole, split = (self.ask("tokenize", CLASSIFIER, *options, "a [SEP] b")[0]["tokens"]
                        for options in ((), ("--split-special-tokens",)))
        self.assertEqual((whole.count("[SEP]"), split.count("[SEP]")), (2, 1))
        whole, split = (self.ask("logits", CLASSIFIER, *options, "a [SEP] b") for options in ((), ("--split-special-tokens",)))
        self.assertNotEqual(whole, split)

    def test_precision_and_memory(self):
        text = "Ada moved to Lima."
        for command, model, arguments in (("classify", CLASSIFIER, (text,)), ("ner", TAGGER, (text,)),
                                          ("logits", TAGGER, (text,)), self.QUESTION[:2] + (self.QUESTION[2:],)):
            out = {precision: run(command, model, "--precision", precision, *arguments).stdout
                   for precision in ("float32", "bfloat16", "int8")}
            self.assertEqual(len(set(out.values())), 3, command)
            self.assertEqual(run(command, model, *arguments).stdout, out["float32"])
            self.assertEqual(run(command, model, "--memory", "low", *arguments).stdout, out["float32"])


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
        # Not the same score: of more candidates more are added up, as in transformers.
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

    def test_results_come_in_the_order_of_the_lines(self):
        texts = [text for text in TEXTS if text]
        one_by_one = [self.ask("logits", CLASSIFIER, text)[0] for text in texts[:12]]
        self.assertEqual(self.ask("logits", CLASSIFIER, stdin="\n".join(texts[:12])), one_by_one)
        self.assertEqual(len({json.dumps(value) for value in one_by_one}), 12)

    def test_results_do_not_depend_on_threads_or_batches(self):
        for command, model in (("classify", CLASSIFIER), ("ner", TAGGER)):
            text = "\n".join(TEXTS)
            one = run(command, model, "--threads", "1", "--batch-size", "1", stdin=text).stdout
            self.assertEqual(one.count(b"\n"), len(TEXTS))
            for threads, batch in (("2", "1"), ("1", "32"), ("2", "32"), ("0", "7"), ("2", "1000")):
                self.assertEqual(run(command, model, "--threads", threads, "--batch-size", batch, stdin=text).stdout, one)


if __name__ == "__main__":
    unittest.main()
