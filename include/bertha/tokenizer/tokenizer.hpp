// Text to Encoding and back: the tokenizer that a model file describes.

#pragma once

#include <algorithm>
#include <bertha/config.hpp>
#include <bertha/error.hpp>
#include <bertha/file/model_file.hpp>
#include <bertha/runtime/pool.hpp>
#include <bertha/tokenizer/encode_options.hpp>
#include <bertha/tokenizer/encoding.hpp>
#include <bertha/tokenizer/offsets.hpp>
#include <bertha/tokenizer/template.hpp>
#include <bertha/tokenizer/text_tokenizer.hpp>
#include <bertha/tokenizer/tokenizer_tensors.hpp>
#include <bertha/tokenizer/windows.hpp>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// Equals what `transformers` builds for BERT, RoBERTa, XLM-RoBERTa and their kin (5.23.0, tokenizers 0.23.3) with the
/// same options, offsets being UTF-8 bytes. Texts are UTF-8; `replace_invalid_utf8` makes them so. Immutable, cheap to
/// copy: several threads may use one at once.
class Tokenizer {
 public:
  /// Takes the tensors `tokenizer.*`, and keeps the file's bytes alive. Throws Error{missing_tensor | shape} and what
  /// the constructor throws.
  static Tokenizer load(WeightFile& file) {
    return Tokenizer(file.tokenizer(), take_tokenizer_tensors(file), file.keep_alive());
  }

  /// The tensors live in `keep_alive`, or outlive the tokenizer. Throws Error{vocabulary} if the configuration and the
  /// tensors contradict each other.
  Tokenizer(TokenizerConfig config, const TokenizerTensors& tensors, std::shared_ptr<const void> keep_alive = nullptr);

  /// A tokenizer of a kind that no file describes: SentencePiece's library (sentencepiece.hpp), or your own. Throws
  /// Error{vocabulary} if the special tokens are none of the kind's.
  template <TokenizerKind Kind>
  Tokenizer(SpecialTokens special, Kind kind)
      : special_(std::move(special)),
        text_tokenizer_(std::make_shared<const TextTokenizer>(special_.added_tokens, OtherKind(std::move(kind)))) {
    check();
  }

  const SpecialTokens& special_tokens() const { return special_; }

  /// The tokens of the vocabulary by id, without those that are added to it.
  const StoredStrings& strings() const { return text_tokenizer_->strings(); }

  /// What tokens begin with that go on with a word ("##"); empty where no token says so.
  std::string_view continuing_subword_prefix() const { return text_tokenizer_->continuing_subword_prefix(); }

  /// One more than the largest id.
  std::size_t size() const { return size_; }

  /// The string of a token, valid as long as this tokenizer; empty for an id that no token has. Throws Error{input} if
  /// id >= size().
  std::string_view token(std::uint32_t id) const {
    if (const auto found = added_.find(id); found != added_.end()) return found->second.shown;
    if (id < strings().size()) return strings()[id];
    if (id < size_) return {};
    throw_error(ErrorCode::input, {"token id ", id, ": the tokenizer's ids are less than ", size_});
  }

  /// The id of an added token or of a token of the vocabulary.
  std::optional<std::uint32_t> id(std::string_view token) const {
    for (const AddedToken& added : special_.added_tokens) {
      if (added.content == token) return added.id;
    }
    return text_tokenizer_->find(token);
  }

  /// The tokens of a text. Throws Error{input} if the text is not UTF-8 or too long, or the options contradict each
  /// other.
  Encoding encode(std::string_view text, const EncodeOptions& options = {}) const {
    Encoding encoding;
    encode_into(encoding, text, std::nullopt, options);
    return encoding;
  }

  /// The tokens of a pair of texts. Throws as the above, and when the text to be truncated is too short for that.
  Encoding encode(std::string_view text, std::string_view text_pair, const EncodeOptions& options = {}) const {
    Encoding encoding;
    encode_into(encoding, text, text_pair, options);
    return encoding;
  }

  /// The same in place of what `encoding` had, whose memory is used again: with what this tokenizer keeps, nothing is
  /// allocated once texts of a size have been seen, but where the steps of a normaliser or a charsmap change a text.
  /// Throws as `encode`, and leaves `encoding` empty then.
  void encode_into(Encoding& encoding, std::string_view text, std::optional<std::string_view> text_pair = std::nullopt,
                   const EncodeOptions& options = {}) const;

