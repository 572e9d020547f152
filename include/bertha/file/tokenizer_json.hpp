// The part `tokenizer` of a model file's metadata, read into the plain structs of config.hpp and checked: types,
// ranges, and that it agrees with the part `config`. tools/format.md, section 4, specifies the fields. `where` names
// file and part.

#pragma once

#include <algorithm>
#include <bertha/config.hpp>
#include <bertha/error.hpp>
#include <bertha/file/config_json.hpp>
#include <bertha/file/json.hpp>
#include <bertha/file/json_object.hpp>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

inline std::vector<TemplatePiece> read_template(JsonObject& json, std::string_view key, bool pair) {
  std::vector<TemplatePiece> pieces;
  std::size_t seen[2] = {0, 0};
  for (const auto [index, item] : json.list(key).items()) {
    JsonObject entry(item, concat({json.where(), ": ", key, "[", pieces.size(), "]"}));
    TemplatePiece piece;
    piece.type_id = static_cast<std::uint32_t>(entry.integer("type_id", 0, kMaxSize));
    if (entry.has("sequence")) {
      piece.kind = entry.choice<TemplatePiece::Kind>(
          "sequence", {{"A", TemplatePiece::Kind::sequence_a}, {"B", TemplatePiece::Kind::sequence_b}});
      ++seen[piece.kind == TemplatePiece::Kind::sequence_b];
    } else {
      piece.id = static_cast<std::uint32_t>(entry.integer("special", 0, kMaxSize));
    }
    entry.finish();
    pieces.push_back(piece);
  }
  if (seen[0] != 1 || seen[1] != (pair ? 1 : 0)) {
    json.refuse(key, pair ? "a template with the sequences A and B once each" : "a template with the sequence A once");
  }
  return pieces;
}

inline std::vector<AddedToken> read_added_tokens(JsonObject& json) {
  std::vector<AddedToken> tokens;
  std::set<std::string> contents, ids;  // of one type: another costs every compilation megabytes
  for (const auto [index, item] : json.list("added_tokens").items()) {
    JsonObject entry(item, concat({json.where(), ": added_tokens[", tokens.size(), "]"}));
    AddedToken token;
    token.id = static_cast<std::uint32_t>(entry.integer("id", 0, kMaxSize));
    token.content = entry.string("content");
    if (token.content.empty()) entry.refuse("content", "at least one character");
    token.single_word = entry.boolean("single_word");
    token.lstrip = entry.boolean("lstrip");
    token.rstrip = entry.boolean("rstrip");
    token.normalized = entry.boolean("normalized");
    token.special = entry.boolean("special");
    entry.finish();
    if (!contents.insert(token.content).second) entry.refuse("content", "given once");
    if (!ids.insert(std::to_string(token.id)).second) entry.refuse("id", "given once");
    tokens.push_back(std::move(token));
  }
  return tokens;
}

[[noreturn]] inline void refuse_vocabulary(std::string_view where, std::string_view what) {
  throw_error(ErrorCode::vocabulary,
              {where, ": ", what, ". Tokenizer and weights don't belong together: convert again."});
}

