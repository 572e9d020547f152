"""What goes into the bertha program: texts, lines and JSON lines, good ones and bad ones."""

import json
import unittest

from program import ASKER, CLASSIFIER, MODELS, TAGGER, TEXTS, ProgramTest, is_error, lines, run


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

    def test_zero_shot_scores_the_labels_between_the_commas(self):
        inference = str(MODELS / "inference.safetensors")
        [alone] = self.ask("zero-shot", inference, "--labels", " travel,boats ,, the bank,", TEXTS[0])
        self.assertEqual(list(alone), ["sequence", "labels", "scores"])
        self.assertEqual(alone["sequence"], TEXTS[0])
        self.assertEqual(sorted(alone["labels"]), ["boats", "the bank", "travel"])
        self.assertAlmostEqual(sum(alone["scores"]), 1, 5)
        self.assertEqual(alone["scores"], sorted(alone["scores"], reverse=True))
        stdin = "".join(json.dumps({"text": text, "id": i}) + "\n" for i, text in enumerate([TEXTS[0], "", "bank " * 200]))
        found = lines(run("zero-shot", inference, "--jsonl", "--labels", "travel,boats,the bank", stdin=stdin))
        self.assertEqual(found[0], {"id": 0, "result": alone})
        self.assertIn("empty", found[1]["error"]["message"])
        self.assertTrue(found[2]["result"]["truncated"])
        each = self.ask("zero-shot", inference, "--labels=travel,boats", "--multi-label", "--hypothesis-template={0}",
                        TEXTS[0])[0]
        self.assertNotAlmostEqual(sum(each["scores"]), 1, 5)
        for model, options, expected in ((inference, ["--labels", " , "], "candidate_labels is empty"),
                                         (inference, ["--labels", "a", "--hypothesis-template", "It is."], "no place"),
                                         (CLASSIFIER, ["--labels", "a"], "entailment_label")):
            refused = run("zero-shot", model, *options, "text")
            self.assertEqual((refused.returncode, refused.stdout), (2, b""))
            self.assertIn(expected, refused.stderr.decode())

    def test_a_line_that_a_task_can_not_do_leaves_the_others_alone(self):
        good = {"question": "who", "context": "Ada moved to Lima."}
        stdin = "".join(json.dumps(line) + "\n" for line in (good, good | {"question": "who " * 40}, good))
        first, second, third = lines(run("qa", ASKER, "--jsonl", "--max-seq-len", "30", stdin=stdin))
        self.check_error(second, 2, says="leaves no room for the context")
        self.assertEqual(first, third)
        for command, name in (("embed", "embed_bert"), ("rerank", "rerank")):
            asked = {"text": "a"} if command == "embed" else {"query": "a", "texts": ["b"]}
            long = {"text": "a " * 200} if command == "embed" else {"query": "a", "texts": ["b", "b " * 200]}
            stdin = "".join(json.dumps(line) + "\n" for line in (asked, long, asked))
            model = str(MODELS / f"{name}.safetensors")
            first, second, third = lines(run(command, model, "--jsonl", "--no-truncation", stdin=stdin))
            self.check_error(second, 2, says="the model takes at most")
            self.assertEqual(first, third)

    def test_options_that_a_model_can_not_do_are_refused_at_once(self):
        embedder, text = str(MODELS / "embed_bert.safetensors"), "a\n"
        for arguments, says in (
            (("embed", embedder, "--prompt", "nothing"), ("no prompt", "nothing", "query")),
            (("embed", embedder, "--dimensions", "33"), ("33 dimensions", "32")),
            (("embed", CLASSIFIER), ("'sequence-classification'", "'embedding'")),
            (("rerank", CLASSIFIER, "--query", "a"), "2 outputs"),
            (("ner", TAGGER, "--aggregation", "simple", "--stride", "126"), "stride is 126"),
            (("classify", CLASSIFIER, "--stride", "126"), ("stride is 126", "room for 126")),
            (("classify", CLASSIFIER, "--stride", "9", "--max-length", "10"), ("stride is 9", "room for 8")),
            (("qa", ASKER, "--question", "a", "--doc-stride", "125", "--max-seq-len", "128"), "doc_stride (125)"),
            (("tokenize", CLASSIFIER, "--truncation", "only_first", "--max-length", "10", "--windows", "--stride", "8"),
             ("stride is 8", "room for 8")),
        ):
            self.refuse(*arguments, stdin=text, says=says)

    def test_fill_mask_fills_each_mask(self):
        model = str(MODELS / "masked.safetensors")
        [alone] = self.ask("fill-mask", model, "Ada moved to [MASK].")
        self.assertEqual([list(filling) for filling in alone], [["score", "token", "token_str", "sequence"]] * 5)
        self.assertEqual(alone, sorted(alone, key=lambda filling: -filling["score"]))
        self.assertNotIn("[CLS]", alone[0]["sequence"])
        [two] = self.ask("fill-mask", model, "--top-k", "2", "[MASK] moved to [MASK].")
        self.assertEqual([len(fillings) for fillings in two], [2, 2])
        self.assertTrue(two[1][0]["sequence"].startswith("[CLS] [MASK] m"), two[1])
        [targets] = self.ask("fill-mask", model, "--targets", " ok, a ,,ok", "Ada moved to [MASK].")
        self.assertEqual(sorted(filling["token_str"] for filling in targets), ["a", "ok"])
        told = run("fill-mask", model, "--targets", "ok,okay", "[MASK]")
        self.assertEqual(told.returncode, 0)
        self.assertIn('the target "okay" is no token of the model: its first token "ok" stands for it', told.stderr.decode())
        self.assertEqual(run("fill-mask", model, "--quiet", "--targets", "ok,okay", "[MASK]").stderr, b"")
        objects = [{"text": "Ada moved to [MASK].", "id": 1}, {"text": "no mask"}, {"text": "[MASK] " + "bank " * 200},
                   {"text": "a", "text_pair": "[MASK]"}, {"text": "Ada moved to [MASK]."}]
        found = lines(run("fill-mask", model, "--jsonl", stdin="\n".join(map(json.dumps, objects))))
        self.assertEqual((found[0], found[4]), ({"id": 1, "result": alone}, alone))
        self.check_error(found[1], 2, says='no mask; expected "[MASK]"')
        self.check_error(found[2], 3, says="allow truncation")
        self.check_error(found[3], 4, says="text_pair")
        cut = run("fill-mask", model, "--truncation", "--max-length", "8", "[MASK] " + "bank " * 200)
        self.assertEqual(cut.returncode, 0)
        self.assertIn(b"cut", cut.stderr)
        for file, options, says in ((model, ["--targets", " , "], "there are no targets"),
                                    (model, ["--targets", "\u200b"], "none of the targets"),
                                    (model, ["--top-k", "5000"], "top_k is 5000; expected 1 to"),
                                    (CLASSIFIER, [], "--head masked-lm")):
            self.refuse("fill-mask", file, "--quiet", *options, "[MASK]", says=says)
        self.refuse("fill-mask", model, "--top-k", "0", "[MASK]", says="--top-k")
        self.refuse("classify", model, "[MASK]", says="masked-lm")
        self.refuse("fill-mask", model, "--max-length", "8", "[MASK]", says="--truncation")

    def test_nsp_reads_pairs_of_a_model_that_has_the_head(self):
        model = str(MODELS / "next_sentence.safetensors")
        [found] = self.ask("nsp", model, "--text", "Ada moved.", "--text-pair", "She lives in Lima.")
        self.assertEqual(sorted(answer["label"] for answer in found), ["IsNext", "NotNext"])
        self.assertAlmostEqual(sum(answer["score"] for answer in found), 1, 5)
        objects = [{"text": "Ada moved.", "text_pair": "She lives in Lima."}, {"text": "alone"}]
        from_lines = lines(run("nsp", model, "--jsonl", stdin="\n".join(map(json.dumps, objects))))
        self.assertEqual(from_lines[0], found)
        self.assertIn("text_pair", from_lines[1]["error"]["message"])
        for arguments in (["--text", "a"], ["--text-pair", "a"], [], ["--jsonl", "--text", "a", "--text-pair", "b"]):
            self.assertEqual(run("nsp", model, *arguments).returncode, 2, arguments)
        refused = run("nsp", CLASSIFIER, "--text", "a", "--text-pair", "b")
        self.assertEqual(refused.returncode, 2)
        self.assertIn(b"--head next-sentence-prediction", refused.stderr)

    def test_lines_end_at_lf_or_crlf_and_lose_a_byte_order_mark(self):
        plain = run("tokenize", CLASSIFIER, stdin="one bank\nin Lima\n").stdout
        self.assertEqual(plain.count(b"\n"), 2)
        for stdin in ("one bank\nin Lima", "one bank\r\nin Lima\r\n", "\ufeffone bank\nin Lima\n",
                      "\ufeffone bank\r\nin Lima"):
            self.assertEqual(run("tokenize", CLASSIFIER, stdin=stdin).stdout, plain, stdin)
        spaces = self.ask("tokenize", CLASSIFIER, stdin="  bank \n")[0]
        self.assertEqual(spaces["offsets"][1], [2, 6])

    def test_a_byte_order_mark_or_a_carriage_return_anywhere_else_is_text(self):
        # Of the lines after the first only the one CR before LF is dropped.
        texts = ["bank", "\ufeffbank", "ba\rnk", "\rbank", "bank\r", "\ufeff"]
        expected = self.ask("tokenize", TAGGER, *texts)
        self.assertEqual(self.ask("tokenize", TAGGER, stdin="\ufeff" + "\r\n".join(texts)), expected)
        roberta = str(MODELS / "roberta_classify.safetensors")  # has a token for each byte
        self.assertEqual(self.ask("tokenize", roberta, stdin="bank\r\r\n"), self.ask("tokenize", roberta, "bank\r"))
        self.assertNotEqual(self.ask("tokenize", roberta, stdin="bank\r\r\n"), self.ask("tokenize", roberta, "bank"))
        [twice] = self.ask("tokenize", TAGGER, stdin="\ufeff\ufeffbank")
        self.assertEqual(twice, expected[1])
        self.assertEqual(twice["offsets"][1], [1, 5])

    def test_empty_lines_are_empty_texts(self):
        out = self.ask("tokenize", CLASSIFIER, stdin="\nbank\n\n")
        self.assertEqual([x["tokens"] for x in out], [["[CLS]", "[SEP]"], ["[CLS]", "bank", "[SEP]"], ["[CLS]", "[SEP]"]])
        self.assertEqual(self.ask("ner", TAGGER, stdin="\n"), [[]])
        self.assertEqual(len(self.ask("classify", CLASSIFIER, stdin="\n")[0]), 1)

    def test_nothing_in_gives_nothing_out(self):
        for command, model in (("classify", CLASSIFIER), ("ner", TAGGER), ("tokenize", CLASSIFIER)):
            self.assertEqual(self.ask(command, model), [])
            self.assertEqual(self.ask(command, model, stdin="\ufeff"), [])
            self.assertEqual(self.ask(command, model, "--jsonl"), [])
        self.assertEqual(self.ask("qa", ASKER, "--jsonl"), [])

    def test_blank_lines_between_objects_mean_nothing_but_count(self):
        stdin = '\n{"text":"a"}\n \t\r\n\r\n{"text":5}\n\n'
        plain, error = self.ask("classify", CLASSIFIER, "--jsonl", stdin=stdin, status=1)
        self.assertEqual([plain], self.ask("classify", CLASSIFIER, "a"))
        self.check_error(error, 5, says="number")
        out = self.ask("bench", CLASSIFIER, "--jsonl", stdin='\n{"ids":[[1]]}\n\r\n{"ids":5}\n', status=1)
        self.assertEqual(out[0]["tokens"], 1)
        self.check_error(out[1], 4)

    def test_qa_reads_a_context_per_line(self):
        contexts = ["Sinan lives in Boston", "Ada lives in Lima"]
        out = self.ask("qa", ASKER, "--question", "Where?", stdin="\n".join(contexts))
        self.assertEqual(out, [self.ask("qa", ASKER, "--question", "Where?", "--context", c)[0] for c in contexts])
        objects = "\n".join(json.dumps({"context": c, "question": "Where?"}) for c in contexts)
        self.assertEqual(self.ask("qa", ASKER, "--jsonl", stdin=objects), out)

    def test_an_empty_text_pair_is_none_to_classify_and_to_logits(self):
        stdin = '{"text":"Ada","text_pair":""}\n{"text":"Ada"}'
        for command in ("classify", "logits"):
            with_empty, without = self.ask(command, CLASSIFIER, "--jsonl", stdin=stdin)
            self.assertEqual(with_empty, without)

    def test_pairs_are_not_two_texts_in_one(self):
        pair = json.dumps({"text": "one bank", "text_pair": "in Lima"})
        [encoding] = self.ask("tokenize", CLASSIFIER, "--jsonl", stdin=pair)
        self.assertEqual(encoding["tokens"].count("[SEP]"), 2)
        self.assertIn(1, encoding["type_ids"])
        together, alone = self.ask("classify", CLASSIFIER, "--jsonl", stdin=pair + "\n" + '{"text":"one bank"}')
        self.assertNotEqual(together, alone)
        [error] = self.ask("ner", TAGGER, "--jsonl", stdin=pair, status=1)
        self.check_error(error, 1, says="text_pair")


