// Vocabularies and tokenizers of a few tokens for the tests of this folder.

#pragma once

#include "../../support/trie_writer.hpp"

#include <bertha/config.hpp>
#include <bertha/tokenizer/tokenizer.hpp>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bertha_test {

/// The strings of a vocabulary as a model file has them.
struct VocabularyData {
  explicit VocabularyData(const std::vector<std::string>& tokens) {
    for (const std::string& token : tokens) {
      text += token;
      offsets.push_back(static_cast<std::uint32_t>(text.size()));
    }
  }
  bertha::StoredStrings strings() const { return bertha::StoredStrings(text, offsets); }
  bertha::Vocabulary vocabulary() const { return bertha::Vocabulary(text, offsets); }

  std::string text;
  std::vector<std::uint32_t> offsets{0};
};

/// The tensors of a Unigram tokenizer, and of a charsmap from strings to what replaces them, if that has any.
struct UnigramData {
  using Pieces = std::vector<std::pair<std::string, double>>;

  explicit UnigramData(const Pieces& pieces, const std::map<std::string, std::string>& charsmap = {})
      : vocabulary(firsts(pieces)) {
    std::map<std::string, std::uint32_t> values, numbers;
    for (const auto& [piece, score] : pieces) {
      scores.push_back(score);
      values[piece] = static_cast<std::uint32_t>(scores.size());
    }
    values.erase("");
    trie = trie_of(values);
    std::vector<std::string> texts;
    for (const auto& [key, text] : charsmap) {
      texts.push_back(text);
      numbers[key] = static_cast<std::uint32_t>(texts.size());
    }
    replacements = VocabularyData(texts);
    charsmap_trie = trie_of(numbers);
  }

  bertha::TokenizerTensors tensors() const {
    bertha::TokenizerTensors its;
    its.text = vocabulary.text;
    its.offsets = vocabulary.offsets;
    its.trie = trie;
    its.scores = scores;
    if (replacements.offsets.size() < 2) return its;
    its.charsmap_text = replacements.text;
    its.charsmap_offsets = replacements.offsets;
    its.charsmap_trie = charsmap_trie;
    return its;
  }

  static std::vector<std::string> firsts(const Pieces& pieces) {
    std::vector<std::string> tokens;
    for (const auto& [piece, score] : pieces) tokens.push_back(piece);
    return tokens;
  }

  VocabularyData vocabulary, replacements{{}};
  std::vector<double> scores;
  std::vector<std::uint32_t> trie, charsmap_trie;
};

