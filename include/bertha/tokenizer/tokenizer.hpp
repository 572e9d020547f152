// Text to Encoding and back: the tokenizer that a model file describes.

#pragma once

#include <algorithm>
#include <bertha/config.hpp>
#include <bertha/error.hpp>
#include <bertha/file/model_file.hpp>
#include <bertha/tokenizer/encoding.hpp>
#include <bertha/tokenizer/offsets.hpp>
#include <bertha/tokenizer/text_tokenizer.hpp>
#include <bertha/tokenizer/windows.hpp>
#include <cstddef>
#include <cstdint>
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

/// How to encode; names and defaults are Hugging Face's.
struct EncodeOptions {
  bool add_special_tokens = true;            ///< apply the template ([CLS] A [SEP])
  Truncation truncation = Truncation::none;  ///< what is shortened beyond `max_length`
  std::size_t max_length = 0;         ///< tokens, special ones included; given if and only if something truncates
  std::size_t stride = 0;             ///< tokens that neighbouring windows share
  bool split_special_tokens = false;  ///< take "[SEP]" in the text for text: for texts that are not trusted
};

/// Equals `transformers.BertTokenizer` or `RobertaTokenizer` (5.23.0, tokenizers 0.23.3) built with the same options,
/// offsets being UTF-8 bytes. Texts are UTF-8; `replace_invalid_utf8` makes them so. Immutable: several threads may use
/// one at once.
class Tokenizer {
 public:
  /// Takes the tensors `tokenizer.*`, and keeps the file's bytes alive.
  /// Throws Error{missing_tensor | shape} and what the constructor throws.
  static Tokenizer load(WeightFile& file) {
    const TokenizerConfig& config = file.tokenizer();
    const auto padded = [](std::size_t n, std::size_t multiple) { return (n + multiple - 1) / multiple * multiple; };
    const std::size_t n = config.vocab_size + 1;
    const auto offsets = file.take<std::uint32_t>("tokenizer.vocab.offsets", {padded(n, 16)}).first(n);
    const std::size_t n_bytes = offsets.back();  // read once: what a file says twice may differ
    const auto text = file.take<std::uint8_t>("tokenizer.vocab.text", {padded(n_bytes, 64)});
    std::span<const std::uint32_t> merges;
    if (const auto* options = std::get_if<ByteBpeOptions>(&config.model)) {
      const std::size_t n_ids = 2 * options->num_merges;
      merges = file.take<std::uint32_t>("tokenizer.merges", {padded(n_ids, 16)}).first(n_ids);
    }
    return Tokenizer(config, {reinterpret_cast<const char*>(text.data()), n_bytes}, offsets, merges, file.keep_alive());
  }

  /// Token i of the vocabulary is text[offsets[i], offsets[i + 1]); `merges` are pairs of ids, for byte-level BPE only.
  /// All live in `keep_alive`, or outlive the tokenizer.
  /// Throws Error{vocabulary} if the configuration, the vocabulary and the merges contradict each other.
  Tokenizer(TokenizerConfig config, std::string_view text, std::span<const std::uint32_t> offsets,
            std::span<const std::uint32_t> merges, std::shared_ptr<const void> keep_alive = nullptr)
      : keep_alive_(std::move(keep_alive)),
        config_(std::move(config)),
        text_tokenizer_(config_, Vocabulary(text, offsets), merges) {
    const Vocabulary& vocabulary = text_tokenizer_.vocabulary();
    size_ = vocabulary.size();
    if (config_.vocab_size != size_) {
      fail("vocab_size is " + std::to_string(config_.vocab_size) + ", the vocabulary has " + std::to_string(size_) +
           " tokens");
    }
    for (const AddedToken& token : config_.added_tokens) add(token);
    check_template(config_.single, "single", 0);
    check_template(config_.pair, "pair", 1);
    for (const auto& [id, what] : {std::pair{config_.cls_token_id, "cls_token_id"},
                                   {config_.sep_token_id, "sep_token_id"},
                                   {config_.pad_token_id, "pad_token_id"}}) {
      check_id(id, what);
    }
  }

  const TokenizerConfig& config() const { return config_; }

  /// One more than the largest id.
  std::size_t size() const { return size_; }

  /// The string of a token, valid as long as this tokenizer; empty for an id that no token has.
  /// Throws Error{input} if id >= size().
  std::string_view token(std::uint32_t id) const {
    if (const auto found = added_.find(id); found != added_.end()) return found->second.shown;
    if (id < config_.vocab_size) return text_tokenizer_.vocabulary().token(id);
    if (id < size_) return {};
    throw Error(ErrorCode::input,
                "token id " + std::to_string(id) + ": the tokenizer's ids are less than " + std::to_string(size_));
  }

  /// The id of an added token or of a token of the vocabulary.
  std::optional<std::uint32_t> id(std::string_view token) const {
    for (const AddedToken& added : config_.added_tokens) {
      if (added.content == token) return added.id;
    }
    return text_tokenizer_.vocabulary().find(token);
  }

