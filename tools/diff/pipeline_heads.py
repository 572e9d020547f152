"""What pipelines.py asks of each command of the program: options and their values, models, inputs, command lines.

A head's `options` are by the names that the oracle has for them; `kind` says what inputs are like, and `model` comes
first in every table.
"""

import json
import random
from pathlib import Path
from typing import Any, ClassVar

Json = dict[str, Any]
Row = dict[str, Any]  # a value of each option

UNSET = "unset"
SCORE, TIE, COSINE = 1e-4, 1e-5, 0.999999
ODD = ["", " ", "Caf\u00e9 \u0130stanbul'da U.S. A.B.", "don't  stop\u2014now (New York)", "[MASK] ok <s> x",
       "\u6771\u4eac\u30bf\u30ef\u30fc soft\u00adhyphen \U0001f469\u200d\U0001f680", "Tom met Ada in Rome."]


def given(row: Row, name: str) -> bool:
    """Whether an option is set."""
    return row.get(name, UNSET) != UNSET


def set_options(row: Row) -> Row:
    """Those that are."""
    return {name: value for name, value in row.items() if value != UNSET and name != "kind"}


def near(found: list[float], expected: list[float]) -> bool:
    """Scores that are equal within the promise."""
    return len(found) == len(expected) and all(abs(a - b) <= SCORE * max(1, abs(b)) for a, b in zip(found, expected))


def parts(value: Any) -> tuple[Any, list[list[float]]]:
    """A value without its scores, and the scores, a list for each list of things that have one."""
    scores: list[list[float]] = []

    def walk(one: Any) -> Any:
        if isinstance(one, list):
            mine = [element["score"] for element in one if isinstance(element, dict) and "score" in element]
            if mine:
                scores.append(mine)
            return [walk(element) for element in one]
        if isinstance(one, dict):
            return {key: walk(element) for key, element in one.items() if key != "score"}
        return one

    return walk(value), scores


def is_tie(found: Any, expected: Any) -> bool:
    """Whether what differs are things in another order, or cut off, whose scores are nearer than TIE."""
    if type(found) is not type(expected) or not isinstance(found, (dict, list)):
        return found == expected
    if len(found) != len(expected):
        return False
    if isinstance(found, dict):
        return all(key == "score" or (key in found and is_tie(found[key], expected[key])) for key in expected)
    for i, (ours, theirs) in enumerate(zip(found, expected)):
        if is_tie(ours, theirs):
            continue
        if not (isinstance(theirs, dict) and "score" in theirs):
            return False
        others = [expected[j]["score"] for j in (i - 1, i + 1) if 0 <= j < len(expected)]
        others += [ours["score"]] if i == len(expected) - 1 else []  # the one that would come next is not shown
        if all(abs(theirs["score"] - score) >= TIE for score in others):
            return False
    return True


class Texts:
    """Lines of real text, and odd ones."""

    def __init__(self, lines: list[str], rng: random.Random):
        self.lines, self.rng = lines, rng

    def line(self) -> str:
        """One of the lines."""
        return self.rng.choice(self.lines)

    def any(self) -> str:
        """A line, or an odd text."""
        return self.rng.choice(ODD) if self.rng.random() < 0.15 else self.line()

    def long(self, most: int) -> str:
        """Several lines."""
        return " ".join(self.line() for _ in range(self.rng.randint(2, most)))

    def few(self, most: int) -> list[str]:
        """Some texts."""
        return [self.any() for _ in range(self.rng.randint(2, most))]