/// Special tokens are tokens, and those that come with every text have a row in the word table, as their types have in
/// the type table. Other tokens may lack one (a [MASK] that was added and never trained): a text that holds one can't
/// be run, and templates of pairs are left to calls too, because a checkpoint may have one that it can't be given.
inline void check_ids(const TokenizerConfig& tokenizer, const ModelConfig& config, const std::string& where) {
  std::vector<std::uint32_t> added;
  for (const AddedToken& token : tokenizer.added_tokens) added.push_back(token.id);
  std::sort(added.begin(), added.end());
  const auto check = [&](std::string_view what, std::uint32_t id) {
    if (id >= tokenizer.vocab_size && !std::binary_search(added.begin(), added.end(), id)) {
      refuse_vocabulary(where, concat({what, " is ", id, ", which is no token's id"}));
    }
  };
  if (tokenizer.unk_token_id != SpecialTokens::kNone) check("'unk_token_id'", tokenizer.unk_token_id);
  check("'cls_token_id'", tokenizer.cls_token_id);
  check("'sep_token_id'", tokenizer.sep_token_id);
  check("'pad_token_id'", tokenizer.pad_token_id);
  if (tokenizer.mask_token_id) check("'mask_token_id'", *tokenizer.mask_token_id);
  for (const TemplatePiece& piece : tokenizer.pair) {
    if (piece.kind == TemplatePiece::Kind::special) check("a special token of 'pair'", piece.id);
  }
  for (const TemplatePiece& piece : tokenizer.single) {
    if (piece.kind == TemplatePiece::Kind::special) {
      check("a special token of 'single'", piece.id);
      if (config.has_encoder && piece.id >= config.vocab_size) {
        refuse_vocabulary(where, concat({"a special token of 'single' is ", piece.id, ", the word table has ",
                                         config.vocab_size, " rows"}));
      }
    }
    if (config.type_vocab_size > 0 && piece.type_id >= config.type_vocab_size) {
      refuse_vocabulary(where, concat({"'single' has the type_id ", piece.type_id, ", 'type_vocab_size' is ",
                                       config.type_vocab_size}));
    }
  }
}

inline std::vector<NormalizerStep> read_normalizer(JsonObject& json) {
  using Kind = NormalizerStep::Kind;
  std::vector<NormalizerStep> steps;
  for (const auto [index, item] : json.list("normalizer").items()) {
    JsonObject entry(item, concat({json.where(), ": normalizer[", steps.size(), "]"}));
    NormalizerStep step;
    step.kind = entry.choice<Kind>("step", {{"clean_text", Kind::clean_text},
                                            {"handle_chinese_chars", Kind::handle_chinese_chars},
                                            {"nfd", Kind::nfd},
                                            {"nfkd", Kind::nfkd},
                                            {"nfc", Kind::nfc},
                                            {"nfkc", Kind::nfkc},
                                            {"strip_nonspacing_marks", Kind::strip_nonspacing_marks},
                                            {"strip_marks", Kind::strip_marks},
                                            {"lowercase", Kind::lowercase},
                                            {"strip_left", Kind::strip_left},
                                            {"strip_right", Kind::strip_right},
                                            {"replace", Kind::replace},
                                            {"replace_apart", Kind::replace_apart},
                                            {"replace_spaces", Kind::replace_spaces},
                                            {"collapse_white_space", Kind::collapse_white_space},
                                            {"charsmap", Kind::charsmap}});
    const bool has_pattern = step.kind == Kind::replace || step.kind == Kind::replace_apart;
    if (has_pattern) {
      step.pattern = entry.string("pattern");
      if (step.pattern.empty()) entry.refuse("pattern", "at least one character");
    }
    if (has_pattern || step.kind == Kind::replace_spaces) step.content = entry.string("content");
    if (step.kind == Kind::replace_apart) step.optional_before = entry.boolean("optional_before");
    if (step.kind == Kind::charsmap) {
      step.num_replacements = entry.integer("num_replacements", 1, kMaxSize);
      for (const NormalizerStep& other : steps) {
        if (other.kind == Kind::charsmap) entry.refuse("step", "one charsmap");
      }
    }
    entry.finish();
    steps.push_back(std::move(step));
  }
  if (steps.empty()) json.refuse("normalizer", "a list of at least one step");
  return steps;
}

inline void read_options(JsonObject& json, WordPieceOptions& options) {
  if (!json.has("normalizer")) {
    options.clean_text = json.boolean("clean_text");
    options.handle_chinese_chars = json.boolean("handle_chinese_chars");
    options.strip_accents = json.boolean("strip_accents");
    options.lowercase = json.boolean("lowercase");
  }
  options.continuing_subword_prefix = json.string("continuing_subword_prefix");
  options.max_input_chars_per_word = json.integer("max_input_chars_per_word", 1, kMaxSize);
  options.decoder_cleanup = json.boolean("decoder_cleanup");
  if (json.has("trim_offsets") && !(options.trim_offsets = json.boolean("trim_offsets")))
    json.refuse("trim_offsets", "true where it is given");
}

