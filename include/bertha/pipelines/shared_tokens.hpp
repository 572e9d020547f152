// Texts that several inputs of one call share, as many questions share a context, are not tokenised for each of them.

#pragma once

#include <bertha/tokenizer/tokenizer.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// The tokens of the last few texts. One thread at a time may use it: a call borrows one from a Pool for each input, so
/// that a text is tokenised once by each thread at most, and none waits for another.
class SharedTokens {
 public:
  /// The tokens of `text`. Throws as Tokenizer::tokens.
  std::shared_ptr<const TokenSequence> operator()(const Tokenizer& tokenizer, std::string_view text,
                                                  const EncodeOptions& options);

 private:
  static constexpr std::size_t kMost = 4;  // long ones have millions of tokens

  struct Entry {
    std::string text;  // a copy: inputs of a stream are gone before the call ends
    std::shared_ptr<const TokenSequence> tokens;
  };
  std::vector<Entry> entries_;
  std::size_t oldest_ = 0;
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION std::shared_ptr<const TokenSequence> SharedTokens::operator()(const Tokenizer& tokenizer,
                                                                              std::string_view text,
                                                                              const EncodeOptions& options) {
  for (const Entry& entry : entries_)
    if (entry.text == text) return entry.tokens;
  Entry entry{std::string(text), std::make_shared<const TokenSequence>(tokenizer.tokens(text, options))};
  if (entries_.size() < kMost) return entries_.emplace_back(std::move(entry)).tokens;
  return (entries_[oldest_++ % kMost] = std::move(entry)).tokens;
}

#endif

}  // namespace detail

BERTHA_NAMESPACE_END
