// What a model file says of its model, as plain structs. file/model_file.hpp fills them from the file's JSON and checks
// them; the encoder, the heads, the tokenizer and the pipelines only read them. Families are data: nothing here, and
// nothing after it, knows a family's name. The fields and their values are specified in tools/format.md.

#pragma once

#include <bertha/head_config.hpp>
#include <bertha/version.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// How weights are stored, or are to be run. `float32_strict` runs a float32 model without the bfloat16 split.
enum class PrecisionKind : std::uint8_t { float32, float32_strict, bfloat16, int8 };

/// The name of a precision in the file and on the command line.
constexpr std::string_view to_string(PrecisionKind precision) noexcept {
  switch (precision) {
    case PrecisionKind::float32: return "float32";
    case PrecisionKind::float32_strict: return "float32_strict";
    case PrecisionKind::bfloat16: return "bfloat16";
    case PrecisionKind::int8: return "int8";
  }
  return "unknown";
}

/// How a model knows where tokens are.
enum class PositionScheme : std::uint8_t {
  absolute,       ///< nothing beside the rows of the position table, which are added to the embeddings
  distance_bias,  ///< attention adds to each score a number for the distance from query to key
  rotary,         ///< attention turns queries and keys by angles that grow with a token's place
  disentangled    ///< attention adds products with keys and queries of the distance from query to key
};

/// Keys and queries of distances, which attention multiplies with queries and keys of tokens: those of each layer, in
/// rows of which neighbours may share one.
struct DisentangledConfig {
  std::size_t rows = 0;
  std::size_t reach = 0;  ///< the distance from which on, either way, the last row stands for all
  bool relative_keys = false;
  bool relative_queries = false;
};

/// Where the norms of a layer are: behind the sum of a block and what it read, before the block, or before it and
/// behind it, of what it makes alone.
enum class NormPlace : std::uint8_t { post, pre, around };

/// What the encoder's norms are: of numbers about their mean, or of numbers as they are, without a bias.
enum class NormKind : std::uint8_t { layer_norm, rms_norm };

/// What one encoder layer is made of.
struct LayerConfig {
  std::string weights;  ///< what the names of its tensors begin with
  /// Every linear layer and norm has a bias; else those have one of which the file holds it.
  bool needs_bias = true;
  std::size_t stored = 0;  ///< its number among those that the file has
};

/// What a layer makes of places, beside its weights, which other layers may share.
struct LayerSight {
  std::size_t window = 0;  ///< how far a token sees to each side; 0: every token sees every token
  std::size_t rotary = 0;  ///< number of the table of angles
};

/// Sizes and choices of one model, all checked against each other when the file is read. Names are Hugging Face's.
struct ModelConfig {
  PrecisionKind precision = PrecisionKind::float32;  ///< of the stored linear weights and embeddings
  bool has_encoder = true;                           ///< false in a tokenizer-only file
  bool float32_split = false;  ///< products of bfloat16 halves keep the promise of float32 (encoder/float32_split.hpp)
  std::size_t vocab_size = 0;
  std::size_t hidden_size = 0;
  std::size_t embedding_size = 0;     ///< columns of the embedding tables
  bool embedding_projection = false;  ///< a linear layer makes hidden_size of embedding_size, which may be the same
  std::size_t num_hidden_layers = 0;
  std::size_t num_attention_heads = 0;
  std::size_t intermediate_size = 0;
  std::size_t max_position_embeddings = 0;
  std::size_t type_vocab_size = 0;
  Activation hidden_act = Activation::gelu;
  float layer_norm_eps = 1e-12f;
  std::size_t position_offset = 0;  ///< row of the position table that the first token takes
  /// A token of this id takes row position_offset - 1, and those after it count on as if it weren't there.
  std::optional<std::uint32_t> position_padding_id;
  bool position_table = true;  ///< there is one; its rows are added to the embeddings, whatever the scheme
  PositionScheme position_scheme = PositionScheme::absolute;
  DisentangledConfig disentangled;  ///< where position_scheme is that
  std::size_t score_terms = 1;      ///< scores are divided by the root of that times the head size
  NormPlace norm_place = NormPlace::post;
  NormKind norm_kind = NormKind::layer_norm;
  bool query_key_norms = false;  ///< each attention head's queries and keys go through norms of their own
  bool needs_bias = true;        ///< as in LayerConfig
  bool gating = false;           ///< feed-forward networks multiply the activation by a second product
  std::size_t key_window = 0;    ///< of every layer, where they don't differ
  std::vector<std::uint32_t> key_windows, rotary_tables;  ///< of each layer, where they differ; else empty
  std::size_t max_length = 0;                             ///< tokens of the longest sequence, special tokens included
  std::optional<PoolerConfig> pooler;  ///< tanh(W x[0] + b) in BERT; other families' first dense layer of the head
  std::optional<EmbeddingConfig> embedding;  ///< where `head` is that
  std::optional<MaskedLmConfig> masked_lm;   ///< where `head` is that
  HeadKind head = HeadKind::none;
  std::vector<PoolerLayer> token_layers;  ///< which each token's hidden state goes through before its logits
  std::vector<std::string> labels;        ///< in the order of the logits
  ProblemType problem_type = ProblemType::unset;
  ScoreFunction score_function = ScoreFunction::automatic;  ///< of a cross-encoder
  double model_max_length = 0;              ///< the tokenizer's own limit as Hugging Face has it (1e30 when unset)
  std::vector<std::string> zero_points;     ///< int8: linear layers whose inputs are quantised with one; sorted
  std::vector<std::string> fine_attention;  ///< int8: attention whose probabilities have 15 bits; sorted
  /// For each layer the number of the stored one whose weights it runs with, numbered by first use; empty: its own.
  std::vector<std::uint32_t> layer_weights;