  /// The tokens of a text. Throws Error{input} if the text is not UTF-8 or too long, or the options contradict each
  /// other.
  Encoding encode(std::string_view text, const EncodeOptions& options = {}) const {
    return std::move(encode_all(text, std::nullopt, options, false).front());
  }

  /// The tokens of a pair of texts. Throws as the above, and when the text to be truncated is too short for that.
  Encoding encode(std::string_view text, std::string_view text_pair, const EncodeOptions& options = {}) const {
    return std::move(encode_all(text, text_pair, options, false).front());
  }

  /// All windows of a text that is too long for `max_length`, in the order of Hugging Face's overflowing tokens.
  /// Throws as `encode`, and when `stride` leaves no room to move on.
  std::vector<Encoding> encode_windows(std::string_view text, const EncodeOptions& options) const {
    return encode_all(text, std::nullopt, options, true);
  }

  /// All windows of a pair; with `longest_first` both texts may be cut, and all combinations come.
  std::vector<Encoding> encode_windows(std::string_view text, std::string_view text_pair,
                                       const EncodeOptions& options) const {
    return encode_all(text, text_pair, options, true);
  }

  /// The text of tokens: Hugging Face's `convert_tokens_to_string`. Throws Error{input} for one that is not UTF-8.
  std::string decode(std::span<const std::string_view> tokens) const { return text_tokenizer_.decode(tokens); }

  /// The text of ids: `decode` of tokenizers. Throws Error{input} if an id is not less than size().
  std::string decode(std::span<const std::uint32_t> ids, bool skip_special_tokens) const {
    std::vector<std::string_view> tokens;
    for (const std::uint32_t id : ids) {
      const auto found = added_.find(id);
      if (skip_special_tokens && found != added_.end() && found->second.special) continue;
      tokens.push_back(token(id));
    }
    return decode(tokens);
  }

 private:
  struct Added {
    std::string shown;
    bool special;
  };

  void add(const AddedToken& token) {
    const Vocabulary& vocabulary = text_tokenizer_.vocabulary();
    const std::string which = "added token " + std::to_string(token.id) + " '" + token.content + "'";
    if (token.id < vocabulary.size() && !vocabulary.token(token.id).empty() &&
        vocabulary.token(token.id) != token.content) {
      fail(which + ": the vocabulary has '" + std::string(vocabulary.token(token.id)) + "' at this id");
    }
    if (token.id >= kMaxId) fail(which + ": ids are less than 2^24");
    if (!added_.emplace(token.id, Added{text_tokenizer_.shown(token), token.special}).second) {
      fail(which + ": its id is given twice");
    }
    size_ = std::max<std::size_t>(size_, token.id + std::size_t{1});
  }

  void check_id(std::uint32_t id, const std::string& what) const {
    if (id >= size_) fail(what + " is " + std::to_string(id) + ", ids are less than " + std::to_string(size_));
  }

  void check_template(const std::vector<TemplatePiece>& pieces, const std::string& what, std::ptrdiff_t n_b) const {
    const auto n = [&](TemplatePiece::Kind kind) {
      return std::count_if(pieces.begin(), pieces.end(), [&](const TemplatePiece& p) { return p.kind == kind; });
    };
    if (n(TemplatePiece::Kind::sequence_a) != 1 || n(TemplatePiece::Kind::sequence_b) != n_b) {
      fail("template '" + what + "' must have sequence A once and sequence B " + std::to_string(n_b) + " times");
    }
    for (const TemplatePiece& piece : pieces) {
      if (piece.kind == TemplatePiece::Kind::special) check_id(piece.id, "a special token of template '" + what + "'");
    }
  }

  [[noreturn]] static void fail(const std::string& what) {
    throw Error(ErrorCode::vocabulary, "tokenizer: " + what + "; convert the model again");
  }

  // How many tokens the texts have room for.
  std::size_t room(const std::vector<TemplatePiece>& pieces, const EncodeOptions& options) const {
    if (options.truncation == Truncation::none) {
      if (options.max_length == 0 && options.stride == 0) return 0;
      throw Error(ErrorCode::input, "max_length or stride are given, but no truncation: choose what is to be cut");
    }
    const std::size_t n_special =
        options.add_special_tokens
            ? static_cast<std::size_t>(
                  std::count_if(pieces.begin(), pieces.end(),
                                [](const TemplatePiece& piece) { return piece.kind == TemplatePiece::Kind::special; }))
            : 0;
    if (options.max_length == 0 || options.max_length < n_special) {
      throw Error(ErrorCode::input, "max_length is " + std::to_string(options.max_length) + ", expected at least " +
                                        std::to_string(std::max<std::size_t>(n_special, 1)) +
                                        ": the special tokens alone need as many");
    }
    return options.max_length - n_special;
  }