class Head:
    """One command."""

    name: ClassVar[str]
    models: ClassVar[list[str]]  # random tiny ones
    options: ClassVar[dict[str, list[Any]]]
    flags: ClassVar[dict[str, str]] = {}  # the program's words for options, where they are others
    python: ClassVar[str] = "python"  # whose transformers is the oracle

    def allowed(self, row: Row, model: str) -> bool:
        """Whether both sides have these values together."""
        return True

    def item(self, row: Row, texts: Texts) -> Json:
        """An input for these values."""
        return {"text": texts.long(5) if "long" in row["kind"] else texts.any()}

    def words(self, name: str, value: Any, row: Row) -> list[str]:
        """An option on the command line."""
        flag = self.flags.get(name, "--" + name.replace("_", "-"))
        return [flag] if value is True else [flag, "all" if value is None else str(value)]

    def command(self, program: Path, file: Path, row: Row) -> list[str]:
        """The program with these values."""
        words = [str(program), self.name, str(file), "--jsonl", "--quiet"]
        for name, value in set_options(row).items():
            words += self.words(name, value, row)
        return words

    def comparable(self, found: Any) -> Any:
        """What the program found, as the oracle has it."""
        return found

    def verdict(self, ours: Any, theirs: Json) -> str:
        """same, tie, or differs."""
        refused = isinstance(ours, dict) and "error" in ours
        if "error" in theirs or refused:
            return "same" if "error" in theirs and refused else "differs"
        (shape, scores), (wanted, expected) = parts(self.comparable(ours)), parts(self.comparable(theirs["found"]))
        flat, flat_expected = sum(scores, []), sum(expected, [])
        if shape == wanted and near(flat, flat_expected):
            return "same"
        tied = is_tie(self.comparable(ours), self.comparable(theirs["found"]))
        return "tie" if tied and near(flat, flat_expected) else "differs"

    def is_plain(self, found: Any) -> bool:
        """Short, and without scores that are nearly equal, or of numpy's accidents: fit to be recorded."""
        _, scores = parts(self.comparable(found))
        gaps = [abs(a - b) for some in scores for i, a in enumerate(some) for b in some[:i]]
        return len(json.dumps(found)) < 900 and min(gaps, default=1) > 4 * TIE and 0 not in sum(scores, [])


class Classify(Head):
    """classify"""

    name = "classify"
    models = ["classify_two", "classify_multi_label", "classify_regression", "roberta_classify", "albert_classify"]
    options = {
        "top_k": [UNSET, 2, None],
        "function_to_apply": [UNSET, "softmax", "sigmoid", "none"],
        "truncation": ["longest_first", "only_first", "only_second"],
        "max_length": [UNSET, 12, 24],
        "windows": [UNSET, 0, 3],
        "reduce": [UNSET, "mean", "max", "first"],
        "kind": ["text", "pair", "long", "long pair"],
    }
    flags = {"windows": "--stride", "truncation": "--truncation-strategy"}

    def allowed(self, row: Row, model: str) -> bool:
        if "pair" not in row["kind"] and row["truncation"] == "only_second":
            return False
        return given(row, "windows") or not given(row, "reduce")

    def item(self, row: Row, texts: Texts) -> Json:
        text = texts.long(4) if "long" in row["kind"] else texts.any()
        return {"text": text, "text_pair": texts.any()} if "pair" in row["kind"] else {"text": text}

    def words(self, name: str, value: Any, row: Row) -> list[str]:
        if name == "truncation" and value == "longest_first" and not given(row, "windows"):
            return ["--truncation"]
        return super().words(name, value, row) + (["--show-windows"] if name == "windows" else [])


class Ner(Head):
    """ner"""

    name = "ner"
    models = ["entities_cased", "entities_bioes", "roberta_entities", "xlm_roberta_entities", "albert_entities",
              "distilbert_entities"]
    options = {
        "aggregation_strategy": ["none", "simple", "first", "average", "max"],
        "ignore_labels": [UNSET, [], ["PER"], ["O", "B-PER", "LOC"]],
        "stride": [UNSET, 0, 1, 8],
        "max_length": [UNSET, 16, 40],
        "is_split_into_words": [UNSET, True],
        "delimiter": [UNSET, "", "-"],
        "word_grouping": [UNSET, "true_words"],
        "label_scheme": [UNSET, "bioes"],
        "decoding": [UNSET, "valid"],
        "top_k": [UNSET, 3],
        "kind": ["text", "long"],
    }
    flags = {"aggregation_strategy": "--aggregation", "top_k": "--top-labels"}

    def allowed(self, row: Row, model: str) -> bool:
        if given(row, "stride" if row["aggregation_strategy"] == "none" else "top_k"):
            return False
        if given(row, "delimiter") and not given(row, "is_split_into_words"):
            return False
        mixed = model in ("entities_cased", "entities_bioes")
        return not (mixed and row["decoding"] == "valid" and not given(row, "label_scheme"))

    def item(self, row: Row, texts: Texts) -> Json:
        text = super().item(row, texts)["text"]
        return {"text": text.split(" ") if row["is_split_into_words"] is True else text}

    def words(self, name: str, value: Any, row: Row) -> list[str]:
        if name == "ignore_labels":
            return [part for label in value or [""] for part in ("--ignore-labels", label)]
        return super().words(name, value, row)