  std::size_t stored_layer(std::size_t index) const { return layer_weights.empty() ? index : layer_weights[index]; }
  std::size_t stored_layers() const {
    std::size_t count = layer_weights.empty() ? num_hidden_layers : 0;
    for (const std::size_t number : layer_weights) count = number < count ? count : number + 1;
    return count;
  }
  LayerConfig layer(std::size_t index) const {
    return {"encoder.layer." + std::to_string(stored_layer(index)), needs_bias, stored_layer(index)};
  }
  LayerSight sight(std::size_t index) const {
    return {key_windows.empty() ? key_window : key_windows[index], rotary_tables.empty() ? 0 : rotary_tables[index]};
  }
  /// Tokens that there are positions for.
  std::size_t positions() const { return max_position_embeddings - position_offset; }
  std::size_t head_size() const { return hidden_size / num_attention_heads; }
  std::size_t pooled_size() const { return pooler ? pooler->size(hidden_size) : hidden_size; }
};

/// A token that is cut out of the raw text before anything else looks at it.
struct AddedToken {
  std::uint32_t id = 0;
  std::string content;
  bool single_word = false;
  bool lstrip = false;
  bool rstrip = false;
  bool normalized = false;
  bool special = true;
};

/// One piece of the template that surrounds a sequence or a pair: a special token, or sequence A or B.
struct TemplatePiece {
  enum class Kind : std::uint8_t { special, sequence_a, sequence_b } kind = Kind::special;
  std::uint32_t id = 0;  ///< of the special token
  std::uint32_t type_id = 0;
};

/// BERT's normaliser and WordPiece.
struct WordPieceOptions {
  static constexpr std::string_view kKind = "wordpiece";  ///< its name in the file
  bool clean_text = true;
  bool handle_chinese_chars = true;
  bool strip_accents = true;
  bool lowercase = true;
  std::string continuing_subword_prefix = "##";
  std::size_t max_input_chars_per_word = 100;
  bool decoder_cleanup = true;  ///< the WordPiece decoder's own clean-up of spaces before punctuation
  bool trim_offsets = false;    ///< offsets of added tokens leave out the white space that they took
};

/// By which pattern byte-level BPE cuts words (tokenizer/byte_level.hpp).
enum class WordPattern : std::uint8_t { gpt2, llama3 };

/// Byte-level BPE, as GPT-2 has it.
struct ByteBpeOptions {
  static constexpr std::string_view kKind = "byte_bpe";
  bool add_prefix_space = false;  ///< a text that doesn't begin with a space is tokenised as if it did
  bool trim_offsets = true;       ///< offsets leave out the spaces that tokens begin or end with
  std::size_t num_merges = 0;
  WordPattern words = WordPattern::gpt2;
  bool ignore_merges = false;  ///< a word that is a token is that one
};

/// Where Metaspace puts a mark that the text has no space for.
enum class PrependScheme : std::uint8_t {
  always,  ///< before every part: the text, a word where white space splits, what follows an added token
  first,   ///< before what stands at the start of the text
  never
};