  std::vector<Encoding> encode_all(std::string_view text, std::optional<std::string_view> text_pair,
                                   const EncodeOptions& options, bool all_windows) const {
    const auto& pieces = text_pair ? config_.pair : config_.single;
    const std::size_t n_room = room(pieces, options);
    TokenSequence sequences[2];
    sequences[0] = text_tokenizer_(text, options.split_special_tokens);
    if (text_pair) sequences[1] = text_tokenizer_(*text_pair, options.split_special_tokens);
    const std::size_t n1 = sequences[0].size(), n2 = sequences[1].size();
    const KeptLengths kept = kept_lengths(n1, text_pair ? std::optional(n2) : std::nullopt, n_room, options.truncation);
    if (!all_windows) {
      if (options.stride != 0) {  // refused as with windows, which the caller may go on to
        window_ranges(n1, kept.first, options.stride);
        window_ranges(n2, kept.second, options.stride);
      }
      Encoding only = assemble(pieces, sequences, {{0, kept.first}, {0, kept.second}}, options.add_special_tokens);
      only.truncated = kept != KeptLengths{n1, n2};
      std::vector<Encoding> result;
      result.push_back(std::move(only));
      return result;
    }
    const auto a = window_ranges(n1, kept.first, options.stride), b = window_ranges(n2, kept.second, options.stride);
    // Hugging Face's order: the first windows of both; each further window of the sequence that comes first in the
    // template with all of the other; then the first one with the further ones of the other.
    const auto is_b = [](const TemplatePiece& p) { return p.kind == TemplatePiece::Kind::sequence_b; };
    const auto is_a = [](const TemplatePiece& p) { return p.kind == TemplatePiece::Kind::sequence_a; };
    const bool b_leads =
        std::find_if(pieces.begin(), pieces.end(), is_b) < std::find_if(pieces.begin(), pieces.end(), is_a);
    const auto& leading = b_leads ? b : a;
    const auto& other = b_leads ? a : b;
    std::vector<Encoding> result;
    const auto add_window = [&](TokenRange l, TokenRange o) {
      result.push_back(assemble(pieces, sequences, {b_leads ? o : l, b_leads ? l : o}, options.add_special_tokens));
    };
    add_window(leading[0], other[0]);
    for (std::size_t i = 1; i < leading.size(); ++i) {
      for (const TokenRange o : other) add_window(leading[i], o);
    }
    for (std::size_t j = 1; j < other.size(); ++j) add_window(leading[0], other[j]);
    return result;
  }

  Encoding assemble(const std::vector<TemplatePiece>& pieces, const TokenSequence (&sequences)[2],
                    const TokenRange (&ranges)[2], bool add_special_tokens) const;

  static constexpr std::uint32_t kMaxId = 1u << 24;

  std::shared_ptr<const void> keep_alive_;
  TokenizerConfig config_;
  TextTokenizer text_tokenizer_;
  std::unordered_map<std::uint32_t, Added> added_;
  std::size_t size_ = 0;
};

/// Puts parts of two sequences into a template.
inline Encoding Tokenizer::assemble(const std::vector<TemplatePiece>& pieces, const TokenSequence (&sequences)[2],
                                    const TokenRange (&ranges)[2], bool add_special_tokens) const {
  Encoding result;
  const std::size_t n = ranges[0].size() + ranges[1].size() + pieces.size();
  result.ids.reserve(n);
  result.type_ids.reserve(n);
  result.offsets.reserve(n);
  result.words.reserve(n);
  result.sequences.reserve(n);
  result.special.reserve(n);
  for (const TemplatePiece& piece : pieces) {
    if (piece.kind == TemplatePiece::Kind::special) {
      if (!add_special_tokens) continue;
      result.ids.push_back(piece.id);
      result.type_ids.push_back(piece.type_id);
      result.offsets.push_back({0, 0});
      result.words.push_back(Encoding::kNone);
      result.sequences.push_back(Encoding::kNone);
      result.special.push_back(1);
      continue;
    }
    const std::size_t which = piece.kind == TemplatePiece::Kind::sequence_a ? 0 : 1;
    const TokenSequence& from = sequences[which];
    const TokenRange range = ranges[which];
    const auto append = [&](auto& to, const auto& all) {
      to.insert(to.end(), all.begin() + static_cast<std::ptrdiff_t>(range.begin),
                all.begin() + static_cast<std::ptrdiff_t>(range.end));
    };
    append(result.ids, from.ids);
    append(result.offsets, from.offsets);
    if (range.size() > 0 && !from.offsets_as_first.empty()) {
      result.offsets[result.offsets.size() - range.size()] = from.offsets_as_first[range.begin];
    }
    append(result.words, from.words);
    result.n_unknown += static_cast<std::size_t>(std::count(
        result.ids.end() - static_cast<std::ptrdiff_t>(range.size()), result.ids.end(), config_.unk_token_id));
    result.type_ids.resize(result.size(), piece.type_id);
    result.sequences.resize(result.size(), static_cast<std::uint32_t>(which));
    result.special.resize(result.size(), 0);
  }
  return result;
}

BERTHA_NAMESPACE_END