  /// All windows of a text that is too long for `max_length`, in the order of Hugging Face's overflowing tokens. Throws
  /// as `encode`, and when `stride` leaves no room to move on.
  std::vector<Encoding> encode_windows(std::string_view text, const EncodeOptions& options) const {
    return windows(text, std::nullopt, options);
  }

  /// All windows of a pair; with `longest_first` both texts may be cut, and all combinations come.
  std::vector<Encoding> encode_windows(std::string_view text, std::string_view text_pair,
                                       const EncodeOptions& options) const {
    return windows(text, text_pair, options);
  }

  /// The tokens of a text alone, for a text that is encoded more than once; of the options, how text becomes tokens.
  /// Throws as `encode`.
  TokenSequence tokens(std::string_view text, const EncodeOptions& options = {}) const {
    return (*text_tokenizer_)(text, options.split_special_tokens, options.text_name, options.stop);
  }

  /// `encode` of a text whose tokens are known.
  Encoding encode(const TokenSequence& text, const EncodeOptions& options = {}) const {
    Encoding encoding;
    detail::put_first_window(special_.single, {text}, options, special_.unk_token_id, encoding);
    return encoding;
  }

  /// `encode_windows` of a text, or of a pair, whose tokens are known.
  std::vector<Encoding> encode_windows(const TokenSequence& text, const EncodeOptions& options) const {
    return windows({text}, options);
  }
  std::vector<Encoding> encode_windows(const TokenSequence& text, const TokenSequence& text_pair,
                                       const EncodeOptions& options) const {
    return windows({text, &text_pair}, options);
  }

  /// The text of tokens: Hugging Face's `convert_tokens_to_string`. Throws Error{input} for one that is not UTF-8.
  std::string decode(std::span<const std::string_view> tokens) const { return text_tokenizer_->decode(tokens); }

  /// The text of ids: `decode` of transformers' tokenizers, which leaves out ids that no token has. Throws Error{input}
  /// if an id is not less than size().
  std::string decode(std::span<const std::uint32_t> ids, bool skip_special_tokens) const;

 private:
  struct Added {
    std::string shown;
    bool special;
  };

  void check();
  void add(const AddedToken& token);
  void check_template(const std::vector<TemplatePiece>& pieces, std::string_view name, std::size_t n_b) const;

  void check_id(std::uint32_t id, std::string_view what) const {
    if (id >= size_) fail({what, " is ", id, ", ids are less than ", size_});
  }

  [[noreturn]] static void fail(std::initializer_list<ErrorPiece> what) {
    throw_error(ErrorCode::vocabulary, {"tokenizer: ", concat(what), "; convert the model again"});
  }

  const std::vector<TemplatePiece>& pieces(bool is_pair) const { return is_pair ? special_.pair : special_.single; }

  // The tokens of a text or a pair, in `memory`. For `first_only`, those behind the window may be missing where it is
  // known without them that it is not the only one.
  detail::SequencePair tokenize(std::string_view text, std::optional<std::string_view> text_pair,
                                const EncodeOptions& options, bool first_only, detail::Sequences& memory) const;

  std::vector<Encoding> windows(std::string_view text, std::optional<std::string_view> text_pair,
                                const EncodeOptions& options) const {
    const auto memory = memory_->take();
    return windows(tokenize(text, text_pair, options, false, *memory), options);
  }
  std::vector<Encoding> windows(const detail::SequencePair& sequences, const EncodeOptions& options) const {
    return detail::all_windows(pieces(sequences.pair != nullptr), sequences, options, special_.unk_token_id);
  }

  static constexpr std::uint32_t kMaxId = 1u << 24;

