"""What the golden data of both kinds of tokenizers have in common: a case of `tokenizers`, and files of JSON lines."""

import json


def described(tokenizer, encoding):
    def numbers(values):
        return [-1 if v is None else v for v in values]
    return {"ids": encoding.ids, "tokens": [tokenizer.id_to_token(i) for i in encoding.ids], "type_ids": encoding.type_ids,
            "offsets": [o for pair in encoding.offsets for o in pair], "words": numbers(encoding.word_ids),
            "sequences": numbers(encoding.sequence_ids), "special": encoding.special_tokens_mask}


def case(name, tokenizer, text, pair=None, **options):
    tokenizer.no_truncation()
    if "truncation" in options:
        tokenizer.enable_truncation(options["max_length"], stride=options.get("stride", 0), strategy=options["truncation"])
    tokenizer.encode_special_tokens = options.get("split_special_tokens", False)
    encoding = tokenizer.encode(text, pair, add_special_tokens=options.get("add_special_tokens", True))
    every = [encoding] + encoding.overflowing
    return {"configuration": name, "text": text, "text_pair": pair, "options": options,
            "windows": [described(tokenizer, e) for e in every]}


def pair_cases(case, name, tokenizer, pair, max_length):
    """`pair` and others, empty or special tokens, and each truncation to windows of `max_length`; `case` makes a case."""
    for first, second in (pair, ("", ""), ("the", ""), ("", "</s>"), (" \u00e9", "\U0001f600 a")):
        yield case(name, tokenizer, first, second)
        yield case(name, tokenizer, first, second, add_special_tokens=False)
    for strategy in ("longest_first", "only_first", "only_second"):
        yield case(name, tokenizer, "a  b c d e   f", " 1 2 <mask> \u00e9  \U0001f600", truncation=strategy,
                   max_length=max_length, stride=1)
    yield case(name, tokenizer, "a b  c \U0001f600 d <mask> e", truncation="longest_first", max_length=6, stride=1)


def write_lines(path, head, lines):
    """A JSON value per line, `head` first."""
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in [head, *lines])
    path.write_text(text, encoding="ascii")
    print(f"{path.name}: {len(lines)} cases")
