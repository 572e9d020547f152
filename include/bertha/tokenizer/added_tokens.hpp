// Added tokens: strings such as [MASK] that are cut out of a text before, or after, it is normalised.
//
// Equals `AddedVocabulary` of tokenizers 0.23.3 (tokenizers/src/tokenizer/added_vocabulary.rs): the leftmost match
// wins, of those at one place the longest; a match that its flags refuse is passed over as a whole. White space that a
// token takes is not closed to tokens that begin in it: one that does may overlap with it.

#pragma once

#include <algorithm>
#include <bertha/config.hpp>
#include <bertha/error.hpp>
#include <bertha/runtime/function_ref.hpp>
#include <bertha/tokenizer/aho_corasick.hpp>
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
  /// `contents[i]` is what `tokens[i]` looks like in the texts; of tokens that look the same the first is found.
  /// Throws Error{vocabulary} for contents that are empty or not UTF-8.
  AddedTokenFinder(std::vector<AddedToken> tokens, const std::vector<std::string>& contents);

  bool empty() const { return tokens_.empty(); }

  /// Calls `plain(begin, end)` and `token(id, begin, end)` for the parts of `text` in their order; no part is empty.
  /// With `skip_special`, special tokens are text like any other. Returns how many steps it took, which no tokens and
  /// no text make more than a few for each byte.
  std::size_t split(std::string_view text, bool skip_special, FunctionRef<std::size_t, std::size_t> plain,
                    FunctionRef<std::uint32_t, std::size_t, std::size_t> token) const;

 private:
  std::vector<AddedToken> tokens_;
  std::vector<std::size_t> sizes_;  // of their contents
  AhoCorasick contents_;
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens,
                                                   const std::vector<std::string>& contents)
    : tokens_(std::move(tokens)), contents_(std::vector<std::string_view>(contents.begin(), contents.end())) {
  constexpr std::string_view kDo = "; convert the model again";
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const std::uint32_t id = tokens_[i].id;
    if (contents[i].empty()) {
      throw_error(ErrorCode::vocabulary,
                  {"tokenizer.added_tokens: added token ", id, " matches the empty string", kDo});
    }
    if (utf8::find_invalid(contents[i]) != std::string::npos) {
      throw_error(ErrorCode::vocabulary, {"tokenizer.added_tokens: added token ", id, " is not UTF-8", kDo});
    }
    sizes_.push_back(contents[i].size());
  }
}

BERTHA_FUNCTION std::size_t AddedTokenFinder::split(std::string_view text, bool skip_special,
                                                    FunctionRef<std::size_t, std::size_t> plain,
                                                    FunctionRef<std::uint32_t, std::size_t, std::size_t> token) const {
  std::vector<AhoCorasick::Match> matches;
  std::size_t steps = contents_.find(text, matches);
  std::size_t done = 0;                          // what is before it has been handed out
  std::size_t searched = 0;                      // matches that begin before it are of tokens that are passed over
  std::size_t spaces_begin = 0, spaces_end = 0;  // white space that a token has taken last
  for (; !matches.empty(); matches.pop_back()) {
    ++steps;
    const AhoCorasick::Match match = matches.back();
    if (match.begin < searched) continue;
    const AddedToken& its = tokens_[match.string];
    std::size_t begin = match.begin, end = begin + sizes_[match.string];
    searched = end;
    if (skip_special && its.special) continue;
    if (its.single_word && (unicode::ends_with(text.substr(0, begin), unicode::kWord) ||
                            unicode::starts_with(text.substr(end), unicode::kWord))) {
      continue;
    }
    if (its.lstrip) {
      for (; begin > done && unicode::ends_with(text.substr(0, begin), unicode::kWhiteSpace); ++steps) {
        begin = unicode::last_code_point(text.substr(0, begin));
      }
      begin = std::max(begin, done);
    }
    if (its.rstrip && spaces_begin <= end && end < spaces_end) {
      end = spaces_end;
    } else if (its.rstrip) {
      spaces_begin = end;
      for (; unicode::starts_with(text.substr(end), unicode::kWhiteSpace); ++steps) {
        end += utf8::decode(text, end).size;
      }
      spaces_end = end;
    }
    if (done < begin) plain(done, begin);
    if (begin < end) token(its.id, begin, end);
    done = end;
  }
  if (done < text.size()) plain(done, text.size());
  return steps;
}

#endif

BERTHA_NAMESPACE_END
