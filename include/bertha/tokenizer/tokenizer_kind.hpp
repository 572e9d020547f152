// What the tokenizers of all kinds have in common, and what each kind adds: the concept that it models.
//
// TextTokenizer cuts added tokens out of a text, before and after it is normalised, and Tokenizer puts tokens into
// templates and windows. What lies between is the kind: normalising, splitting into words, and a model that makes
// tokens of words.

#pragma once

#include <bertha/runtime/stop.hpp>
#include <bertha/tokenizer/encoding.hpp>
#include <bertha/tokenizer/normalized_text.hpp>
#include <bertha/tokenizer/stored_strings.hpp>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

BERTHA_NAMESPACE_BEGIN

/// A kind of tokenizer: immutable, so shared by threads, each of which has a `Run` for each text.
///
/// - `strings()` are the tokens of its vocabulary by id, and `find(token)` is the id of one of them.
/// - `normalize(text, base, out)` normalises valid UTF-8 whose first byte is byte `base` of a longer text.
/// - `Run(kind, text, stop)` tokenises one text, which is valid UTF-8, and looks at `stop` now and then. The functions
///   that append to its tokens are called for parts of the text from left to right, in any order of functions:
///   - `append_raw(from, to)` for bytes of the text, which it normalises;
///   - `append_normalized(part, from, to)` for bytes of what `normalize` made of a part of the text;
///   - `append_added_token(id, origin)` for an added token that stands for these bytes of the text.
/// - `decode(tokens)` joins tokens to a text: Hugging Face's `convert_tokens_to_string`.
template <class Kind>
concept TokenizerKind = requires(const Kind& kind, typename Kind::Run& run, std::string_view text, std::uint32_t n,
                                 std::size_t at, Span origin, const NormalizedText& part, NormalizedText& out,
                                 std::span<const std::string_view> tokens) {
  { kind.strings() } -> std::same_as<const StoredStrings&>;
  { kind.find(text) } -> std::same_as<std::optional<std::uint32_t>>;
  { kind.normalize(text, n, out) } -> std::same_as<void>;
  { kind.decode(tokens) } -> std::same_as<std::string>;
  requires std::constructible_from<typename Kind::Run, const Kind&, std::string_view, const Stop&>;
  { run.append_raw(at, at) } -> std::same_as<void>;
  { run.append_normalized(part, at, at) } -> std::same_as<void>;
  { run.append_added_token(n, origin) } -> std::same_as<void>;
  { run.tokens() } -> std::same_as<TokenSequence&>;
};

BERTHA_NAMESPACE_END
