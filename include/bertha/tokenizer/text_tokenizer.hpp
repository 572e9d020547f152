// One text to its tokens, before templates and truncation: added tokens are cut out, the rest goes to the model.
//
// Equals `tokenizers.Tokenizer.encode(text, add_special_tokens=False)` (0.23.3) with the parts of a model that
// config.hpp knows.

#pragma once

#include <bertha/config.hpp>
#include <bertha/tokenizer/added_tokens.hpp>
#include <bertha/tokenizer/byte_bpe_tokenizer.hpp>
#include <bertha/tokenizer/wordpiece_tokenizer.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// Tokenises single texts. Immutable: several threads may use one at once.
class TextTokenizer {
 public:
  /// `merges` are those of byte-level BPE, pairs of ids in the order of their ranks; copied.
  /// Throws Error{vocabulary} if the configuration, the vocabulary and the merges contradict each other.
  TextTokenizer(const TokenizerConfig& config, Vocabulary vocabulary, std::span<const std::uint32_t> merges = {})
      : model_(make_model(config, std::move(vocabulary), merges)),
        raw_tokens_(finder(config.added_tokens, false)),
        normalized_tokens_(finder(config.added_tokens, true)) {}

  const Vocabulary& vocabulary() const {
    return std::visit([](const auto& model) -> const Vocabulary& { return model.vocabulary(); }, model_);
  }

  /// The tokens of `text`. With `split_special_tokens`, special tokens in it are text like any other.
  /// Throws Error{input} for texts that are not UTF-8 or have 2^31 bytes and more.
  TokenSequence operator()(std::string_view text, bool split_special_tokens) const {
    if (text.size() >= kMaxBytes) {
      throw Error(ErrorCode::input,
                  "text: it has " + std::to_string(text.size()) + " bytes, and offsets count to 2^31 - 1; divide it");
    }
    require_utf8(text);
    return std::visit([&](const auto& model) { return tokens(model, text, split_special_tokens); }, model_);
  }

  /// What an added token looks like where it is found: normalised, if it says so.
  std::string shown(const AddedToken& token) const {
    if (!token.normalized) return token.content;
    require_utf8(token.content);
    return std::visit([&](const auto& model) { return model.normalize(token.content); }, model_);
  }

  /// The text of tokens: Hugging Face's `convert_tokens_to_string`.
  std::string decode(std::span<const std::string_view> tokens) const {
    for (const std::string_view token : tokens) require_utf8(token);
    return std::visit([&](const auto& model) { return model.decode(tokens); }, model_);
  }

 private:
  using Model = std::variant<WordPieceTokenizer, ByteBpeTokenizer>;

  static constexpr std::size_t kMaxBytes = std::size_t{1} << 31;

  static Model make_model(const TokenizerConfig& config, Vocabulary vocabulary, std::span<const std::uint32_t> merges) {
    if (const auto* options = std::get_if<ByteBpeOptions>(&config.model)) {
      return ByteBpeTokenizer(*options, std::move(vocabulary), merges, config.unk_token_id);
    }
    return WordPieceTokenizer(std::get<WordPieceOptions>(config.model), std::move(vocabulary), config.unk_token_id);
  }

  template <class M>
  TokenSequence tokens(const M& model, std::string_view text, bool split_special_tokens) const {
    typename M::Run run(model, text);
    run.tokens().reserve(text.size() / 4);
    raw_tokens_.split(
        text, split_special_tokens,
        [&](std::size_t from, std::size_t to) {
          if (normalized_tokens_.empty()) return run.plain(from, to);
          normalized_tokens_.split(
              run.normalize(from, to), split_special_tokens,
              [&](std::size_t begin, std::size_t end) { run.normalized(begin, end); },
              [&](std::uint32_t id, std::size_t begin, std::size_t end) {
                run.added_token(id, run.origin(begin, end));
              });
        },
        [&](std::uint32_t id, std::size_t begin, std::size_t end) {
          run.added_token(id, {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)});
        });
    return std::move(run.tokens());
  }

  AddedTokenFinder finder(const std::vector<AddedToken>& tokens, bool normalized) const {
    std::vector<AddedToken> chosen;
    std::vector<std::string> contents;
    for (const AddedToken& token : tokens) {
      if (token.normalized != normalized) continue;
      chosen.push_back(token);
      contents.push_back(shown(token));
    }
    return AddedTokenFinder(chosen, contents);
  }

  Model model_;
  AddedTokenFinder raw_tokens_;         // of tokens that are looked for in the raw text
  AddedTokenFinder normalized_tokens_;  // and in the normalised text of what is left
};

BERTHA_NAMESPACE_END
