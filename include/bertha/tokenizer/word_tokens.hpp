// The tokens of a text that is cut into words already.

#pragma once

#include <bertha/tokenizer/tokenizer.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

BERTHA_NAMESPACE_BEGIN

/// The tokens of `words`, ranges of bytes of the text, one after the other: each is tokenised alone, and they are what
/// TokenSequence::words counts; offsets are of the text. Equals `tokenizers` with is_pretokenized (Hugging Face's
/// is_split_into_words). Throws as Tokenizer::tokens, and Error{input} for words that are not in the text or not in
/// order.
BERTHA_FUNCTION TokenSequence word_tokens(const Tokenizer& tokenizer, std::string_view text,
                                          std::span<const Span> words, EncodeOptions options = {});

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION TokenSequence word_tokens(const Tokenizer& tokenizer, std::string_view text,
                                          std::span<const Span> words, EncodeOptions options) {
  TokenSequence all;
  std::size_t end = 0;
  for (std::size_t w = 0; w < words.size(); end = words[w++].end) {
    const Span at = words[w];
    if (at.start < end || at.end < at.start || at.end > text.size())
      throw_error(ErrorCode::input, {"word ", w, " is bytes ", at.start, " to ", at.end, " of a text of ", text.size(),
                                     ", the one before ends at ", end, "; expected words of the text, in order"});
    const std::string name = concat({"word ", w});
    options.text_name = name;
    all.append(tokenizer.tokens(text.substr(at.start, at.end - at.start), options), at.start,
               static_cast<std::uint32_t>(w));
  }
  return all;
}

#endif

BERTHA_NAMESPACE_END
