// The tokens of a word by the definition of its tokenizer's kind, as slow as that is: what the fast ways must equal.

#pragma once

#include <bertha/tokenizer/tokenizer.hpp>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bertha_fuzz {

/// A file's tokenizer and, apart from it, its tables.
class SlowWords {
 public:
  SlowWords(const bertha::WeightFile& file, const bertha::Tokenizer& tokenizer) : model_(file.tokenizer().model) {
    const auto padded = [](std::size_t n, std::size_t multiple) { return (n + multiple - 1) / multiple * multiple; };
    for (std::uint32_t id = 0; id < tokenizer.strings().size(); ++id)
      ids_.emplace(std::string(tokenizer.strings()[id]), id);
    std::size_t n_merges = 0;
    if (const auto* byte_bpe = std::get_if<bertha::ByteBpeOptions>(&model_)) n_merges = byte_bpe->num_merges;
    if (const auto* bpe = std::get_if<bertha::BpeOptions>(&model_)) n_merges = bpe->num_merges;
    if (n_merges > 0) {
      const auto merges = file.borrow<std::uint32_t>("tokenizer.merges", {padded(2 * n_merges, 16)});
      for (std::uint32_t i = 0; i < n_merges; ++i) ranks_.emplace(std::pair(merges[2 * i], merges[2 * i + 1]), i);
    }
    if (std::holds_alternative<bertha::UnigramOptions>(model_)) {
      const std::size_t n = file.tokenizer().vocab_size;
      const auto scores = file.borrow<double>("tokenizer.scores", {padded(n, 8)});
      scores_.assign(scores.begin(), scores.begin() + static_cast<std::ptrdiff_t>(n));
    }
  }

  /// The tokens of a word of the normalised text; none where the word holds something that is no token.
  std::optional<std::vector<std::uint32_t>> operator()(const std::string& word) const {
    if (const auto* options = std::get_if<bertha::WordPieceOptions>(&model_))
      return longest_first(word, options->continuing_subword_prefix);
    const auto* bpe = std::get_if<bertha::BpeOptions>(&model_);
    const auto* byte_bpe = std::get_if<bertha::ByteBpeOptions>(&model_);
    const bool ignores = (bpe != nullptr && bpe->ignore_merges) || (byte_bpe != nullptr && byte_bpe->ignore_merges);
    if (const auto whole = ids_.find(word); ignores && whole != ids_.end()) return Ids{whole->second};
    return scores_.empty() ? merged(word) : best(word);
  }

 private:
  using Ids = std::vector<std::uint32_t>;

  static bool starts_character(const std::string& text, std::size_t at) {
    return at == text.size() || (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80;
  }

  std::optional<Ids> longest_first(const std::string& word, const std::string& prefix) const {
    Ids tokens;
    for (std::size_t begin = 0; begin < word.size();) {
      std::size_t end = word.size();
      auto found = ids_.end();
      for (; end > begin; --end) {
        found = ids_.find((begin > 0 ? prefix : "") + word.substr(begin, end - begin));
        if (found != ids_.end() && starts_character(word, end)) break;
      }
      if (end == begin) return std::nullopt;
      tokens.push_back(found->second);
      begin = end;
    }
    return tokens;
  }

  std::optional<Ids> best(const std::string& word) const {
    struct Place {
      double score = -std::numeric_limits<double>::infinity();
      std::size_t begin = 0;
      std::uint32_t id = 0;
    };
    std::vector<Place> places(word.size() + 1);
    places[0].score = 0;
    for (std::size_t begin = 0; begin < word.size(); ++begin) {
      if (!starts_character(word, begin)) continue;
      for (std::size_t end = begin + 1; end <= word.size(); ++end) {
        const auto found = ids_.find(word.substr(begin, end - begin));
        if (found == ids_.end()) continue;
        const double score = places[begin].score + scores_[found->second];
        if (score > places[end].score) places[end] = {score, begin, found->second};
      }
    }
    if (places.back().score == -std::numeric_limits<double>::infinity()) return std::nullopt;
    Ids tokens;
    for (std::size_t end = word.size(); end > 0; end = places[end].begin) tokens.insert(tokens.begin(), places[end].id);
    return tokens;
  }

  std::optional<Ids> merged(const std::string& word) const {
    Ids tokens;
    for (std::size_t begin = 0; begin < word.size();) {
      std::size_t end = begin + 1;
      while (!starts_character(word, end)) ++end;
      const auto found = ids_.find(word.substr(begin, end - begin));
      if (found == ids_.end()) return std::nullopt;
      tokens.push_back(found->second);
      begin = end;
    }
    while (true) {
      std::size_t lowest = ranks_.size(), at = 0;
      for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
        const auto found = ranks_.find({tokens[i], tokens[i + 1]});
        if (found == ranks_.end() || found->second >= lowest) continue;
        lowest = found->second;
        at = i;
      }
      if (lowest == ranks_.size()) return tokens;
      tokens[at] = id_of_both(tokens[at], tokens[at + 1]);
      tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
  }

  std::uint32_t id_of_both(std::uint32_t left, std::uint32_t right) const {
    std::string both;
    for (const std::uint32_t id : {left, right})
      for (const auto& [text, its] : ids_)
        if (its == id) both += text;
    return ids_.at(both);
  }

  decltype(bertha::TokenizerConfig::model) model_;
  std::map<std::string, std::uint32_t, std::less<>> ids_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> ranks_;
  std::vector<double> scores_;
};

}  // namespace bertha_fuzz
