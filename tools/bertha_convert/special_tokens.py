"""The added and special tokens of a folder, with the flags and in the order that transformers gives them."""

from __future__ import annotations

from typing import Any, NamedTuple

from tokenizers import AddedToken, Tokenizer

from .errors import fail

NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

Json = dict[str, Any]


def _added_token(value: Any, where: str, **forced: bool) -> AddedToken:
    """An added token from its JSON form: an object, or its text alone."""
    if isinstance(value, str):
        return AddedToken(value, **forced)
    if not isinstance(value, dict) or not isinstance(value.get("content"), str):
        raise fail(
            "has a token of no known form", where=where, expected="a string or an object with content", got=value
        )
    flags = {key: value[key] for key in ("single_word", "lstrip", "rstrip", "normalized", "special") if key in value}
    if not all(type(flag) is bool for flag in flags.values()):
        raise fail("has a token whose flags are no booleans", where=where, got=value)
    return AddedToken(value["content"], **{**flags, **forced})


def _token_id(value: Any, where: str) -> int:
    """A token's id, from a number or a number's text."""
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise fail("has an id that is no number", where=where, got=value) from error


class Declared(NamedTuple):
    """The added tokens that files declare, and tokenizer_config.json with what older files add to it."""

    tokens: dict[int, AddedToken]
    by_content: dict[str, AddedToken]  # those that special tokens take their flags from
    config: Json


def declare(config: Json, tokenizer: Json | None, named: Json | None, added: Json | None, rules: str) -> Declared:
    """What tokenizer_config.json, tokenizer.json, special_tokens_map.json and added_tokens.json declare.

    4.57.6 lets no special token take its flags from added_tokens.json.
    """
    config = dict(config)
    if rules == "v5" and "additional_special_tokens" in config and not config.get("extra_special_tokens"):
        config["extra_special_tokens"] = config.pop("additional_special_tokens")
    extra = "extra_special_tokens" if rules == "v5" else "additional_special_tokens"
    declared: dict[int, AddedToken] = {}
    if "added_tokens_decoder" in config:
        where = "tokenizer_config.json: added_tokens_decoder"
        for key, value in as_object(config["added_tokens_decoder"], where).items():
            declared[_token_id(key, where)] = _added_token(value, where)
        by_content = {token.content: token for token in declared.values()}
    else:
        where = "special_tokens_map.json"
        for key, value in (named or {}).items():
            if isinstance(value, list) and key == extra:
                known = list(config.get(key) or [])
                config[key] = known + [token for token in value if token not in known]
            else:
                config[key] = {**value, "special": True} if isinstance(value, dict) else value
        special = {_content(config[key]) for key in NAMED if config.get(key)}
        special |= {_content(token) for token in _listed(config, extra)}
        for content, key in (added or {}).items():
            flags = {"normalized": content not in special, "special": content in special}
            declared[_token_id(key, "added_tokens.json")] = AddedToken(content, **flags)
        by_content = {token.content: token for token in declared.values()} if rules == "v5" else {}
        for value in (tokenizer or {}).get("added_tokens", []):
            where = "tokenizer.json: added_tokens"
            token = _added_token(value, where)
            declared[_token_id(as_object(value, where).get("id"), where)] = by_content[token.content] = token
    if rules == "v5" and "additional_special_tokens" in config and "extra_special_tokens" not in config:
        config["extra_special_tokens"] = config.pop("additional_special_tokens")
    return Declared(declared, by_content, config)


def as_object(value: Any, where: str) -> Json:
    """The value, which must be a JSON object."""
    if not isinstance(value, dict):
        raise fail("is no JSON object", where=where, got=value)
    return value


def _content(value: Any) -> str:
    """The text of a token in either form."""
    return str(value.get("content")) if isinstance(value, dict) else str(value)


def _listed(config: Json, key: str) -> list[Any]:
    """The extra special tokens that a list names."""
    value = config.get(key) or []
    return list(value) if isinstance(value, list) else []


class Specials(NamedTuple):
    """The special tokens: by their names in tokenizer_config.json, and those that only a list names, by their place."""

    named: dict[str, AddedToken]
    listed: dict[str, AddedToken]
    objects: set[str]  # names and places of those that are objects, with flags of their own


def special_tokens(declared: Declared, rules: str, defaults: Json, text_flags: dict[str, Json]) -> Specials:
    """The special tokens, each with the flags that its declaration gives, or its class where it is a text alone."""
    config = declared.config
    names = list(NAMED)
    named = {**defaults, **{key: config[key] for key in NAMED if key in config}}
    extra = config.get("extra_special_tokens")
    if rules == "v5":
        own = [key for key in config if key.endswith("_token") and key not in NAMED]
        named |= {key: config[key] for key in own if isinstance(config[key], (str, dict))}
        names += own
    if isinstance(extra, dict):
        named |= extra
        names += list(extra)
    listed = _listed(config, "extra_special_tokens") + (
        _listed(config, "additional_special_tokens") if rules == "v4" else []
    )
    result: dict[str, AddedToken] = {}
    objects = set()
    for key, value in [(key, named.get(key)) for key in names] + [(str(i), value) for i, value in enumerate(listed)]:
        if not isinstance(value, (str, dict)):
            continue
        token = declared.by_content.get(_content(value)) if key in config else None
        if isinstance(value, str) and key in text_flags:
            value = {"content": value, **text_flags[key]}
        if token is not None or isinstance(value, dict):
            objects.add(key)
            result[key] = token or _added_token(value, f"tokenizer_config.json: {key}")
        else:
            result[key] = AddedToken(value, special=True)
    of_list = {key: token for key, token in result.items() if key not in names}
    return Specials({key: result[key] for key in names if key in result}, of_list, objects)


def add_tokens(engine: Tokenizer, declared: dict[int, AddedToken], special: Specials, rules: str) -> None:
    """Adds the declared tokens, then special ones that the engine doesn't have, in the order that decides new ids.

    Of several tokens with one text the last one added decides the flags. 4.57.6 adds the first of them, and objects
    also where the text is known; 5.23.0 adds all of a text that was not known before.
    """
    wanted = [token for _, token in sorted(declared.items())]
    known = {token.content for token in [*engine.get_added_tokens_decoder().values(), *wanted]}
    added, seen = {repr(token) for token in wanted}, set()
    for key, token in (special.named | special.listed).items():
        is_object = key in special.objects
        first = token.content not in seen
        seen.add(token.content)
        form = repr(token) if is_object else token.content
        unknown = token.content not in known
        if form not in added and (unknown if rules == "v5" else first and (unknown or is_object)):
            added.add(form)
            wanted.append(token)
    marked = special.named | (special.listed if rules == "v4" else {})
    specials = {token.content for token in marked.values()}
    for token in wanted:
        if token.content in specials:
            token.special = True
    if rules == "v4":  # its tokenizers, 0.22, takes nothing twice, whatever came in between; 0.23 does
        had = {repr(token): token for token in engine.get_added_tokens_decoder().values()}
        forms = had | {repr(token): token for token in wanted}
        wanted = list(forms.values())[len(had) :]
    if wanted:
        engine.add_tokens(wanted)
