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
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// The tokens of a text and of its pair.
struct Sequences {
  TokenSequence of[2];
};

/// How many tokens the texts have room for; 0 if nothing truncates. Throws Error{input} if the options contradict each
/// other.
BERTHA_FUNCTION std::size_t room_of(const std::vector<TemplatePiece>& pieces, const EncodeOptions& options);

/// Appends parts of two sequences, with the special tokens around them if `with_special`.
BERTHA_FUNCTION void append_template(const std::vector<TemplatePiece>& pieces, const Sequences& sequences,
                                     const TokenRange (&ranges)[2], bool with_special, std::uint32_t unknown,
                                     Encoding& result);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION std::size_t room_of(const std::vector<TemplatePiece>& pieces, const EncodeOptions& options) {
  if (options.truncation == Truncation::none) {
    if (options.max_length == 0 && options.stride == 0) return 0;
    throw_error(ErrorCode::input, {"max_length or stride are given, but no truncation: choose what is to be cut"});
  }
  std::size_t n_special = 0;
  for (const TemplatePiece& piece : pieces) {
    n_special += static_cast<std::size_t>(options.add_special_tokens && piece.kind == TemplatePiece::Kind::special);
  }
  if (options.max_length == 0 || options.max_length < n_special) {
    throw_error(ErrorCode::input, {"max_length is ", options.max_length, ", expected at least ",
                                   std::max<std::size_t>(n_special, 1), ": the special tokens alone need as many"});
  }
  return options.max_length - n_special;
}

BERTHA_FUNCTION void append_template(const std::vector<TemplatePiece>& pieces, const Sequences& sequences,
                                     const TokenRange (&ranges)[2], bool with_special, std::uint32_t unknown,
                                     Encoding& result) {
  result.reserve(ranges[0].size() + ranges[1].size() + pieces.size());
  for (const TemplatePiece& piece : pieces) {
    if (piece.kind == TemplatePiece::Kind::special) {
      if (with_special) result.append_special(piece.id, piece.type_id);
      continue;
    }
    const std::uint32_t which = piece.kind == TemplatePiece::Kind::sequence_a ? 0 : 1;
    result.append(sequences.of[which], ranges[which].begin, ranges[which].end, piece.type_id, which);
  }
  for (std::size_t i = 0; i < result.size(); ++i) {
    result.n_unknown += static_cast<std::size_t>(result.ids[i] == unknown && result.special[i] == 0);
  }
}

#endif

}  // namespace detail

BERTHA_NAMESPACE_END
