// Tokenizers of what no golden's model has: all steps of a normaliser, added tokens of every kind, names of bytes.

#pragma once

#include "marked_vocabulary.hpp"
#include "model_writer.hpp"

#include <initializer_list>
#include <string>
#include <vector>

namespace bertha_test {

/// Model files of tokenizers alone.
inline std::vector<ModelWriter> further_tokenizers() {
  std::vector<ModelWriter> all;
  const auto add = [&](std::vector<std::string> vocabulary) -> ModelWriter& {
    auto model = ModelWriter::tiny({.kind = "tokenizer", .vocabulary = std::move(vocabulary)});
    model.format = "2";
    return all.emplace_back(std::move(model));
  };
  const auto add_steps = [](ModelWriter& model, std::initializer_list<Json> steps) {
    for (const char* key : {"clean_text", "handle_chinese_chars", "strip_accents", "lowercase"})
      model.tokenizer.erase(key);
    for (const Json& step : steps)
      model.tokenizer["normalizer"].push_back(step.is_string() ? Json{{"step", step}} : step);
  };
  const Json replace = {{"step", "replace"}, {"pattern", "ab"}, {"content", "c d"}};
  const Json replace_apart = {{"step", "replace_apart"}, {"pattern", "b"}, {"content", "a"}, {"optional_before", true}};
  const Json replace_apart_only = {
      {"step", "replace_apart"}, {"pattern", "ba"}, {"content", "a"}, {"optional_before", false}};
  const Json replace_spaces = {{"step", "replace_spaces"}, {"content", " "}};
  // An added token of each combination of what they can ask for.
  const auto add_added = [](ModelWriter& model, std::uint32_t first, std::initializer_list<const char*> contents) {
    unsigned flags = 0;
    for (const char* content : contents) {
      model.tokenizer["added_tokens"].push_back({{"id", first++},
                                                 {"content", content},
                                                 {"single_word", (flags & 1) != 0},
                                                 {"lstrip", (flags & 2) != 0},
                                                 {"rstrip", (flags & 4) != 0},
                                                 {"normalized", (flags & 8) == 0},
                                                 {"special", false}});
      flags += 3;  // which goes through all, being odd
    }
  };

  const std::vector<std::string> marked = marked_vocabulary();
  add(marked).make_character_bpe({{6, 7}, {9, 8}, {5, 6}, {6, 6}});

  const std::vector<std::string> pieces = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a",   "b",   "c",
                                           "##a",   "##b",   "##c",   ".",     "the",    "cat", "##s", "\xC3\xA9"};
  ModelWriter& words = add(pieces);
  add_steps(words, {"strip_left", "strip_right", "clean_text", "handle_chinese_chars", "nfd", "strip_nonspacing_marks",
                    "lowercase", "nfc"});
  add_added(words, 16, {"<a>", "<b>", "<c>", "AB", "cab", "x y", "~", "\xC3\x89"});
  words.tokenizer["trim_offsets"] = true;

  std::vector<std::string> bytes = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "ab", "\xC4\xA0"};
  ModelWriter& spaced = add(bytes);
  spaced.make_byte_bpe({{5, 6}});
  spaced.tokenizer["add_prefix_space"] = true;
  add_steps(spaced, {"nfkc", replace, replace_apart, replace_spaces, "collapse_white_space", "strip_right"});
  add_added(spaced, 9, {"<a>", "<b>", "<c>", "AB", "cab", "x y", "~", "\xC3\x89"});

  bytes.insert(bytes.end(), {"b\xC4\xA0", "!", "1", "111",
                             "\xC4\xA0"
                             "1"});
  ModelWriter& llama = add(bytes);
  llama.make_byte_bpe({{5, 6}});
  llama.tokenizer["words"] = "llama3";
  llama.tokenizer["ignore_merges"] = true;

  std::vector<std::string> named = marked;
  for (int byte = 0; byte < 256; ++byte) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    named.push_back(std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">");
  }
  ModelWriter& fallback = add(named);
  fallback.make_character_bpe({{6, 7}, {9, 8}, {5, 6}, {6, 6}});
  fallback.tokenizer["byte_fallback"] = true;
  fallback.tokenizer["prepend_scheme"] = "first";
  fallback.tokenizer["split"] = false;
  fallback.tokenizer["ignore_merges"] = true;
  add_steps(fallback, {"nfkd", "strip_marks", replace_apart_only});
  add_added(fallback, static_cast<std::uint32_t>(named.size()), {"<a>", "<b>", "<c>", "AB", "cab", "x y"});

  ModelWriter& scored = add(named);
  scored.make_unigram(named);
  scored.tokenizer["byte_fallback"] = true;
  scored.tokenizer["whitespace_split"] = false;

  ModelWriter& dropping = add(marked);
  dropping.make_character_bpe({{6, 7}, {9, 8}, {5, 6}, {6, 6}});
  dropping.tokenizer["whitespace_split"] = true;
  dropping.tokenizer["drop_unknown"] = true;
  ModelWriter& fusing = add(marked);
  fusing.make_character_bpe({{6, 7}, {9, 8}, {5, 6}, {6, 6}});
  fusing.tokenizer["fuse_unknown"] = true;
  fusing.tokenizer["prepend_scheme"] = "never";
  return all;
}

}  // namespace bertha_test
