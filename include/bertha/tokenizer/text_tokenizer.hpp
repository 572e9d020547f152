// One text to its tokens, before templates and truncation: added tokens are cut out, the rest goes to the model.
//
// Equals `tokenizers.Tokenizer.encode(text, add_special_tokens=False)` (0.23.3) with the parts of a model that
// config.hpp knows.

#pragma once

#include <algorithm>
#include <bertha/config.hpp>
#include <bertha/error.hpp>
#include <bertha/runtime/stop.hpp>
#include <bertha/tokenizer/added_tokens.hpp>
#include <bertha/tokenizer/bpe_tokenizer.hpp>
#include <bertha/tokenizer/byte_bpe_tokenizer.hpp>
#include <bertha/tokenizer/charsmap.hpp>
#include <bertha/tokenizer/other_kind.hpp>
#include <bertha/tokenizer/step_normalizer.hpp>
#include <bertha/tokenizer/stored_strings.hpp>
#include <bertha/tokenizer/tokenizer_kind.hpp>
#include <bertha/tokenizer/tokenizer_tensors.hpp>
#include <bertha/tokenizer/unigram_tokenizer.hpp>
#include <bertha/tokenizer/wordpiece_tokenizer.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
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
  /// The tensors must live as long. Throws Error{vocabulary} if they and the configuration contradict each other.
  TextTokenizer(const TokenizerConfig& config, const TokenizerTensors& tensors)
      : kind_(make_kind(config, tensors)),
        raw_tokens_(finder(config.added_tokens, false)),
        normalized_tokens_(finder(config.added_tokens, true)) {}

  /// Of a kind that no file describes. Throws Error{vocabulary} for added tokens that are empty or not UTF-8.
  TextTokenizer(const std::vector<AddedToken>& added_tokens, OtherKind kind)
      : kind_(std::move(kind)),
        raw_tokens_(finder(added_tokens, false)),
        normalized_tokens_(finder(added_tokens, true)) {}

  /// The tokens of the vocabulary by id.
  const StoredStrings& strings() const {
    return std::visit([](const auto& kind) -> const StoredStrings& { return kind.strings(); }, kind_);
  }

  /// The id of a token of the vocabulary.
  std::optional<std::uint32_t> find(std::string_view token) const {
    return std::visit([&](const auto& kind) { return kind.find(token); }, kind_);
  }

  /// What tokens begin with that go on with a word ("##"); empty where no token says so.
  std::string_view continuing_subword_prefix() const {
    const auto* word_pieces = std::get_if<WordPieceTokenizer>(&kind_);
    return word_pieces == nullptr ? std::string_view() : word_pieces->continuing_subword_prefix();
  }

  /// Puts the tokens of `text`, which errors call `name`, in place of what `tokens` had, whose memory is used again.
  /// With `split_special_tokens`, special tokens in it are text like any other. Throws Error{input} for texts that are
  /// not UTF-8 or have 2^31 bytes and more, and Error{stopped}.
  void operator()(std::string_view text, bool split_special_tokens, std::string_view name, const Stop& stop,
                  TokenSequence& tokens) const;

  /// The same, as a new sequence.
  TokenSequence operator()(std::string_view text, bool split_special_tokens, std::string_view name = "text",
                           const Stop& stop = {}) const {
    TokenSequence tokens;
    (*this)(text, split_special_tokens, name, stop, tokens);
    return tokens;
  }

  /// What an added token looks like where it is found: normalised, if it says so.
  std::string shown(const AddedToken& token) const {
    if (!token.normalized) return token.content;
    require_utf8(token.content, "added token");
    NormalizedText normalized;
    std::visit([&](const auto& kind) { kind.normalize(token.content, 0, normalized); }, kind_);
    return std::string(normalized.text());
  }

  /// The text of tokens: Hugging Face's `convert_tokens_to_string`.
  std::string decode(std::span<const std::string_view> tokens) const {
    for (const std::string_view token : tokens) require_utf8(token, "token");
    return std::visit([&](const auto& kind) { return kind.decode(tokens); }, kind_);
  }

 private:
  template <TokenizerKind... Kinds>
  using OneOf = std::variant<Kinds...>;
  using AnyKind = OneOf<WordPieceTokenizer, ByteBpeTokenizer, UnigramTokenizer, BpeTokenizer, OtherKind>;

  static constexpr std::size_t kMaxBytes = std::size_t{1} << 31;

  static AnyKind make_kind(const TokenizerConfig& config, const TokenizerTensors& tensors) {
    struct Make {
      const TokenizerConfig& config;
      const TokenizerTensors& its;
      StepNormalizer& steps;
      AnyKind operator()(const WordPieceOptions& options) const {
        return WordPieceTokenizer(options, StoredStrings(its.text, its.offsets), config.unk_token_id, std::move(steps));
      }
      AnyKind operator()(const ByteBpeOptions& options) const {
        return ByteBpeTokenizer(options, {its.text, its.offsets}, its.merges, config.unk_token_id, std::move(steps));
      }
      AnyKind operator()(const BpeOptions& options) const {
        return BpeTokenizer(options, {its.text, its.offsets}, its.merges, config.unk_token_id, std::move(steps));
      }
      AnyKind operator()(const UnigramOptions& options) const {
        Unigram model({its.text, its.offsets}, {its.trie, "tokenizer.vocab.trie"}, its.scores, config.unk_token_id,
                      options.byte_fallback);
        return UnigramTokenizer(options, std::move(model), std::move(steps));
      }
    };
    StepNormalizer steps(config.normalizer, charsmap(tensors));
    return std::visit(Make{config, tensors, steps}, config.model);
  }

  static std::optional<Charsmap> charsmap(const TokenizerTensors& its) {
    if (its.charsmap_offsets.empty()) return std::nullopt;
    return Charsmap(its.charsmap_text, its.charsmap_offsets, its.charsmap_trie);
  }

  template <class Kind>
  void append_tokens(const Kind& kind, std::string_view text, bool split_special_tokens, const Stop& stop,
                     TokenSequence& tokens) const {
    typename Kind::Run run(kind, text, stop);
    swap(run.tokens(), tokens);
    NormalizedText part;
    const auto append_part = [&](std::size_t from, std::size_t to) {
      if (normalized_tokens_.empty()) return run.append_raw(from, to);
      kind.normalize(text.substr(from, to - from), static_cast<std::uint32_t>(from), part);
      normalized_tokens_.split(
          part.text(), split_special_tokens,
          [&](std::size_t begin, std::size_t end) { run.append_normalized(part, begin, end); },
          [&](std::uint32_t id, std::size_t begin, std::size_t end) {
            run.append_added_token(id, part.origin(begin, end));
          });
    };
    raw_tokens_.split(text, split_special_tokens, append_part,
                      [&](std::uint32_t id, std::size_t begin, std::size_t end) {
                        const Span origin{static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
                        run.append_added_token(id, origin);
                      });
    swap(run.tokens(), tokens);
  }

  // Of tokens that normalisation makes equal ("Foo" and "FOO") the first special one is found, or else the first, as in
  // tokenizers 0.22.2; 0.23.3 finds any one of them, another in each process.
  AddedTokenFinder finder(const std::vector<AddedToken>& tokens, bool normalized) const {
    std::vector<AddedToken> chosen;
    std::vector<std::string> contents;
    for (const bool special : {true, false}) {
      for (const AddedToken& token : tokens) {
        if (token.normalized != normalized || token.special != special) continue;
        chosen.push_back(token);
        contents.push_back(shown(token));
      }
    }
    return AddedTokenFinder(std::move(chosen), contents);
  }

  AnyKind kind_;
  AddedTokenFinder raw_tokens_;         // of tokens that are looked for in the raw text
  AddedTokenFinder normalized_tokens_;  // and in the normalised text of what is left
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION void TextTokenizer::operator()(std::string_view text, bool split_special_tokens, std::string_view name,
                                               const Stop& stop, TokenSequence& tokens) const {
  if (text.size() >= kMaxBytes) {
    throw_error(ErrorCode::input, {name, name.empty() ? "" : ": ", "it has ", text.size(),
                                   " bytes, and offsets count to 2^31 - 1; divide it"});
  }
  stop.check();
  require_utf8(text, name);
  tokens.clear();
  tokens.reserve(std::min(text.size() / 4, tokens.limit));
  std::visit([&](const auto& kind) { append_tokens(kind, text, split_special_tokens, stop, tokens); }, kind_);
}

#endif

BERTHA_NAMESPACE_END