  std::shared_ptr<const void> keep_alive_;
  SpecialTokens special_;
  std::shared_ptr<const TextTokenizer> text_tokenizer_;  // as copies share it, and:
  std::shared_ptr<detail::Pool<detail::Sequences>> memory_ = std::make_shared<detail::Pool<detail::Sequences>>();
  std::unordered_map<std::uint32_t, Added> added_;
  std::size_t size_ = 0;
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION Tokenizer::Tokenizer(TokenizerConfig config, const TokenizerTensors& tensors,
                                     std::shared_ptr<const void> keep_alive)
    : keep_alive_(std::move(keep_alive)), text_tokenizer_(std::make_shared<const TextTokenizer>(config, tensors)) {
  if (config.vocab_size != strings().size()) {
    fail({"vocab_size is ", config.vocab_size, ", the vocabulary has ", strings().size(), " tokens"});
  }
  special_ = std::move(config);
  check();
}

BERTHA_FUNCTION std::string Tokenizer::decode(std::span<const std::uint32_t> ids, bool skip_special_tokens) const {
  std::vector<std::string_view> tokens;
  for (const std::uint32_t id : ids) {
    const auto found = added_.find(id);
    if (skip_special_tokens && found != added_.end() && found->second.special) continue;
    if (const std::string_view one = token(id); !one.empty()) tokens.push_back(one);
  }
  std::string text = decode(tokens);
  if (special_.clean_up_tokenization_spaces) clean_up_spaces(text, false);
  return text;
}

BERTHA_FUNCTION void Tokenizer::check() {
  size_ = strings().size();
  for (const AddedToken& token : special_.added_tokens) add(token);
  check_template(special_.single, "single", 0);
  check_template(special_.pair, "pair", 1);
  check_id(special_.cls_token_id, "cls_token_id");
  check_id(special_.sep_token_id, "sep_token_id");
  check_id(special_.pad_token_id, "pad_token_id");
}

BERTHA_FUNCTION void Tokenizer::add(const AddedToken& token) {
  const StoredStrings& vocabulary = strings();
  const auto fail_token = [&](std::initializer_list<ErrorPiece> what) {
    fail({"added token ", token.id, " ", detail::shown(token.content), ": ", concat(what)});
  };
  if (token.id < vocabulary.size() && !vocabulary[token.id].empty() && vocabulary[token.id] != token.content) {
    fail_token({"the vocabulary has ", detail::shown(vocabulary[token.id]), " at this id"});
  }
  if (token.id >= kMaxId) fail_token({"ids are less than 2^24"});
  if (!added_.emplace(token.id, Added{text_tokenizer_->shown(token), token.special}).second) {
    fail_token({"its id is given twice"});
  }
  size_ = std::max<std::size_t>(size_, token.id + std::size_t{1});
}

BERTHA_FUNCTION void Tokenizer::check_template(const std::vector<TemplatePiece>& pieces, std::string_view name,
                                               std::size_t n_b) const {
  std::size_t n[2] = {0, 0};
  for (const TemplatePiece& piece : pieces) {
    if (piece.kind != TemplatePiece::Kind::special) ++n[piece.kind == TemplatePiece::Kind::sequence_b];
  }
  if (n[0] != 1 || n[1] != n_b) {
    fail({"template '", name, "' must have sequence A once and sequence B ", n_b, " times"});
  }
  for (const TemplatePiece& piece : pieces) {
    if (piece.kind == TemplatePiece::Kind::special) {
      check_id(piece.id, concat({"a special token of template '", name, "'"}));
    }
  }
}

BERTHA_FUNCTION detail::SequencePair Tokenizer::tokenize(std::string_view text,
                                                         std::optional<std::string_view> text_pair,
                                                         const EncodeOptions& options, bool first_only,
                                                         detail::Sequences& memory) const {
  const std::size_t n_room = detail::room_of(pieces(text_pair.has_value()), options);
  const auto& tokenize_text = *text_tokenizer_;
  constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();
  const bool is_limited = first_only && options.truncation != Truncation::none;
  const auto tokenize_one = [&](std::size_t which, std::size_t limit) {
    const std::string_view its = which == 0 ? text : *text_pair;
    const std::string_view name = which == 0 ? options.text_name : options.text_pair_name;
    memory.of[which].limit = limit;
    tokenize_text(its, options.split_special_tokens, name, options.stop, memory.of[which]);
    return memory.of[which].size();
  };
  const std::size_t limit = is_limited ? n_room + 1 : kAll;  // tells that there are too many
  const std::size_t n1 = tokenize_one(0, limit);
  if (!text_pair) return {memory.of[0]};
  const std::size_t n2 = tokenize_one(1, limit);
  if (is_limited && depends_on_all(n1, n2, n_room, options.truncation)) {
    if (n1 >= limit) tokenize_one(0, kAll);
    if (n2 >= limit) tokenize_one(1, kAll);
  }
  return {memory.of[0], &memory.of[1]};
}

BERTHA_FUNCTION void Tokenizer::encode_into(Encoding& encoding, std::string_view text,
                                            std::optional<std::string_view> text_pair,
                                            const EncodeOptions& options) const {
  encoding.clear();
  const auto memory = memory_->take();
  const detail::SequencePair sequences = tokenize(text, text_pair, options, true, *memory);
  detail::put_first_window(pieces(text_pair.has_value()), sequences, options, special_.unk_token_id, encoding);
}

#endif

BERTHA_NAMESPACE_END