class Qa(Head):
    """qa"""

    name = "qa"
    models = ["answers_cased", "roberta_answers", "xlm_roberta_answers", "distilbert_answers"]
    options = {
        "top_k": [UNSET, 3, 20],
        "doc_stride": [UNSET, 0, 7],
        "max_answer_len": [UNSET, 1, 40],
        "max_seq_len": [UNSET, 48, 90],
        "handle_impossible_answer": [UNSET, True],
        "align_to_words": [UNSET, False],
        "score_rule": [UNSET, "hf_4_52", "best", "calibrated"],
        "no_answer_threshold": [UNSET, 0.02, 0.5],
        "kind": ["context", "long", "passages"],
    }
    python = "qa_python"

    def item(self, row: Row, texts: Texts) -> Json:
        question = " ".join(texts.line().split(" ")[: texts.rng.randint(3, 8)])[:50] + "?"
        if row["kind"] == "passages":
            return {"question": question, "context": [texts.line() for _ in range(texts.rng.randint(2, 4))]}
        return {"question": question, "context": texts.long(8) if row["kind"] == "long" else texts.line()}

    def words(self, name: str, value: Any, row: Row) -> list[str]:
        return ["--no-align-to-words"] if name == "align_to_words" else super().words(name, value, row)

    def comparable(self, found: Any) -> Any:
        """Without candidates of score 0, which only odd contexts have: they are numpy's accident."""
        return [one for one in (found if isinstance(found, list) else [found]) if one["score"] > 0]

    def is_plain(self, found: Any) -> bool:
        return super().is_plain(found) and all(one["score"] > 0 for one in found)


class Nsp(Head):
    """nsp"""

    name = "nsp"
    models = ["next_sentence"]
    options = {"truncation": [UNSET, "longest_first"], "max_length": [UNSET, 10, 24], "kind": ["pair", "long pair"]}

    def allowed(self, row: Row, model: str) -> bool:
        return given(row, "truncation") or not given(row, "max_length")

    def item(self, row: Row, texts: Texts) -> Json:
        return {"text": texts.long(4) if "long" in row["kind"] else texts.any(), "text_pair": texts.any()}

    def words(self, name: str, value: Any, row: Row) -> list[str]:
        return ["--truncation"] if name == "truncation" else super().words(name, value, row)


class Embed(Head):
    """embed"""

    name = "embed"
    models = ["embed_bert", "embed_xlm_roberta", "embed_distilbert", "encoder"]
    options = {
        "prompt_name": [UNSET, "query", "passage"],
        "prompt": [UNSET, "", "Represent the sentence: "],
        "dimensions": [UNSET, 1, 7],
        "normalize": [UNSET, True, False],
        "pooling": [UNSET, "first", "mean", "max", "last", "mean_sqrt_len", "weighted_mean"],
        "tokens": [UNSET, True],
        "max_length": [UNSET, 8, 20],
        "kind": ["text", "long"],
    }
    flags = {"prompt_name": "--prompt", "prompt": "--prompt-text"}

    def allowed(self, row: Row, model: str) -> bool:
        if given(row, "prompt") and given(row, "prompt_name"):
            return False
        if model == "encoder" and (given(row, "prompt_name") or not (given(row, "pooling") or given(row, "tokens"))):
            return False
        if model == "embed_distilbert" and given(row, "pooling"):  # its layers are for its own
            return False
        chosen = [name for name in ("dimensions", "normalize", "pooling") if given(row, name)]
        return not (given(row, "tokens") and (chosen or row["prompt"] != ""))

    def words(self, name: str, value: Any, row: Row) -> list[str]:
        return ["--no-normalize"] if value is False else super().words(name, value, row)

    def verdict(self, ours: Any, theirs: Json) -> str:
        if "error" in theirs or isinstance(ours, dict):
            return super().verdict(ours, theirs)
        rows = [found if isinstance(found[0], list) else [found] for found in (ours, theirs["found"])]
        bound = 2 * SCORE if isinstance(ours[0], list) else TIE  # the promise of hidden states, and that of vectors
        if [len(row) for row in rows[0]] != [len(row) for row in rows[1]]:
            return "differs"
        for a, b in zip(*rows):
            product, squares = sum(x * y for x, y in zip(a, b)), (sum(x * x for x in a), sum(y * y for y in b))
            if any(abs(x - y) > bound * max(1, abs(y)) for x, y in zip(a, b)):
                return "differs"
            if product < COSINE * (squares[0] * squares[1]) ** 0.5:
                return "differs"
        return "same"

    def is_plain(self, found: Any) -> bool:
        return len(json.dumps(found)) < 900


