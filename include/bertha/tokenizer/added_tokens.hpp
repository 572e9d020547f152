// Added tokens: strings such as [MASK] that are cut out of a text before, or after, it is normalised.
//
// Equals `AddedVocabulary` of tokenizers 0.23.3 (tokenizers/src/tokenizer/added_vocabulary.rs): the leftmost match
// wins, of those at one place the longest; a match that its flags refuse is passed over as a whole.

#pragma once

#include <algorithm>
#include <array>
#include <bertha/config.hpp>
#include <bertha/error.hpp>
#include <bertha/tokenizer/unicode.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// Finds a set of added tokens in texts. Immutable, so shared by threads.
class AddedTokenFinder {
 public:
  /// `contents[i]` is what `tokens[i]` looks like in the texts. Throws Error{vocabulary} for contents that are empty,
  /// repeated or not UTF-8.
  AddedTokenFinder(const std::vector<AddedToken>& tokens, const std::vector<std::string>& contents) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const std::string which = "added token " + std::to_string(tokens[i].id);
      if (contents[i].empty()) fail(which + " matches the empty string");
      if (utf8::find_invalid(contents[i]) != std::string::npos) fail(which + " is not UTF-8");
      patterns_.push_back({contents[i], tokens[i]});
      starts_[static_cast<unsigned char>(contents[i][0])] = true;
    }
    // By first byte, and then the longest first.
    std::sort(patterns_.begin(), patterns_.end(), [](const Pattern& a, const Pattern& b) {
      if (a.content[0] != b.content[0]) return a.content[0] < b.content[0];
      return a.content.size() != b.content.size() ? a.content.size() > b.content.size() : a.content < b.content;
    });
    for (std::size_t i = 1; i < patterns_.size(); ++i) {
      if (patterns_[i].content == patterns_[i - 1].content) {
        fail("added tokens " + std::to_string(patterns_[i - 1].token.id) + " and " +
             std::to_string(patterns_[i].token.id) + " both match '" + patterns_[i].content + "'");
      }
    }
  }

  bool empty() const { return patterns_.empty(); }

  /// Calls `plain(begin, end)` and `token(id, begin, end)` for the parts of `text` in their order; no part is empty.
  /// With `skip_special`, special tokens are text like any other.
  template <class Plain, class Token>
  void split(std::string_view text, bool skip_special, Plain&& plain, Token&& token) const {
    std::size_t done = 0;  // what is before it has been handed out
    for (std::size_t at = 0; (at = next_start(text, at)) < text.size();) {
      const Pattern* pattern = longest_at(text.substr(at));
      if (pattern == nullptr) {
        ++at;
        continue;
      }
      const AddedToken& its = pattern->token;
      std::size_t begin = at, end = at + pattern->content.size();
      at = end;
      if (skip_special && its.special) continue;
      if (its.single_word && (unicode::ends_with(text.substr(0, begin), unicode::kWord) ||
                              unicode::starts_with(text.substr(end), unicode::kWord))) {
        continue;
      }
      if (its.lstrip) {
        while (begin > done && unicode::ends_with(text.substr(0, begin), unicode::kWhiteSpace)) {
          begin = unicode::last_code_point(text.substr(0, begin));
        }
        begin = std::max(begin, done);
      }
      if (its.rstrip) {
        while (unicode::starts_with(text.substr(end), unicode::kWhiteSpace)) end += utf8::decode(text, end).size;
      }
      if (done < begin) plain(done, begin);
      if (begin < end) token(its.id, begin, end);
      done = end;
    }
    if (done < text.size()) plain(done, text.size());
  }

 private:
  struct Pattern {
    std::string content;
    AddedToken token;
  };

  std::size_t next_start(std::string_view text, std::size_t at) const {
    while (at < text.size() && !starts_[static_cast<unsigned char>(text[at])]) ++at;
    return at;
  }

  const Pattern* longest_at(std::string_view text) const {
    const auto first = std::lower_bound(patterns_.begin(), patterns_.end(), text[0],
                                        [](const Pattern& p, char byte) { return p.content[0] < byte; });
    for (auto p = first; p != patterns_.end() && p->content[0] == text[0]; ++p) {
      if (text.starts_with(p->content)) return &*p;
    }
    return nullptr;
  }

  [[noreturn]] static void fail(const std::string& what) {
    throw Error(ErrorCode::vocabulary, "tokenizer.added_tokens: " + what + "; convert the model again");
  }

  std::vector<Pattern> patterns_;
  std::array<bool, 256> starts_{};  // bytes that a content starts with
};

BERTHA_NAMESPACE_END