class OtherKeys(ProgramTest):
    """Keys of a line's object that the command doesn't read come out as they went in."""

    def out(self, *arguments, stdin, status=0):
        process = run(*arguments, stdin=stdin)
        self.assertEqual((process.returncode, process.stderr), (status, b""))
        return process.stdout.decode().rstrip("\n").split("\n")

    def test_they_come_first_and_the_result_below_its_own_key(self):
        for command, model, line in (("classify", CLASSIFIER, {"text": "Ada", "text_pair": "Lima"}),
                                     ("ner", TAGGER, {"text": "Ada moved to Lima"}),
                                     ("qa", ASKER, {"question": "Where?", "context": "in Boston"}),
                                     ("logits", CLASSIFIER, {"text": "Ada"}), ("tokenize", TAGGER, {"text": "Ada"})):
            stdin = json.dumps(line) + "\n" + json.dumps({"id": 7, **line, "lang": "tr"})
            plain, with_keys = self.out(command, model, "--jsonl", stdin=stdin)
            self.assertEqual(with_keys, '{"id":7,"lang":"tr","result":' + plain + "}")

    def test_values_stay_as_they_are_written(self):
        values = ("12345678901234567890123", "1.0", "-0.0", "1E5", "null", "true", '"a, }: b"', r'"\"}\\"', r'"\u00e9"',
                  '"\u00e9"', "[]", "{}", '[1,{"text":"b"},"]"]', '{"a":{"b":[[]]},"c":"}"}')
        for value in values:
            [line] = self.out("tokenize", TAGGER, "--jsonl", stdin=f'{{"text":"a","x":{value},"y":1}}')
            self.assertTrue(line.startswith(f'{{"x":{value},"y":1,"result":{{"ids":['), line)

    def test_spaces_between_them_are_left_out(self):
        [line] = self.out("tokenize", TAGGER, "--jsonl", stdin=' {\t"x y" : [ 1 , "a b" ] ,\r "text" : "a" , "z":{ } } \r')
        self.assertTrue(line.startswith('{"x y":[1,"a b"],"z":{},"result":{"ids":['), line)

    def test_a_bad_line_keeps_them(self):
        stdin = '{"id":7,"text":5}\n{"id":8}\n{"id":9,"text":"' + "bank " * 600 + '"}\n{"id":10,"text":"a"}\n{"id":11'
        out = [json.loads(line) for line in self.out("classify", CLASSIFIER, "--jsonl", stdin=stdin, status=1)]
        for value, number in zip(out[:3], (1, 2, 3)):
            self.assertEqual(value.pop("id"), number + 6)
            self.check_error(value, number)
        self.assertEqual(list(out[3]), ["id", "result"])
        self.check_error(out[4], 5)

    def test_those_with_names_of_the_output_are_left_out(self):
        names = {name: 1 for name in ("result", "truncated", "error", "line")}
        for text in ("a", 5):
            stdin = json.dumps({**names, "text": text, "id": 1})
            [line] = self.out("classify", CLASSIFIER, "--jsonl", stdin=stdin, status=0 if text == "a" else 1)
            keys = [key for key, _ in json.loads(line, object_pairs_hook=list)]
            self.assertEqual(keys, ["id", "result"] if text == "a" else ["id", "error", "line"])
        stdin = json.dumps({**names, "text": "a"}) + '\n{"te\\u0078t":"a"}\n{"text":"a"}'
        self.assertEqual(len(set(self.out("classify", CLASSIFIER, "--jsonl", stdin=stdin))), 1)

    def test_a_key_may_be_written_with_escapes(self):
        [line] = self.out("classify", CLASSIFIER, "--jsonl", stdin='{"te\\u0078t":"a","i\\u0064":1}')
        self.assertEqual(list(json.loads(line)), ["id", "result"])
        self.assertTrue(line.startswith('{"i\\u0064":1,"result":'), line)


