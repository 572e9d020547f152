#!/usr/bin/env python3
"""Writes {unicode,composition,grapheme}_tables.hpp by asking `tokenizers` and CPython about every code point.

    python3 tools/gen_unicode.py [FOLDER]

FOLDER is include/bertha/tokenizer by default.

The tables of a Unicode version would be wrong: `tokenizers` carries several, of different age, and equality with it is
the aim. So each property is probed through the public function whose behaviour depends on it. Canonical combining
classes are ranked by normalising pairs of marks: a class is only ever compared with another one. Grapheme clusters show
in the normaliser Precompiled, which looks clusters of less than six bytes up as a whole and longer ones by character.
"""

import functools
import pathlib
import platform
import struct
import sys
import unicodedata

import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "include/bertha/tokenizer"
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
BLOCK = 128

FLAGS = ["removed", "clean_space", "white_space", "punctuation", "chinese", "nonspacing", "word", "decomposes",
         "lowers", "python_lowers", "python_cased", "python_ignorable", "letter", "number", "mark"]


def probe_cleaning(has):
    normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    for c in CODE_POINTS:
        result = normalizer.normalize_str("a" + chr(c) + "b")
        if result == "ab":
            has["removed"].add(c)
        elif result == "a b":
            has["clean_space"].add(c)
        else:
            assert result == "a" + chr(c) + "b", hex(c)


def probe_splitting(has):
    pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    for c in CODE_POINTS:
        pieces = [p for p, _ in pre_tokenizer.pre_tokenize_str("a" + chr(c) + "b")]
        if pieces == ["a", "b"]:
            has["white_space"].add(c)
        elif len(pieces) == 3:
            has["punctuation"].add(c)
        else:
            assert len(pieces) == 1, hex(c)


def probe_byte_level(has):
    """The classes of GPT-2's pattern; its white space is that of `white_space`."""
    pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    for c in CODE_POINTS:
        one_word = [len(pre_tokenizer.pre_tokenize_str(before + chr(c))) == 1 for before in "a1!"]
        if one_word == [True, False, False]:
            has["letter"].add(c)
        elif one_word == [False, True, False]:
            has["number"].add(c)
        else:
            assert one_word == [False, False, c not in has["white_space"]], hex(c)


def probe_chinese(has):
    normalizer = normalizers.BertNormalizer(
        clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False)
    for c in CODE_POINTS:
        result = normalizer.normalize_str(chr(c))
        if result != chr(c):
            assert result == " " + chr(c) + " ", hex(c)
            has["chinese"].add(c)


def probe_added_tokens(has):
    """What single_word takes for a word character, and lstrip and rstrip for white space (the same as elsewhere)."""
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.add_tokens([AddedToken("<R>", rstrip=True, normalized=False),
                          AddedToken("<S>", single_word=True, normalized=False)])
    step = 50000
    for first in range(0, len(CODE_POINTS), step):
        part = CODE_POINTS[first:first + step]
        for c, encoding in zip(part, tokenizer.encode_batch(["<R>" + chr(c) + "<S>" for c in part])):
            if 2 not in encoding.ids:
                has["word"].add(c)
            assert (encoding.offsets[0] == (0, 4)) == (c in has["white_space"]), hex(c)


