// Special tokens around texts: what a template has room for, and putting tokens into it.

#pragma once

#include <algorithm>
#include <bertha/config.hpp>
#include <bertha/error.hpp>
#include <bertha/tokenizer/encode_options.hpp>
#include <bertha/tokenizer/encoding.hpp>
#include <bertha/tokenizer/windows.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// Memory for the tokens of a text and of its pair.
struct Sequences {
  TokenSequence of[2];
};

/// The tokens of a text, and of its pair where it has one.
struct SequencePair {
  const TokenSequence& text;
  const TokenSequence* pair = nullptr;

  std::size_t pair_size() const { return pair == nullptr ? 0 : pair->size(); }
};

/// How many of a template's pieces are special tokens.
BERTHA_FUNCTION std::size_t count_special(const std::vector<TemplatePiece>& pieces);

/// How many tokens the texts have room for; 0 if nothing truncates. Throws Error{input} if the options contradict each
/// other, or the stride could never do, whatever the texts are.
BERTHA_FUNCTION std::size_t room_of(const std::vector<TemplatePiece>& pieces, const EncodeOptions& options);

/// Puts parts of two sequences into an empty encoding, with the special tokens around them if `with_special`.
BERTHA_FUNCTION void put_template(const std::vector<TemplatePiece>& pieces, const SequencePair& sequences,
                                  const TokenRange (&ranges)[2], bool with_special, std::uint32_t unknown,
                                  Encoding& result);

/// How much of the texts a window has room for. Throws Error{input} if the options contradict each other, or the text
/// to be cut is too short for that.
BERTHA_FUNCTION KeptLengths kept_of(const std::vector<TemplatePiece>& pieces, const SequencePair& sequences,
                                    const EncodeOptions& options);

/// Puts the first window into an empty encoding. Throws as `kept_of`.
BERTHA_FUNCTION void put_first_window(const std::vector<TemplatePiece>& pieces, const SequencePair& sequences,
                                      const EncodeOptions& options, std::uint32_t unknown, Encoding& encoding);

/// All windows, in the order of Hugging Face's overflowing tokens. Throws as `kept_of`, and when
/// `stride` leaves no room to move on.
BERTHA_FUNCTION std::vector<Encoding> all_windows(const std::vector<TemplatePiece>& pieces,
                                                  const SequencePair& sequences, const EncodeOptions& options,
                                                  std::uint32_t unknown);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION std::size_t count_special(const std::vector<TemplatePiece>& pieces) {
  std::size_t n = 0;
  for (const TemplatePiece& piece : pieces) n += static_cast<std::size_t>(piece.kind == TemplatePiece::Kind::special);
  return n;
}

BERTHA_FUNCTION std::size_t room_of(const std::vector<TemplatePiece>& pieces, const EncodeOptions& options) {
  if (options.truncation == Truncation::none) {
    if (options.max_length == 0 && options.stride == 0) return 0;
    throw_error(ErrorCode::input, {"max_length or stride are given, but no truncation: choose what is to be cut"});
  }
  const std::size_t n_special = options.add_special_tokens ? count_special(pieces) : 0;
  if (options.max_length == 0 || options.max_length < n_special) {
    throw_error(ErrorCode::input, {"max_length is ", options.max_length, ", expected at least ",
                                   std::max<std::size_t>(n_special, 1), ": the special tokens alone need as many"});
  }
  const std::size_t room = options.max_length - n_special;
  if (options.stride != 0) require_stride(options.stride, room);
  return room;
}

BERTHA_FUNCTION void put_template(const std::vector<TemplatePiece>& pieces, const SequencePair& sequences,
                                  const TokenRange (&ranges)[2], bool with_special, std::uint32_t unknown,
                                  Encoding& result) {
  result.resize(ranges[0].size() + ranges[1].size() + (with_special ? count_special(pieces) : 0));
  std::size_t at = 0;
  for (const TemplatePiece& piece : pieces) {
    if (piece.kind == TemplatePiece::Kind::special) {
      if (with_special) result.put_special(at++, piece.id, piece.type_id);
      continue;
    }
    const std::uint32_t which = piece.kind == TemplatePiece::Kind::sequence_a ? 0 : 1;
    const TokenSequence& its = which == 0 ? sequences.text : *sequences.pair;
    const auto [begin, end] = ranges[which];
    result.put(at, its, begin, end, piece.type_id, which);
    at += end - begin;
    const std::uint32_t* ids = its.ids.data();
    for (std::size_t i = begin; i < end; ++i) result.n_unknown += static_cast<std::size_t>(ids[i] == unknown);
  }
}

BERTHA_FUNCTION KeptLengths kept_of(const std::vector<TemplatePiece>& pieces, const SequencePair& sequences,
                                    const EncodeOptions& options) {
  const bool is_pair = sequences.pair != nullptr;
  return kept_lengths(sequences.text.size(), is_pair ? std::optional(sequences.pair->size()) : std::nullopt,
                      room_of(pieces, options), options.truncation);
}

BERTHA_FUNCTION void put_first_window(const std::vector<TemplatePiece>& pieces, const SequencePair& sequences,
                                      const EncodeOptions& options, std::uint32_t unknown, Encoding& encoding) {
  const KeptLengths all = {sequences.text.size(), sequences.pair_size()};
  const KeptLengths kept = kept_of(pieces, sequences, options);
  if (options.stride != 0) {  // refused as with windows, which the caller may go on to
    check_stride(all.first, kept.first, options.stride);
    check_stride(all.second, kept.second, options.stride);
  }
  put_template(pieces, sequences, {{0, kept.first}, {0, kept.second}}, options.add_special_tokens, unknown, encoding);
  encoding.truncated = kept != all;
}

BERTHA_FUNCTION std::vector<Encoding> all_windows(const std::vector<TemplatePiece>& pieces,
                                                  const SequencePair& sequences, const EncodeOptions& options,
                                                  std::uint32_t unknown) {
  const KeptLengths kept = kept_of(pieces, sequences, options);
  const auto a = window_ranges(sequences.text.size(), kept.first, options.stride);
  const auto b = window_ranges(sequences.pair_size(), kept.second, options.stride);
  // The first windows of both; each further window of the sequence that comes first in the template with all of the
  // other; then the first one with the further ones of the other.
  const auto is_b = [](const TemplatePiece& p) { return p.kind == TemplatePiece::Kind::sequence_b; };
  const auto is_a = [](const TemplatePiece& p) { return p.kind == TemplatePiece::Kind::sequence_a; };
  const bool b_leads =
      std::find_if(pieces.begin(), pieces.end(), is_b) < std::find_if(pieces.begin(), pieces.end(), is_a);
  const auto& leading = b_leads ? b : a;
  const auto& other = b_leads ? a : b;
  std::vector<Encoding> result;
  const auto add_window = [&](TokenRange l, TokenRange o) {
    put_template(pieces, sequences, {b_leads ? o : l, b_leads ? l : o}, options.add_special_tokens, unknown,
                 result.emplace_back());
  };
  add_window(leading[0], other[0]);
  for (std::size_t i = 1; i < leading.size(); ++i) {
    for (const TokenRange o : other) add_window(leading[i], o);
  }
  for (std::size_t j = 1; j < other.size(); ++j) add_window(leading[0], other[j]);
  return result;
}

#endif

}  // namespace detail

BERTHA_NAMESPACE_END
