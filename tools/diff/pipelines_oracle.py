#!/usr/bin/env python3
"""The half of pipelines.py that needs torch and transformers: it makes checkpoints, or answers by the pipelines.

    python3 tools/diff/pipelines_oracle.py make FOLDER NAME...
    python3 tools/diff/pipelines_oracle.py answer [--transformers-4-52 FILE] < groups.jsonl > answers.jsonl

What transformers has is asked of it: 5.23.0 for texts and entities, 4.57.6 for questions, and for the score rule hf_4_52
FILE, pipelines/question_answering.py of 4.52.4. What it doesn't have is spelled out here once more, the slow way. The
other tasks are in encoder_oracle.py.
"""

import argparse
import importlib.util
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import transformers

import encoder_oracle

sys.path.append(str(Path(__file__).resolve().parents[1]))
NONE_LEFT = 2.0**-149  # what stands for a probability of 0


@dataclass
class Own:
    """The options that transformers doesn't have."""

    word_grouping: str = "hugging_face"
    label_scheme: str = "bio"
    decoding: str = "independent"
    top_k: int = 0


def parted(label, scheme):
    """What a label says: which part of an entity, and of which."""
    if label[1:2] == "-" and label[0] in ("BI" if scheme == "bio" else "BIMELSU"):
        return {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S"}[label[0]], label[2:]
    return "", label


def may_follow(before, after, known):
    """Whether a token of one (part, tag) may stand behind another; None is the start or the end of the text."""
    opened = before is not None and before[0] in ("B", "I")
    if opened and after is not None and after[0] in ("I", "E") and before[1] == after[1]:
        return True
    if opened and ("E", before[1]) in known:
        return False
    if after is None or after[0] not in ("I", "E"):
        return True
    return ("B", after[1]) not in known and not (after[0] == "E" and ("I", after[1]) in known)


def best_path(scores, labels):
    """Viterbi over log-probabilities, all pairs of labels."""
    known = set(labels)
    log = np.log(np.maximum(np.asarray(scores, np.float64), NONE_LEFT))
    bar = lambda before, after: 0.0 if may_follow(before, after, known) else -np.inf
    step = np.array([[bar(a, b) for b in labels] for a in labels])
    total, back = log[0] + [bar(None, b) for b in labels], []
    for row in log[1:]:
        through = total[:, None] + step
        back.append(through.argmax(axis=0))
        total = through.max(axis=0) + row
    closed = total + [bar(a, None) for a in labels]
    last = int((closed if np.isfinite(closed.max()) else total).argmax())
    path = [last]
    for row in reversed(back):
        path.append(int(row[path[-1]]))
    return path[::-1]


class Entities(transformers.TokenClassificationPipeline):
    """The pipeline, with the options of Own."""

    own = Own()

    def preprocess(self, sentence, offset_mapping=None, **params):
        given = dict(params.get("tokenizer_params", {}))
        split = params["is_split_into_words"]
        tokens = self.tokenizer(sentence, truncation=True, is_split_into_words=split, **given)
        for i, inputs in enumerate(super().preprocess(sentence, offset_mapping, **params)):
            yield {**inputs, "word_ids": tokens.word_ids(i)}

    def gather_pre_entities(self, sentence, ids, scores, offsets, special, strategy, word_ids=None, word_to_chars_map=None):
        found = super().gather_pre_entities(sentence, ids, scores, offsets, special, strategy, word_ids, word_to_chars_map)
        for entity in found if self.own.word_grouping == "true_words" else ():
            i, start = entity["index"], entity["start"]
            spaced = word_to_chars_map is None and " " in sentence[max(0, start - 1) : start + 1]
            entity["is_subword"] = i > 0 and word_ids[i] == word_ids[i - 1] and not spaced
        return found

    def aggregate(self, pre_entities, strategy):
        if self.own == Own():
            return super().aggregate(pre_entities, strategy)
        labels = self.model.config.id2label
        name = strategy.value
        units = [[entity] for entity in pre_entities]
        if name in ("first", "average", "max"):
            units = []
            for entity in pre_entities:
                if units and entity["is_subword"]:
                    units[-1].append(entity)
                else:
                    units.append([entity])
        rows = []
        for unit in units:
            scores = np.stack([entity["scores"] for entity in unit])
            chosen = int(scores.max(axis=1).argmax()) if name == "max" else 0
            rows.append(scores.mean(axis=0) if name == "average" else scores[chosen])
        parts = [parted(labels[i], self.own.label_scheme) for i in range(len(labels))]
        path = best_path(rows, parts) if rows and self.own.decoding == "valid" else [int(row.argmax()) for row in rows]
        found = []
        for unit, row, label in zip(units, rows, path):
            word = unit[0]["word"]
            if name in ("first", "average", "max"):
                word = self.tokenizer.convert_tokens_to_string([entity["word"] for entity in unit])
            entity = {"entity": labels[label], "score": row[label], "index": unit[0]["index"], "word": word}
            entity |= {"start": unit[0]["start"], "end": unit[-1]["end"], "part": parts[label]}
            if self.own.top_k:
                order = np.argsort(-row, kind="stable")[: self.own.top_k]
                entity["top_labels"] = [{"label": labels[int(i)], "score": float(row[i])} for i in order]
            found.append(entity)
        if name != "none":
            groups = []
            for entity in found:
                part, tag = entity["part"]
                last = groups[-1][-1]["part"] if groups else None
                if last and part not in ("B", "S") and last[0] not in ("E", "S") and tag == last[1]:
                    groups[-1].append(entity)
                else:
                    groups.append([entity])
            return [self.group_sub_entities(group) for group in groups]
        for entity in found:
            del entity["part"]
        return found


def plain(value):
    """numpy's numbers as Python's."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.item() if isinstance(value, (np.generic, torch.Tensor)) else value


def entities(pipe, options, item):
    own = {key: options.pop(key) for key in list(options) if key in Own.__dataclass_fields__}
    pipe.own = Own(**own)
    pipe.tokenizer.model_max_length = options.pop("max_length", None) or pipe.longest
    if not options.get("is_split_into_words"):
        return pipe(item["text"], **options)
    return pipe([item["text"]], **options)[0]


def labels_of(pipe, options, item):
    windows = options.pop("windows", None)
    reduce, pair = options.pop("reduce", "mean"), item.get("text_pair")
    if windows is None:
        found = pipe(item["text"] if pair is None else {"text": item["text"], "text_pair": pair}, **options)
        found = found if isinstance(found, list) else [found]
        return found[0] if isinstance(found[0], list) else found
    top_k, function = options.pop("top_k", 1), options.pop("function_to_apply", None)
    function = transformers.pipelines.text_classification.ClassificationFunction[function.upper()] if function else None
    options.setdefault("max_length", pipe.longest)
    if options.setdefault("truncation", True) is False:
        options["truncation"] = True
    names = pipe.tokenizer.model_input_names
    encoded = pipe.tokenizer(item["text"], pair or None, stride=windows, return_overflowing_tokens=True,
                             return_offsets_mapping=True, **options)
    said, rows = [], []
    for i in range(len(encoded["input_ids"])):
        with torch.no_grad():
            logits = pipe.model(**{name: torch.tensor([encoded[name][i]]) for name in names}).logits
        window = pipe.postprocess({"logits": logits}, function, top_k=None, _legacy=False)
        scores = {one["label"]: np.float32(one["score"]) for one in window}
        rows.append([scores[pipe.model.config.id2label[l]] for l in range(len(scores))])
        entry = {}
        for sequence, (start, end) in enumerate([("start", "end"), ("pair_start", "pair_end")][: 2 if pair else 1]):
            spans = [span for span, of in zip(encoded["offset_mapping"][i], encoded[i].sequence_ids) if of == sequence]
            entry |= {start: min((s for s, _ in spans), default=0), end: max((e for _, e in spans), default=0)}
        said.append({**entry, "labels": window[:top_k]})
    rows = np.array(rows, np.float32)
    scores = {"mean": rows.mean(axis=0), "max": rows.max(axis=0), "first": rows[0]}[reduce]
    order = np.argsort(-scores, kind="stable")[:top_k]
    labels = [{"label": pipe.model.config.id2label[int(l)], "score": scores[l]} for l in order]
    return {"labels": labels, "windows": said}


def candidates_of(pipe, module, options, question, contexts):
    """The windows of all contexts with what the model says, and where candidates lie."""
    found = []
    for passage, context in enumerate(contexts):
        example = module.SquadExample(None, question, context, None, None, None)
        given = {key: options[key] for key in ("doc_stride", "max_seq_len") if key in options}
        for features in pipe.preprocess(example, **given):
            with torch.no_grad():
                output = pipe.forward(features)
            found.append((passage, context, features["encoding"], output))
    return found


def owners(windows, stride):
    """For each window the tokens of the context that begin spans there: those that no other window shows better."""
    shown = {}
    for w, (passage, _, encoding, _) in enumerate(windows):
        own = [i for i, sequence in enumerate(encoding.sequence_ids) if sequence == 1]
        first = min(v for v, one in enumerate(windows) if one[0] == passage)
        kept = sum(sequence == 1 for sequence in windows[first][2].sequence_ids)
        for place, i in enumerate(own):
            score = 100 * min(place, len(own) - 1 - place) + len(own)
            key = (passage, (w - first) * (kept - stride) + place)
            if score > shown.get(key, (-1,))[0]:
                shown[key] = (score, w, i)
    result = [set() for _ in windows]
    for _, w, i in shown.values():
        result[w].add(i)
    return result


def ranked(pipe, module, options, question, contexts):
    """Answers by the rules that no version has, or to several contexts."""
    rule, top_k = options["score_rule"], options.get("top_k", 1)
    longest, align = options.get("max_answer_len", 15), options.get("align_to_words", True)
    threshold, impossible = options.get("no_answer_threshold"), options.get("handle_impossible_answer", False)
    count = 2 * top_k + 10 if align and rule != "hf_4_52" else top_k
    windows = candidates_of(pipe, module, options, question, contexts)
    null, spans = 1e6, []
    if rule == "calibrated":
        size = options.get("max_seq_len") or min(pipe.tokenizer.model_max_length, 384)
        stride = options.get("doc_stride", min(size // 2, 128))
        whole, nulls = 0.0, []
        every = [float(x) for _, _, e, o in windows for x in (o["start"].max() + o["end"].max(),)]
        highest = max(every)
        owned = owners(windows, stride)
        for w, (passage, context, encoding, output) in enumerate(windows):
            start, end = output["start"][0].double().numpy(), output["end"][0].double().numpy()
            inside = [i for i, sequence in enumerate(encoding.sequence_ids) if sequence == 1]
            own = []
            for s in sorted(owned[w]):
                for e in inside:
                    if s <= e < s + longest:
                        own.append((float(np.exp(start[s] + end[e] - highest)), s, e))
            whole += sum(mass for mass, _, _ in own)
            nulls.append(float(np.exp(start[0] + end[0] - highest)))
            own.sort(key=lambda one: (-one[0], one[1], one[2]))
            spans += [(w, s, e, mass) for mass, s, e in own[:count]]
        if impossible or threshold is not None:
            whole += min(nulls)
        null = min(nulls) / whole
        spans = [(w, s, e, mass / whole) for w, s, e, mass in spans]
    else:
        for w, (passage, context, encoding, output) in enumerate(windows):
            starts, ends, scores, null = module.select_starts_ends(
                output["start"], output["end"], output["p_mask"], output["attention_mask"].numpy(), null, count, True, longest)
            spans += [(w, s, e, score.item()) for s, e, score in zip(starts, ends, scores)]
    answers = []
    for w, s, e, score in spans:
        passage, context, encoding, _ = windows[w]
        start, end = pipe.get_indices(encoding, s, e, 1, align)
        end = max(start, end)
        text = context[start:end]
        same = [a for a in answers if a["passage"] == passage and a["answer"].lower() == text.lower()]
        entry = {"score": score, "start": start, "end": end, "answer": text, "passage": passage}
        if not same or rule == "hf_4_52":
            answers.append(entry)
        elif rule == "best":
            if score > same[0]["score"]:
                same[0].update(entry)
        else:
            same[0]["score"] += score
    nothing = {"score": null, "start": 0, "end": 0, "answer": "", "passage": 0}
    if impossible:
        answers.append(nothing)
    answers = sorted(answers, key=lambda answer: answer["score"], reverse=True)[:top_k]
    best = next((answer["score"] for answer in answers if answer["answer"]), -1.0)
    if threshold is not None and np.float32(best) < threshold:
        answers = [nothing, *(answer for answer in answers if answer["answer"])][:top_k]
    for answer in answers if len(contexts) == 1 else ():
        del answer["passage"]
    return answers


def answers(pipe, options, item, old=None):
    module = transformers.pipelines.question_answering
    contexts = item["context"] if isinstance(item["context"], list) else [item["context"]]
    rule = options.setdefault("score_rule", "hf_4_57")
    if len(contexts) > 1 or rule in ("best", "calibrated") or "no_answer_threshold" in options:
        return ranked(pipe, module, options, item["question"], contexts)
    del options["score_rule"]
    if rule == "hf_4_52":
        pipe = old
    found = pipe(question=item["question"], context=contexts[0], **options)
    found = found if isinstance(found, list) else [found]
    # An answer that ends before it starts is an empty one: its text is.
    return [answer | {"end": max(answer["start"], answer["end"])} for answer in found]


def fillings(pipe, options, item):
    given = {key: options.pop(key) for key in ("truncation", "max_length") if key in options}
    return pipe(item["text"], tokenizer_kwargs=given, **options)


def question_answering_4_52(path):
    """The pipeline of a file of transformers 4.52.4, within the version that is installed."""
    spec = importlib.util.spec_from_file_location("transformers.pipelines.question_answering_4_52", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.QuestionAnsweringPipeline


def load(folder, head, old):
    """answer(options, item) of a checkpoint."""
    if head in encoder_oracle.LOADERS:
        return encoder_oracle.LOADERS[head](Path(folder))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    auto = {"classify": "SequenceClassification", "ner": "TokenClassification", "qa": "QuestionAnswering", "fill-mask": "MaskedLM"}[head]
    model = getattr(transformers, f"AutoModelFor{auto}").from_pretrained(folder).float().eval()
    given = {"model": model, "tokenizer": tokenizer, "device": "cpu"}
    if head == "qa":
        older = question_answering_4_52(old)(task="question-answering", **given) if old else None
        pipe = transformers.pipeline("question-answering", **given)
        return lambda options, item: answers(pipe, options, item, older)
    if head == "fill-mask":
        pipe = transformers.pipeline("fill-mask", **given)
        return lambda options, item: fillings(pipe, options, item)
    pipe = transformers.pipeline("text-classification", **given) if head == "classify" else Entities(task="ner", **given)
    pipe.longest = tokenizer.model_max_length
    asked = labels_of if head == "classify" else entities
    return lambda options, item: asked(pipe, options, item)


def answer(old):
    """An answer for every item of every group, or what the oracle says is wrong with it."""
    loaded = {}
    for line in sys.stdin:
        group = json.loads(line)
        if group["folder"] not in loaded:
            loaded[group["folder"]] = load(group["folder"], group["head"], old)
        for item in group["items"]:
            try:
                found = loaded[group["folder"]](dict(group["options"]), item)
                print(json.dumps({"found": plain(found)}), flush=True)
            except BaseException as error:  # tokenizers panics, which is no Exception
                if isinstance(error, KeyboardInterrupt):
                    raise
                print(json.dumps({"error": f"{type(error).__name__}: {error}"[:300]}), flush=True)


def make(folder, names):
    """Random tiny checkpoints of tools/goldens, by name, and of encoder_oracle.py."""
    from goldens.models import write_model
    from goldens.tiny_models import MODELS

    for tiny in MODELS:
        if tiny.name in names:
            (folder / tiny.name).mkdir(parents=True)
            write_model(folder / tiny.name, tiny)
    encoder_oracle.make(folder, names)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("make", "answer"))
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--transformers-4-52", type=Path)
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    if arguments.what == "make":
        make(arguments.folder, arguments.names)
    else:
        answer(arguments.transformers_4_52)


if __name__ == "__main__":
    main()