/// BERT's configuration for tokens that begin with [PAD] [UNK] [CLS] [SEP] [MASK].
inline bertha::TokenizerConfig bert_config(std::size_t vocab_size) {
  using Kind = bertha::TemplatePiece::Kind;
  bertha::TokenizerConfig config;
  config.vocab_size = vocab_size;
  config.unk_token_id = 1;
  config.cls_token_id = 2;
  config.sep_token_id = 3;
  config.pad_token_id = 0;
  const char* const special[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  for (std::uint32_t id = 0; id < 5; ++id) {
    bertha::AddedToken token;
    token.id = id;
    token.content = special[id];
    config.added_tokens.push_back(token);
  }
  config.single = {{Kind::special, 2, 0}, {Kind::sequence_a, 0, 0}, {Kind::special, 3, 0}};
  config.pair = config.single;
  config.pair.push_back({Kind::sequence_b, 0, 1});
  config.pair.push_back({Kind::special, 3, 1});
  return config;
}

/// RoBERTa's configuration for tokens that begin with <s> <pad> </s> <unk> and end with <mask>, of byte-level BPE.
inline bertha::TokenizerConfig roberta_config(std::uint32_t vocab_size) {
  using Kind = bertha::TemplatePiece::Kind;
  bertha::TokenizerConfig config;
  config.model = bertha::ByteBpeOptions{};
  config.vocab_size = vocab_size;
  config.unk_token_id = 3;
  config.cls_token_id = 0;
  config.sep_token_id = 2;
  config.pad_token_id = 1;
  const char* const special[] = {"<s>", "<pad>", "</s>", "<unk>"};
  for (std::uint32_t id = 0; id < 4; ++id) {
    config.added_tokens.push_back({id, special[id], false, false, false, false, true});
  }
  config.added_tokens.push_back({vocab_size - 1, "<mask>", false, true, false, false, true});
  config.single = {{Kind::special, 0, 0}, {Kind::sequence_a, 0, 0}, {Kind::special, 2, 0}};
  config.pair = config.single;
  config.pair.insert(config.pair.end(), {{Kind::special, 2, 0}, {Kind::sequence_b, 0, 0}, {Kind::special, 2, 0}});
  return config;
}

/// The same for Unigram.
inline bertha::TokenizerConfig xlm_roberta_config(std::uint32_t vocab_size) {
  bertha::TokenizerConfig config = roberta_config(vocab_size);
  config.model = bertha::UnigramOptions{};
  return config;
}

/// <s> <pad> </s> <unk>, the 256 characters of the byte alphabet by byte (so byte b is token 4 + b), `tokens`, <mask>.
inline std::vector<std::string> with_bytes(const std::vector<std::string>& tokens) {
  std::vector<std::string> all = {"<s>", "<pad>", "</s>", "<unk>"};
  for (const std::uint16_t character : bertha::byte_alphabet::kCharacters) {
    char bytes[4];
    all.emplace_back(bytes, bertha::utf8::encode(character, bytes));
  }
  all.insert(all.end(), tokens.begin(), tokens.end());
  all.push_back("<mask>");
  return all;
}

/// [PAD] [UNK] [CLS] [SEP] [MASK], and then `tokens` from id 5 on.
inline std::vector<std::string> with_special(const std::vector<std::string>& tokens) {
  std::vector<std::string> all = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  all.insert(all.end(), tokens.begin(), tokens.end());
  return all;
}

/// A tokenizer that owns its strings; `merges` are pairs of ids.
inline bertha::Tokenizer make_tokenizer(const std::vector<std::string>& all_tokens, bertha::TokenizerConfig config,
                                        const std::vector<std::uint32_t>& merges = {}) {
  auto data = std::make_shared<const VocabularyData>(all_tokens);
  bertha::TokenizerTensors tensors;
  tensors.text = data->text;
  tensors.offsets = data->offsets;
  tensors.merges = merges;
  return bertha::Tokenizer(std::move(config), tensors, data);
}

/// The same with the special tokens first and BERT's configuration.
inline bertha::Tokenizer make_tokenizer(const std::vector<std::string>& tokens) {
  const auto all = with_special(tokens);
  return make_tokenizer(all, bert_config(all.size()));
}

/// The kind of a normaliser's step by its name in the file.
inline bertha::NormalizerStep::Kind step_kind(std::string_view name) {
  static constexpr std::string_view kNames[] = {"clean_text",
                                                "handle_chinese_chars",
                                                "nfd",
                                                "nfkd",
                                                "nfc",
                                                "nfkc",
                                                "strip_nonspacing_marks",
                                                "strip_marks",
                                                "lowercase",
                                                "strip_left",
                                                "strip_right",
                                                "replace",
                                                "replace_apart",
                                                "replace_spaces",
                                                "collapse_white_space",
                                                "charsmap"};
  std::size_t i = 0;
  while (kNames[i] != name) ++i;
  return static_cast<bertha::NormalizerStep::Kind>(i);
}

/// The steps of a JSON list.
template <class Json>
std::vector<bertha::NormalizerStep> steps_of(const Json& list) {
  std::vector<bertha::NormalizerStep> steps;
  for (const Json& step : list) {
    steps.push_back({step_kind(step.at("step").template get<std::string>()), step.value("pattern", std::string()),
                     step.value("content", std::string()), step.value("num_replacements", std::size_t{0})});
  }
  return steps;
}

/// The lines of a file, without their ends.
inline std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

}  // namespace bertha_test