class CutTexts(ProgramTest):
    """Text that doesn't go into the model is never left out in silence."""
    LONG = "bank " * 600

    def test_an_object_says_so_and_nothing_else_does(self):
        long, short = self.ask("tokenize", CLASSIFIER, "--truncation", "longest_first", "--max-length", "8", self.LONG, "a")
        self.assertEqual((len(long["ids"]), long["truncated"], "truncated" in short), (8, True, False))
        [whole] = self.ask("tokenize", CLASSIFIER, "--truncation", "longest_first", self.LONG)
        self.assertEqual((len(whole["ids"]), whole["truncated"]), (128, True))
        long, short = self.ask("logits", CLASSIFIER, "--truncation", "only_first", self.LONG, "a")
        self.assertEqual((list(long), list(short), long["truncated"]), (["logits", "truncated"], ["logits"], True))
        stdin = json.dumps({"id": 1, "text": self.LONG}) + '\n{"id":2,"text":"a"}'
        long, short = self.ask("classify", CLASSIFIER, "--truncation", "--jsonl", stdin=stdin)
        self.assertEqual((list(long), list(short), long["truncated"]), (["id", "truncated", "result"], ["id", "result"], True))

    def test_else_standard_error_counts_them(self):
        stdin = "a\n" + f"{self.LONG}\n" * 3 + "b\n" * 996
        process = run("classify", CLASSIFIER, "--truncation", stdin=stdin)
        self.assertEqual(process.returncode, 0)
        self.assertRegex(process.stderr.decode(), r"^bertha: 3 of 1,000 texts were cut; .*--truncation.*\n$")
        self.assertEqual(len(lines(process)), 1000)
        quiet = run("classify", CLASSIFIER, "--truncation", "--quiet", stdin=stdin)
        self.assertEqual((quiet.stderr, quiet.stdout), (b"", process.stdout))
        self.assertIn(b"1 of 1 texts was cut", run("classify", CLASSIFIER, "--truncation", self.LONG).stderr)

    def test_windows_leave_nothing_out(self):
        [windows] = self.ask("tokenize", CLASSIFIER, "--truncation", "only_first", "--max-length", "10", "--stride", "2",
                             "--windows", "bank " * 20)
        self.assertEqual([window["offsets"][1][0] for window in windows], [0, 30, 60])
        self.assertTrue(all("truncated" not in window for window in windows))