/// SentencePiece's Unigram, behind Metaspace: spaces become marks (U+2581), which are parts of tokens.
struct UnigramOptions {
  static constexpr std::string_view kKind = "unigram";
  bool whitespace_split = true;  ///< white space separates words and is dropped
  PrependScheme prepend_scheme = PrependScheme::always;
  bool split = true;  ///< every mark begins a word
  bool byte_fallback =
      false;  ///< what has no tokens is tokens of its bytes (<0x00> to <0xFF>) where the vocabulary has them
};

/// BPE over characters, behind Metaspace: what SentencePiece's BPE models, and tokenizers like them, are converted to.
struct BpeOptions {
  static constexpr std::string_view kKind = "character_bpe";
  bool whitespace_split = false;  ///< as in UnigramOptions, and the next two
  PrependScheme prepend_scheme = PrependScheme::always;
  bool split = true;
  bool byte_fallback = false;  ///< a character without a token is tokens of its bytes where the vocabulary has them
  bool drop_unknown = false;   ///< else it leaves no token, and with neither it is the unknown token
  bool fuse_unknown = false;   ///< of which neighbours are one
  bool ignore_merges = false;  ///< a word that is a token is that one
  std::size_t num_merges = 0;
};

/// One step of a normaliser.
struct NormalizerStep {
  enum class Kind : std::uint8_t {
    clean_text,            ///< remove control characters, turn white space into spaces
    handle_chinese_chars,  ///< a space on each side of a CJK ideograph
    nfd,                   ///< the Unicode forms
    nfkd,
    nfc,
    nfkc,
    strip_nonspacing_marks,  ///< what BERT takes for accents
    strip_marks,             ///< all combining marks
    lowercase,
    strip_left,            ///< white space at the start
    strip_right,           ///< and at the end
    replace,               ///< `pattern`, which is no regular expression, by `content`
    replace_apart,         ///< `pattern` and one character on each side that is none of a word, by `content`
    replace_spaces,        ///< each run of two spaces or more by `content`
    collapse_white_space,  ///< each run of white space of two or more, and each of \n, \r, \t, by a space
    charsmap               ///< what SentencePiece compiled from its rules of normalisation: tensors of the file
  };
  Kind kind = Kind::nfc;
  std::string pattern;
  std::string content;
  std::size_t num_replacements = 0;  ///< of `charsmap`
  bool optional_before = false;      ///< of `replace_apart`: there need be no character before the pattern
};

/// Special tokens, and how they stand around texts: what a tokenizer of any kind has.
struct SpecialTokens {
  static constexpr std::uint32_t kNone = 0xFFFF'FFFF;  ///< no token's id
  std::uint32_t unk_token_id = 0;                      ///< kNone where no text has an unknown token
  std::uint32_t cls_token_id = 0;
  std::uint32_t sep_token_id = 0;
  std::uint32_t pad_token_id = 0;
  std::optional<std::uint32_t> mask_token_id;  ///< in files of a masked-lm head, as is:
  bool clean_up_tokenization_spaces = false;   ///< spaces before punctuation go from a text that ids are decoded to
  std::vector<AddedToken> added_tokens;
  std::vector<TemplatePiece> single;
  std::vector<TemplatePiece> pair;
};

/// The tokenizer of a file, resolved: no defaults are left to decide.
struct TokenizerConfig : SpecialTokens {
  std::variant<WordPieceOptions, ByteBpeOptions, UnigramOptions, BpeOptions> model;
  std::size_t vocab_size = 0;              ///< tokens of the model's own vocabulary
  std::vector<NormalizerStep> normalizer;  ///< where there are any: in place of the model's own normaliser
};

/// The name of a tokenizer's kind in the file.
inline std::string_view kind(const TokenizerConfig& tokenizer) noexcept {
  return std::visit([](const auto& options) { return options.kKind; }, tokenizer.model);
}

/// One recorded case of a file's self-test.
struct SelfTestCase {
  std::string text;
  std::optional<std::string> text_pair;
  std::vector<std::uint32_t> ids;
  std::vector<std::uint32_t> type_ids;
  std::vector<std::size_t> offsets;      ///< start, end, start, end, ... in code points, two for each token
  std::vector<std::uint32_t> positions;  ///< masked-lm only: the tokens that have a row of logits,
  std::vector<std::uint32_t> columns;    ///< and the columns that are recorded of them
  std::vector<float> logits;             ///< row-major; empty when there is no head
  std::string logits_bytes;  ///< Int8 only: the scalar level's logits, hexadecimal, little endian; may be empty
  std::string answer;        ///< compact JSON of the pipeline's answer; empty when it was not recorded
};

BERTHA_NAMESPACE_END
