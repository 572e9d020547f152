// Strings by number, used where they lie in a model file.

#pragma once

#include <algorithm>
#include <bertha/error.hpp>
#include <bertha/tokenizer/utf8.hpp>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

BERTHA_NAMESPACE_BEGIN

/// A list of UTF-8 strings. Borrows them. Immutable, so shared by threads.
class StoredStrings {
 public:
  /// String i is text[offsets[i], offsets[i + 1]); errors call it `item` i of `name`. Throws Error{vocabulary} if there
  /// are none, or more than 2^24, the offsets do not ascend from 0 within the text, or a string is not UTF-8.
  StoredStrings(std::string_view text, std::span<const std::uint32_t> offsets, const char* name = "tokenizer.vocab",
                const char* item = "token")
      : text_(text), offsets_(offsets), name_(name), item_(item) {
    if (offsets_.size() < 2) fail({"there are no ", item_, "s"});
    if (size() > kMaxSize) fail({"more than 2^24 ", item_, "s"});
    if (offsets_.front() != 0) fail({"the first offset is ", offsets_.front(), ", expected 0"});
    bool whole = true;  // no string ends within a code point
    for (std::uint32_t i = 0; i < size(); ++i) {
      const std::size_t begin = offsets_[i], end = offsets_[i + 1];
      if (end < begin || end > text_.size()) {
        fail({item_, " ", i, " has bytes ", begin, " to ", end, " of a text of ", text_.size()});
      }
      longest_ = std::max(longest_, end - begin);
      whole = whole && (end == text_.size() || !utf8::is_continuation(text_[end]));
    }
    if (whole && utf8::find_invalid(text_.substr(0, offsets_.back())) == std::string_view::npos) return;
    for (std::uint32_t i = 0; i < size(); ++i) {
      if (utf8::find_invalid(stored(i)) != std::string_view::npos) fail({item_, " ", i, " is not UTF-8"});
    }
  }

  std::size_t size() const { return offsets_.size() - 1; }

  /// Bytes of the longest string.
  std::size_t longest() const { return longest_; }

  /// String i < size(); it lives as long as the text that it is a part of. Throws Error{vocabulary} if that has been
  /// rewritten since, as a mapped file may be, and no longer holds one.
  std::string_view operator[](std::uint32_t i) const {
    const std::string_view its = stored(i);
    if (utf8::find_invalid(its) != std::string_view::npos) fail_changed(i);
    return its;
  }

  /// The same, but its bytes may be rewritten to what is not UTF-8: to be compared with.
  std::string_view stored(std::uint32_t i) const {
    const std::size_t begin = offsets_[i], end = offsets_[i + 1];
    if (begin > end || end > text_.size()) fail_changed(i);
    return text_.substr(begin, end - begin);
  }

 private:
  [[noreturn]] void fail(std::initializer_list<ErrorPiece> what) const {
    throw_error(ErrorCode::vocabulary, {name_, ": ", concat(what), "; the model file is damaged, convert it again"});
  }

  [[noreturn]] void fail_changed(std::uint32_t i) const {
    throw_error(ErrorCode::vocabulary, {name_, ": ", item_, " ", i,
                                        " has changed since the model was loaded: its file was rewritten in place. "
                                        "Load it again, and replace model files by renaming new ones to their names"});
  }

  static constexpr std::size_t kMaxSize = std::size_t{1} << 24;

  std::string_view text_;
  std::span<const std::uint32_t> offsets_;
  const char* name_;
  const char* item_;
  std::size_t longest_ = 0;
};

BERTHA_NAMESPACE_END