class BadLines(ProgramTest):
    """Nothing that one line holds touches the others of its batch."""

    BAD = {'{"text":': "not valid JSON", '{"txt":"a"}': '"text"', '{"text":5}': "number", '{"text":null}': "null",
           '["a"]': "object", '"a"': "object", "null": "object", "nonsense": "not valid JSON",
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
                out[2 * i + 1].pop("txt", None)
                self.check_error(out[2 * i + 1], 2 * i + 2, says=says)

    def test_a_message_is_short_however_long_the_line_is(self):
        for bad in ('{"text":"' + "a" * 1_000_000, '"' + "a" * 1_000_000, "a" * 1_000_000, '{"text":"a"} ' + "b" * 1_000_000):
            process = run("classify", CLASSIFIER, "--jsonl", stdin=bad)
            self.check_error(lines(process)[0], 1, says="not valid JSON")
            self.assertLess(len(process.stdout), 1000)

    def test_each_command_goes_on_after_a_bad_line(self):
        for command, model, line, too_long in (
                ("classify", CLASSIFIER, {"text": "Ada"}, {"text": "bank " * 600}),
                ("ner", TAGGER, {"text": "Ada"}, {"text": "a", "text_pair": "b"}),
                ("logits", CLASSIFIER, {"text": "Ada"}, {"text": "bank " * 600}),
                ("tokenize", CLASSIFIER, {"text": "Ada"}, {"text": None}),
                ("qa", ASKER, {"question": "Where?", "context": "in Boston"}, {"question": "bank " * 600, "context": "a"})):
            good, bad = json.dumps(line), json.dumps(too_long)
            [expected] = self.ask(command, model, "--jsonl", stdin=good)
            out = self.ask(command, model, "--jsonl", stdin="\n".join([bad, good, bad, bad, good]), status=1)
            self.assertEqual([out[1], out[4]], [expected] * 2)
            for i in (0, 2, 3):
                self.check_error(out[i], i + 1)
                self.assertNotRegex(out[i]["error"]["message"], r"\bof 5\b")  # of the batch: it means nothing here

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
        for i, says in ((0, 'no key "context"; expected a string or a list of strings'),
                        (1, 'no key "question"; expected a string there'),
                        (2, '"context" is null; expected a string or a list of strings'), (4, "question is empty"),
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

    def test_a_line_of_fifty_megabytes_is_a_text_like_others(self):
        size = 50_000_000
        words, word = "bank \u00e9 " * (size // 8), "a" * size
        out = self.ask("classify", CLASSIFIER, stdin=f"bank\n{words}\n{word}\nbank\n", status=1)
        self.check_error(out[1], 2, says=f"{size // 4 + 2} tokens")
        self.assertEqual((len(out), out[0]), (4, out[3]))
        cut = ("--truncation", "longest_first", "--max-length", "4")
        out = self.ask("tokenize", CLASSIFIER, *cut, stdin=f"{words}\n{word}\nbank\n")
        self.assertEqual([len(answer["ids"]) for answer in out], [4, 3, 3])
        self.assertEqual(out[1]["offsets"][1], [0, size])

    def test_a_text_that_is_too_long_is_an_error_with_both_numbers(self):
        long = "bank " * 600
        out = self.ask("classify", CLASSIFIER, stdin=f"bank\n{long}\nbank\n", status=1)
        self.check_error(out[1], 2, says="602")
        self.assertIn("128", out[1]["error"]["message"])
        self.assertEqual(out[0], out[2])
        self.assertEqual(len(self.ask("tokenize", CLASSIFIER, long)[0]["ids"]), 602)
        [answer] = self.ask("qa", ASKER, "--question", "Where?", "--context", long)
        self.assertEqual(long[answer["start"]:answer["end"]], answer["answer"])
        [error] = self.ask("qa", ASKER, "--question", long, "--context", "Boston", status=1)
        self.check_error(error, 1)


if __name__ == "__main__":
    unittest.main()
