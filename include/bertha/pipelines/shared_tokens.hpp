// Texts that several inputs of one call share, as many questions share a context, are tokenised once.

#pragma once

#include <bertha/tokenizer/tokenizer.hpp>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// The tokens of the last few texts. Used by several threads at once: who wants a text that another is tokenising waits
/// for it.
class SharedTokens {
 public:
  /// The tokens of `text`. Throws as Tokenizer::tokens.
  std::shared_ptr<const TokenSequence> operator()(const Tokenizer& tokenizer, std::string_view text,
                                                  const EncodeOptions& options);

 private:
  static constexpr std::size_t kMost = 16;  // what is held: some texts for each of a few threads

  struct Entry {
    explicit Entry(std::string_view t) : text(t) {}
    const std::string text;  // a copy: inputs of a stream are gone before the call ends
    std::mutex mutex;
    std::optional<TokenSequence> tokens;
  };
  std::shared_ptr<Entry> entry_of(std::string_view text);

  std::mutex mutex_;
  std::vector<std::shared_ptr<Entry>> entries_;
  std::size_t oldest_ = 0;
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION std::shared_ptr<SharedTokens::Entry> SharedTokens::entry_of(std::string_view text) {
  const std::lock_guard lock(mutex_);
  for (const auto& entry : entries_)
    if (entry->text == text) return entry;
  auto entry = std::make_shared<Entry>(text);
  if (entries_.size() < kMost)
    entries_.push_back(entry);
  else
    entries_[oldest_++ % kMost] = entry;
  return entry;
}

BERTHA_FUNCTION std::shared_ptr<const TokenSequence> SharedTokens::operator()(const Tokenizer& tokenizer,
                                                                              std::string_view text,
                                                                              const EncodeOptions& options) {
  const std::shared_ptr<Entry> entry = entry_of(text);
  const std::lock_guard lock(entry->mutex);
  if (!entry->tokens) entry->tokens = tokenizer.tokens(text, options);
  return {entry, &*entry->tokens};
}

#endif

}  // namespace detail

BERTHA_NAMESPACE_END