class Rerank(Head):
    """rerank"""

    name = "rerank"
    models = ["rerank", "rerank_sigmoid", "rerank_roberta"]
    options = {
        "score": [UNSET, "logit", "sigmoid"],
        "top_k": [UNSET, 1, 3],
        "max_length": [UNSET, 12, 30],
        "kind": ["texts", "long"],
    }

    def item(self, row: Row, texts: Texts) -> Json:
        if row["kind"] == "long":
            return {"query": texts.long(3), "texts": [texts.long(4) for _ in range(texts.rng.randint(2, 5))]}
        return {"query": texts.any() or "?", "texts": texts.few(6)}


class ZeroShot(Head):
    """zero-shot"""

    name = "zero-shot"
    models = ["inference", "inference_roberta"]
    options = {
        "candidate_labels": [["sport"], ["sport", "politics"], ["a", "late \u2014 train", "b", "Ada", "x y", "O'Neil"]],
        "multi_label": [UNSET, True],
        "hypothesis_template": [UNSET, "{}", "{{{0}}} or {0}?", "\u042d\u0442\u043e {}"],
        "kind": ["text", "long"],
    }
    flags = {"candidate_labels": "--labels"}

    def item(self, row: Row, texts: Texts) -> Json:
        return {"text": super().item(row, texts)["text"]}

    def words(self, name: str, value: Any, row: Row) -> list[str]:
        return super().words(name, ",".join(value) if name == "candidate_labels" else value, row)

    def comparable(self, found: Any) -> Any:
        scored = zip(found["labels"], found["scores"])
        return {"sequence": found["sequence"], "labels": [{"label": label, "score": score} for label, score in scored]}


class FillMask(Head):
    """fill-mask; texts have [MASK] for the mask of any model"""

    name = "fill-mask"
    models = ["masked", "masked_untied", "masked_distilbert", "masked_electra", "masked_roberta", "masked_xlm_roberta",
              "masked_camembert", "masked_albert"]
    options = {
        "top_k": [UNSET, 1, 3, 40],
        "targets": [UNSET, ["a"], ["ok", "the", "ok", "boats"], ["unheardof", "\u6771", "!?", "the"], ["\u200b", "Ada", "s"]],
        "truncation": [UNSET, True],
        "max_length": [UNSET, 12],
        "kind": ["<mask> one", "[MASK] one", "<mask> several", "[MASK] several", "<mask> long", "[MASK] long"],
    }

    def allowed(self, row: Row, model: str) -> bool:
        mask = "<mask>" if "roberta" in model or "camembert" in model else "[MASK]"
        return row["kind"].startswith(mask) and (given(row, "truncation") or not given(row, "max_length"))

    def item(self, row: Row, texts: Texts) -> Json:
        mask, kind = row["kind"].split(" ")
        text = texts.long(12) if kind == "long" else texts.any()
        words = text.replace("[MASK]", "").split(" ")
        for _ in range(1 if kind == "one" else texts.rng.randint(1, 4)):
            place = texts.rng.randrange(len(words))
            words[place] = mask if texts.rng.random() < 0.7 else f"{words[place][:2]}{mask}{words[place][-1:]}"
        return {"text": " ".join(words)}

    def words(self, name: str, value: Any, row: Row) -> list[str]:
        return ["--targets", ",".join(value)] if name == "targets" else super().words(name, value, row)


COMMANDS = (Classify(), Nsp(), Ner(), Qa(), Embed(), Rerank(), ZeroShot(), FillMask())
HEADS: dict[str, Head] = {head.name: head for head in COMMANDS}