def probe_decompositions(has):
    """Full canonical decompositions without Hangul, which is computed, and the nonspacing marks."""
    nfd = normalizers.NFD()
    strip = normalizers.BertNormalizer(
        clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
    decompositions = {}
    for c in CODE_POINTS:
        result = nfd.normalize_str(chr(c))
        if 0xAC00 <= c < 0xAC00 + 11172:
            s = c - 0xAC00
            expected = chr(0x1100 + s // 588) + chr(0x1161 + s % 588 // 28) + (chr(0x11A7 + s % 28) if s % 28 else "")
            assert result == expected, hex(c)
        elif result != chr(c):
            decompositions[c] = [ord(x) for x in result]
            has["decomposes"].add(c)
        elif strip.normalize_str("a" + chr(c)) == "a":
            has["nonspacing"].add(c)
    for parts in decompositions.values():
        assert not any(p in decompositions for p in parts)
    return decompositions


def probe_marks(has):
    """What StripAccents drops, decomposed or not; and that Strip has the same white space as the rest."""
    strip_accents, strip = normalizers.StripAccents(), normalizers.Strip()
    for c in CODE_POINTS:
        if strip_accents.normalize_str("a" + chr(c)) == "a":
            has["mark"].add(c)
        assert (strip.normalize_str(chr(c)) == "") == (c in has["white_space"]), hex(c)


def probe_compatibility(decompositions):
    """Full compatibility decompositions, of code points where they differ from the canonical one."""
    nfkd = normalizers.NFKD()
    compatible = {}
    for c in CODE_POINTS:
        result = [ord(x) for x in nfkd.normalize_str(chr(c))]
        if not 0xAC00 <= c < 0xAC00 + 11172 and result != decompositions.get(c, [c]):
            compatible[c] = result
    for parts in compatible.values():
        assert not any(p in compatible or p in decompositions for p in parts)
    return compatible


def probe_compositions(decompositions):
    """Pairs of code points and what NFC makes of them, without Hangul, which is computed."""
    nfc, nfd = normalizers.NFC(), normalizers.NFD()
    compositions = {}
    for c, parts in decompositions.items():
        whole = "".join(map(chr, parts))
        if nfc.normalize_str(whole) != chr(c):
            continue
        first, second = nfc.normalize_str(whole[:-1]), whole[-1]
        assert len(first) == 1 and nfc.normalize_str(first + second) == chr(c), hex(c)
        compositions[ord(first), ord(second)] = c
    # No other pair of these composes: what the crate composes is what it decomposes.
    firsts, seconds = ({pair[i] for pair in compositions} for i in (0, 1))
    for first in firsts:
        for second in seconds:
            pair = chr(first) + chr(second)
            in_order = nfd.normalize_str(pair) == nfd.normalize_str(chr(first)) + nfd.normalize_str(chr(second))
            composes = len(nfc.normalize_str(pair)) == 1
            assert not in_order or composes == ((first, second) in compositions), (hex(first), hex(second))
    for s in range(11172):
        lead, vowel, trail = 0x1100 + s // 588, 0x1161 + s % 588 // 28, 0x11A7 + s % 28
        jamo = chr(lead) + chr(vowel) + (chr(trail) if s % 28 else "")
        assert nfc.normalize_str(jamo) == chr(0xAC00 + s), hex(s)
    return compositions


def probe_combining_classes(decompositions):
    """Code point -> rank of its combining class, 1 for the lowest; code points of class 0 are left out."""
    nfd = normalizers.NFD()

    def swaps(first, second):
        return nfd.normalize_str("a" + chr(first) + chr(second)) != "a" + chr(first) + chr(second)

    low, high = 0x0334, 0x0345  # of the lowest and the highest class
    marks = [c for c in CODE_POINTS
             if c not in decompositions and not 0xAC00 <= c < 0xAC00 + 11172 and (swaps(c, low) or swaps(high, c))]
    marks = sorted(set(marks) | {low, high})
    assert not any(swaps(low, c) or swaps(c, high) for c in marks)

    def compare(a, b):
        return int(swaps(a, b)) - int(swaps(b, a))

    ranks, rank, previous = {}, 0, None
    for c in sorted(marks, key=functools.cmp_to_key(compare)):
        if previous is None or compare(previous, c) != 0:
            rank += 1
        ranks[c] = rank
        previous = c
    return ranks


def probe_lower_casing(has):
    """Code point -> lower case by the crate; CPython, where it lower-cases, says the same. U+0130 alone gives two."""
    normalizer = normalizers.Lowercase()
    lower = {}
    for c in CODE_POINTS:
        result, python = normalizer.normalize_str(chr(c)), chr(c).lower()
        if python != chr(c):
            has["python_lowers"].add(c)
            assert python == result, hex(c)
        if result == chr(c):
            continue
        has["lowers"].add(c)
        if c == 0x130:
            assert result == "i\u0307"
        else:
            assert len(result) == 1, hex(c)
            lower[c] = ord(result)
    return lower


def probe_final_sigma(has):
    """CPython's final sigma rule skips ignorable characters and asks whether the next one is cased."""
    sigma, final = "\u03a3", "\u03c2"
    for c in CODE_POINTS:
        if chr(c) == sigma:
            has["python_cased"].add(c)
        elif (chr(c) + sigma).lower().endswith(final):
            has["python_cased"].add(c)
        elif ("A" + chr(c) + sigma).lower().endswith(final):
            has["python_ignorable"].add(c)


# How a code point joins others into a grapheme cluster. Regional indicators are like others: whether two are joined
# decides nothing where both have four bytes. CR and LF are told apart by their numbers.
GRAPHEMES = ["other", "control", "extend", "extend_no_conjunct", "linker", "joiner", "spacing_mark", "prepend",
             "lead", "vowel", "trail", "lead_vowel", "lead_vowel_trail", "pictographic", "consonant"]


def cluster_counter():
    """A charsmap that makes one Y of whatever begins with any byte but a line feed."""
    first, value, size = 256, 512, 768
    units = [0] * size
    units[0] = first << 10
    for byte in range(1, 256):
        if byte != ord("\n"):
            units[first + byte] = (first + byte ^ value) << 10 | 1 << 8 | byte
    return normalizers.Precompiled(struct.pack(f"<I{size}I", 4 * size, *units) + b"Y\0")


def probe_graphemes():
    """Code point -> class of grapheme clusters, from the clusters of less than six bytes in a few small texts."""
    counter = cluster_counter()
    code_points = [c for c in CODE_POINTS if chr(c) not in "\r\n"]

    def counts(before, after):
        lines = counter.normalize_str("\n".join(before + chr(c) + after for c in code_points)).split("\n")
        assert len(lines) == len(code_points) and all(set(line) <= set("Y\0") for line in lines)  # NUL has no entry
        return [len(line) for line in lines]

    mark, number, joiner, picture, letter, linker = "\u0301\u0600\u200d\xa9\u0915\u094d"
    jamo = "\u1100\u1161\u11a8"
    after_letter, before_letter = [n == 1 for n in counts("a", "")], [n == 1 for n in counts("", "a")]
    no_marks = [n == 2 for n in counts("", mark + mark)]
    after_jamo = [[n == 3 for n in counts(number + each, "")] for each in jamo]
    before_jamo = [[n == 3 for n in counts("", each + mark)] for each in jamo]
    second_picture, first_picture = counts(picture + joiner, mark), counts("", joiner + picture + mark)
    between_pictures = [n == 5 for n in counts(picture, joiner + picture + mark)]
    first_consonant = [n == 4 for n in counts("", linker + letter + mark)]
    links = [n == 4 for n in counts(letter, letter + mark)]
    between_consonants = [n == 5 for n in counts(letter + linker, letter + mark)]
    hangul = {(True, True, False): "lead", (False, True, True): "vowel", (False, False, True): "trail"}
    classes = {ord("\r"): "control", ord("\n"): "control"}
    for i, c in enumerate(code_points):
        jamo_before, jamo_after = (tuple(each[i] for each in probe) for probe in (after_jamo, before_jamo))
        if after_letter[i]:
            if between_pictures[i]:
                classes[c] = "linker" if links[i] else "extend" if between_consonants[i] else "extend_no_conjunct"
            else:
                classes[c] = "joiner" if between_consonants[i] else "spacing_mark"
                assert (classes[c] == "joiner") == (chr(c) == joiner), hex(c)
        elif before_letter[i]:
            classes[c] = "prepend"
        elif no_marks[i]:
            classes[c] = "control"
        elif first_consonant[i]:
            classes[c] = "consonant"
        elif second_picture[i] == 4:
            assert first_picture[i] == 4, hex(c)
            classes[c] = "pictographic"
        elif jamo_before == (True, False, False) and not jamo_after[0]:
            classes[c] = "lead_vowel" if jamo_after[1] else "lead_vowel_trail"
        elif any(jamo_before):
            expected = {"lead": (True, False, False), "vowel": (True, True, False), "trail": (False, True, True)}
            classes[c] = hangul[jamo_after]
            assert jamo_before == expected[classes[c]], hex(c)
        else:
            assert not any(jamo_after), hex(c)
    return classes


def ranges_of(mapping):
    """Runs (first, last, step, delta) of code points `step` apart which all map to themselves plus delta."""
    runs = []
    for c in sorted(mapping):
        delta = mapping[c] - c
        if runs:
            first, last, step, old = runs[-1]
            if old == delta and (c - last == step or (first == last and c - last in (1, 2))):
                runs[-1] = (first, c, c - last, delta)
                continue
        runs.append((c, c, 1, delta))
    return runs


def array(kind, name, values, comment):
    text = [str(v) for v in values]
    lines, line = [], ""
    for t in text:
        if len(line) + len(t) + 2 > 118:
            lines.append(line)
            line = ""
        line += t + ","
    lines.append(line)
    return f"/// {comment}\ninline constexpr {kind} {name}[{len(text)}] = {{\n" + "\n".join(lines) + "\n};\n"


def pooled(decompositions):
    """The code points, where each one's decomposition starts in the pool, and the pool."""
    pool, starts = [], []
    keys = sorted(decompositions)
    for key in keys:
        starts.append(len(pool))
        pool += decompositions[key]
    return keys, [*starts, len(pool)], pool


def write_header(out, about, parts):
    """Writes a header of these declarations and arrays, which `about` says the purpose of, and says its size."""
    generated = (f"GENERATED by tools/gen_unicode.py from tokenizers {tokenizers.__version__} and CPython "
                 f"{platform.python_version()} (Unicode {unicodedata.unidata_version}). Do not edit.")
    text = f"""// {generated}
//
{about}

#pragma once

#include <bertha/version.hpp>
#include <cstdint>

// clang-format off
BERTHA_NAMESPACE_BEGIN

namespace unicode {{

{"".join(parts)}
}}  // namespace unicode

BERTHA_NAMESPACE_END
// clang-format on
"""
    out.write_text(text, encoding="ascii")
    print(f"{out}: {len(text)} bytes")


def write_compositions(out, compatible, compositions):
    keys, starts, pool = pooled(compatible)
    pairs = sorted(compositions)
    write_header(out, "// Compatibility decompositions and canonical compositions, probed through `tokenizers`.", [
        """/// Two code points and the one that they compose to.
struct Composition {
  std::uint32_t first;
  std::uint32_t second;
  std::uint32_t composed;
};

""",
        array("std::uint32_t", "kCompatible", keys,
              "Code points whose compatibility decomposition is not their canonical one."),
        array("std::uint16_t", "kCompatibleStart", starts, "Where each one's decomposition starts."),
        array("std::uint32_t", "kCompatibleDecompositions", pool, "The decompositions, one after the other."),
        array("Composition", "kCompositions", ["{%d, %d, %d}" % (*pair, compositions[pair]) for pair in pairs],
              "By first and second, without Hangul."),
    ])
    print(f"  {len(keys)} decompositions, {len(pairs)} compositions")


def write_graphemes(out, classes):
    for s in range(11172):
        assert classes.pop(0xAC00 + s) == ("lead_vowel_trail" if s % 28 else "lead_vowel"), hex(s)
    runs = []
    for c in sorted(classes):
        if runs and runs[-1][1] == c - 1 and runs[-1][2] == classes[c]:
            runs[-1][1] = c
        else:
            runs.append([c, c, classes[c]])
    write_header(out, "// How code points join into grapheme clusters, probed through `tokenizers`.", [
        f"""/// What a code point is in a grapheme cluster. `consonant`, `linker` and `extend` make Indic conjuncts, `extend_no_conjunct`
/// none; `joiner` is U+200D.
enum class Grapheme : std::uint8_t {{
  {", ".join(GRAPHEMES)}
}};

/// Code points first to last, which are all of one class.
struct GraphemeRun {{
  std::uint32_t first;
  std::uint32_t last;
  Grapheme grapheme;
}};

""",
        array("GraphemeRun", "kGraphemeRuns", ["{%d, %d, Grapheme::%s}" % tuple(run) for run in runs],
              "By first, without what is `other` and Hangul syllables."),
    ])
    print(f"  {len(runs)} runs")


def write_properties(out, has, decompositions, ranks, lower):
    records = {(0, 0): 0}
    index = bytearray(0x110000)
    for c in range(0x110000):
        flags = sum(1 << i for i, flag in enumerate(FLAGS) if c in has[flag])
        if 0xAC00 <= c < 0xAC00 + 11172:
            flags |= 1 << FLAGS.index("decomposes")
        index[c] = records.setdefault((flags, ranks.get(c, 0)), len(records))
    assert len(records) <= 256
    blocks, stage1 = {}, []
    for first in range(0, 0x110000, BLOCK):
        stage1.append(blocks.setdefault(bytes(index[first:first + BLOCK]), len(blocks)))
    assert len(blocks) <= 256

    keys, starts, pool = pooled(decompositions)
    case_runs = ["{%d, %d, %d, %d}" % run for run in ranges_of(lower)]
    flags_text = "\n".join(f"inline constexpr std::uint16_t k{f.title().replace('_', '')} = 1 << {i};"
                           for i, f in enumerate(FLAGS))
    about = """// What a code point is to the tokenizer, probed through `tokenizers` and, for Python's str.lower(), through CPython:
// the tables of these two are the truth to match, of whatever Unicode version they are."""
    write_header(out, about, [
        f"""/// What a code point does in cleaning, splitting, stripping and lower-casing; `python` is str.lower() and its final sigma,
/// `letter` and `number` are the classes of GPT-2's pattern, which are older than the rest.
{flags_text}

/// The flags of a code point, and the rank of its canonical combining class (0: a starter).
struct Properties {{
  std::uint16_t flags;
  std::uint8_t combining;
}};

/// Code points first, first + step, ..., last map to themselves plus delta.
struct CaseRun {{
  std::uint32_t first;
  std::uint32_t last;
  std::uint32_t step;
  std::int32_t delta;
}};

inline constexpr unsigned kBlock = {BLOCK};
""",
        array("Properties", "kRecords", ["{%d, %d}" % r for r in records], "The distinct properties."),
        array("std::uint8_t", "kBlocks", stage1, "Block of a code point / kBlock."),
        array("std::uint8_t", "kRecordOf", [i for block in blocks for i in block],
              "Record of each code point of each block."),
        array("std::uint32_t", "kDecomposed", keys, "Code points with a canonical decomposition, without Hangul."),
        array("std::uint16_t", "kDecompositionStart", starts, "Where each one's decomposition starts."),
        array("std::uint32_t", "kDecompositions", pool, "The decompositions, one after the other."),
        array("CaseRun", "kLower", case_runs, "Lower case, but for U+0130."),
    ])
    print(f"  {len(records)} records, {len(blocks)} blocks, {len(keys)} decompositions, {max(ranks.values())} combining classes "
          f"of {len(ranks)} marks, {len(case_runs)} case runs")
    for flag in FLAGS:
        print(f"  {flag}: {len(has[flag])}")


def main():
    has = {flag: set() for flag in FLAGS}
    probe_cleaning(has)
    probe_splitting(has)
    probe_byte_level(has)
    probe_chinese(has)
    probe_added_tokens(has)
    decompositions = probe_decompositions(has)
    probe_marks(has)
    ranks = probe_combining_classes(decompositions)
    lower = probe_lower_casing(has)
    probe_final_sigma(has)

    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    write_properties(folder / "unicode_tables.hpp", has, decompositions, ranks, lower)
    write_compositions(folder / "composition_tables.hpp", probe_compatibility(decompositions),
                       probe_compositions(decompositions))
    write_graphemes(folder / "grapheme_tables.hpp", probe_graphemes())


if __name__ == "__main__":
    main()
