// Metaspace: white space as a mark that is a part of tokens.
//
// Equals `pre_tokenizers.WhitespaceSplit`, `pre_tokenizers.Metaspace` and `decoders.Metaspace` of tokenizers 0.23.3
// (tokenizers/src/pre_tokenizers/whitespace.rs, metaspace.rs).

#pragma once

#include <algorithm>
#include <array>
#include <bertha/config.hpp>
#include <bertha/tokenizer/unicode.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

BERTHA_NAMESPACE_BEGIN

/// What stands for a space: U+2581.
inline constexpr std::string_view kMetaspace = "\xE2\x96\x81";

/// The bytes that white space and the mark may begin with.
inline constexpr std::array<bool, 256> kMaySplit = [] {
  std::array<bool, 256> bytes{};
  for (std::size_t byte = 0; byte <= 0x20; ++byte) bytes[byte] = true;
  for (const std::size_t first : {0xC2u, 0xE1u, 0xE2u, 0xE3u}) bytes[first] = true;
  return bytes;
}();

/// One word of a text with its spaces as marks, and the way back to the text.
class MetaspaceWord {
 public:
  /// A half-open range of bytes.
  struct Range {
    std::size_t begin = 0;
    std::size_t end = 0;
    friend bool operator==(const Range&, const Range&) = default;
  };

  /// Becomes bytes `range` of `text`, which is not empty and must live as long, with a mark before it if `with_mark`.
  /// Its memory is used again.
  void assign(std::string_view text, Range range, bool with_mark) {
    source_ = text.substr(0, range.end);
    next_ = range.begin;
    last_ = {};
    text_.assign(with_mark ? kMetaspace : std::string_view());
    even_from_ = text_.size();
    even_source_ = range.begin;
    for (std::size_t at = range.begin; at < range.end;) {
      const std::size_t space = std::min(source_.find(' ', at), range.end);
      text_ += source_.substr(at, space - at);
      at = space + 1;
      if (space == range.end) break;
      text_ += kMetaspace;
      even_from_ = text_.size();
      even_source_ = at;
    }
    n_added_ = with_mark ? kMetaspace.size() : 0;
  }

  std::string_view text() const { return text_; }

  /// The bytes of the text that bytes `range` of the word stand for: for a mark that was added those of what is behind
  /// it. `range` is the last one that was asked for, or begins where that ended; the first begins at 0.
  Range source(Range range) {
    if (range.begin >= even_from_)
      return {range.begin - even_from_ + even_source_, range.end - even_from_ + even_source_};
    if (range == last_) return last_source_;
    const std::size_t begin = next_;
    for (std::size_t at = std::max(range.begin, n_added_); at < range.end;) {
      at += source_[next_++] == ' ' ? kMetaspace.size() : 1;
    }
    last_ = range;
    last_source_ = {begin, std::max(next_, begin + 1)};
    return last_source_;
  }

 private:
  std::string text_;
  std::string_view source_;
  std::size_t n_added_ = 0;                      // bytes of the word that the text lacks
  std::size_t even_from_ = 0, even_source_ = 0;  // where the word's last bytes without a space begin, here and there
  std::size_t next_ = 0;                         // byte of the source that the next range begins at
  Range last_, last_source_;                     // what was asked for last, and its source
};

/// Calls `word(range, with_mark)` for each word of a normalised text, whose bytes are `range`: with a mark before it
/// that the text has no space for. `at_start(byte)` is asked whether a part that begins there stands at the start of
/// the original text.
template <class Options, class AtStart, class Word>
void split_metaspace(std::string_view text, const Options& options, AtStart&& at_start, Word&& word) {
  const auto is_mark_at = [&](std::size_t at) {
    return text[at] == ' ' || (text[at] == kMetaspace[0] && text.substr(at).starts_with(kMetaspace));
  };
  const auto split = [&](std::size_t begin, std::size_t end, bool has_marks) {
    bool with_mark = options.prepend_scheme != PrependScheme::never && !is_mark_at(begin) &&
                     (options.prepend_scheme == PrependScheme::always || at_start(begin));
    for (std::size_t at = begin + 1; options.split && has_marks && at < end; ++at) {
      if (!is_mark_at(at)) continue;
      word(MetaspaceWord::Range{begin, at}, with_mark);
      with_mark = false;
      begin = at;
    }
    word(MetaspaceWord::Range{begin, end}, with_mark);
  };
  if (!options.whitespace_split) {
    if (!text.empty()) split(0, text.size(), true);
    return;
  }
  bool has_marks = false;
  for (std::size_t begin = 0, at = 0; at < text.size();) {
    if (!kMaySplit[static_cast<unsigned char>(text[at])]) {  // nearly all of most texts
      ++at;
    } else {
      const auto [code_point, size] = utf8::decode(text, at);
      const bool is_space = (unicode::properties(code_point).flags & unicode::kWhiteSpace) != 0;
      has_marks = has_marks || is_mark_at(at);
      if (is_space && begin < at) split(begin, at, has_marks);
      at += size;
      if (is_space) begin = at;
      if (is_space) has_marks = false;
    }
    if (at == text.size() && begin < at) split(begin, at, has_marks);
  }
}

/// Joins tokens: marks become spaces, but those of the first token, which go unless `never`.
inline std::string decode_metaspace(std::span<const std::string_view> tokens, PrependScheme scheme) {
  std::string result;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    for (std::string_view rest = tokens[i]; !rest.empty();) {
      const std::size_t mark = std::min(rest.find(kMetaspace), rest.size());
      result += rest.substr(0, mark);
      if (mark == rest.size()) break;
      if (i > 0 || scheme == PrependScheme::never) result += ' ';
      rest.remove_prefix(mark + kMetaspace.size());
    }
  }
  return result;
}

BERTHA_NAMESPACE_END