inline void read_options(JsonObject& json, ByteBpeOptions& options) {
  options.add_prefix_space = json.boolean("add_prefix_space");
  options.trim_offsets = json.boolean("trim_offsets");
  if (json.has("words")) options.words = json.choice<WordPattern>("words", {{"llama3", WordPattern::llama3}});
  if (options.words == WordPattern::llama3 && options.add_prefix_space)
    json.refuse("add_prefix_space", "false with Llama 3's words");
  if (json.has("ignore_merges") && !(options.ignore_merges = json.boolean("ignore_merges")))
    json.refuse("ignore_merges", "true where it is given");
  options.num_merges = json.integer("num_merges", 1, kMaxSize);
}

/// Metaspace's options, which two kinds have.
template <class Options>
void read_metaspace(JsonObject& json, Options& options) {
  options.whitespace_split = json.boolean("whitespace_split");
  options.prepend_scheme = json.choice<PrependScheme>(
      "prepend_scheme",
      {{"always", PrependScheme::always}, {"first", PrependScheme::first}, {"never", PrependScheme::never}});
  options.split = json.boolean("split");
  options.byte_fallback = json.boolean("byte_fallback");
}

inline void read_options(JsonObject& json, UnigramOptions& options) { read_metaspace(json, options); }

inline void read_options(JsonObject& json, BpeOptions& options) {
  read_metaspace(json, options);
  options.drop_unknown = json.boolean("drop_unknown");
  options.fuse_unknown = json.boolean("fuse_unknown");
  options.ignore_merges = json.boolean("ignore_merges");
  options.num_merges = json.integer("num_merges", 1, kMaxSize);
}

/// Reads the options of the kind that the file names.
template <class... Kinds>
void read_kind(JsonObject& json, std::variant<Kinds...>& options) {
  const std::string kind = json.string("kind");
  const bool known = ((kind == Kinds::kKind && (read_options(json, options.template emplace<Kinds>()), true)) || ...);
  if (known) return;
  std::string names;
  for (const std::string_view name : {Kinds::kKind...})
    names += (names.empty() ? "\"" : ", \"") + std::string(name) + '"';
  json.refuse_unknown("kind", names);
}

/// The `tokenizer` part, checked against `config`. Throws Error{vocabulary} where the two contradict each other.
inline TokenizerConfig read_tokenizer(std::string_view text, const ModelConfig& config, const std::string& where) {
  const JsonDocument document = parse_json(text, where);
  JsonObject json(document.root(), where);
  TokenizerConfig tokenizer;
  read_kind(json, tokenizer.model);
  if (json.has("normalizer")) tokenizer.normalizer = read_normalizer(json);
  tokenizer.vocab_size = json.integer("vocab_size", 1, kMaxSize);
  const auto id = [&](std::string_view key) { return static_cast<std::uint32_t>(json.integer(key, 0, kMaxSize)); };
  const bool has_bytes = std::holds_alternative<ByteBpeOptions>(tokenizer.model);
  const bool knows_all = has_bytes && json.has("unk_token_id") && json.get("unk_token_id").is_null();
  tokenizer.unk_token_id = knows_all ? SpecialTokens::kNone : id("unk_token_id");
  tokenizer.cls_token_id = id("cls_token_id");
  tokenizer.sep_token_id = id("sep_token_id");
  tokenizer.pad_token_id = id("pad_token_id");
  if (config.head == HeadKind::masked_lm) {
    tokenizer.mask_token_id = id("mask_token_id");
    if (json.has("clean_up_tokenization_spaces"))
      tokenizer.clean_up_tokenization_spaces = json.boolean("clean_up_tokenization_spaces");
  }
  tokenizer.added_tokens = read_added_tokens(json);
  tokenizer.single = read_template(json, "single", false);
  tokenizer.pair = read_template(json, "pair", true);
  json.finish();
  check_ids(tokenizer, config, where);
  return tokenizer;
}

}  // namespace detail

BERTHA_NAMESPACE_END
