// tools/format.md and the reader say the same: the page's tables are read, each key that they name must be in a file
// and is missed when it isn't, each word that they allow is taken, and the files that other tests use have no key
// beyond them.

#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"
#include "../../support/format_page.hpp"
#include "../../support/model_writer.hpp"

#include <algorithm>
#include <bertha/file/model_file.hpp>
#include <map>
#include <string>
#include <vector>

namespace {

using bertha::ErrorCode;
using bertha::WeightFile;
using bertha_test::AlignedBytes;
using bertha_test::expect_error;
using bertha_test::Json;
using bertha_test::ModelWriter;
using bertha_test::Rows;
using bertha_test::section;
using bertha_test::table;

/// The words between backticks.
std::vector<std::string> quoted(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t at = 0; (at = text.find('`', at)) != text.npos;) {
    const std::size_t end = text.find('`', at + 1);
    words.push_back(text.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  return words;
}

std::vector<std::string> keys(const Json& object) {
  std::vector<std::string> names;
  for (const auto& [key, value] : object.items()) names.push_back(key);
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> first_cells(const Rows& rows) {
  std::vector<std::string> names;
  for (const auto& row : rows) names.push_back(row.at(0));
  std::sort(names.begin(), names.end());
  return names;
}

void load(const ModelWriter& model) {
  const AlignedBytes bytes(model.bytes());
  WeightFile::from_bytes(bytes.span(), "tiny");
}

/// A value that is of no type that the page's type column allows.
Json wrong_value(const std::string& type) {
  if (type == "boolean" || type == "integer" || type == "number") return "text";
  return 3.5;
}

/// Drops each key, and gives each a value of the wrong type.
void expect_required(const Rows& rows, Json ModelWriter::*part, const ModelWriter& good = ModelWriter::tiny()) {
  ASSERT_FALSE(rows.empty());
  EXPECT_NO_THROW(load(good));
  for (const auto& row : rows) {
    ModelWriter model = good;
    (model.*part)[row[0]] = wrong_value(row[1]);
    expect_error(
        ErrorCode::format, {"'" + row[0] + "'"}, [&] { load(model); }, row[0] + " of the wrong type");
    (model.*part).erase(row[0]);
    expect_error(
        ErrorCode::format, {"'" + row[0] + "'", "missing"}, [&] { load(model); }, row[0] + " dropped");
  }
}

TEST(FormatPage, NamesTheFormatThatThisReleaseReads) {
  EXPECT_NE(section(2).find("| format | `" + std::to_string(BERTHA_FORMAT_VERSION) + "`"), std::string::npos);
}

TEST(FormatPage, NamesTheKeysOfTheMetadata) {
  const Rows rows = table(2);
  const ModelWriter model = ModelWriter::tiny();
  EXPECT_EQ(first_cells(rows), keys(model.header()["__metadata__"]));
  for (const auto& row : rows) {
    Json header = model.header();
    header["__metadata__"].erase(row[0]);
    const AlignedBytes bytes(ModelWriter::pack(header.dump(), model.data()));
    expect_error(
        ErrorCode::format, {"'" + row[0] + "'"}, [&] { WeightFile::from_bytes(bytes.span()); }, row[0]);
  }
}

TEST(FormatPage, NamesTheKeysOfTheSource) {
  for (const auto& row : table(2)) {
    if (row[0] != "source") continue;
    std::vector<std::string> named = quoted(row[1]);
    std::sort(named.begin(), named.end());
    EXPECT_EQ(named, keys(ModelWriter::tiny().source));
    for (const std::string& key : named) {
      ModelWriter model = ModelWriter::tiny();
      model.source.erase(key);
      expect_error(
          ErrorCode::format, {"source", "'" + key + "'", "missing"}, [&] { load(model); }, key);
    }
    return;
  }
  FAIL() << "section 2 has no row for source";
}

TEST(FormatPage, NamesTheFieldsOfTheConfiguration) {
  EXPECT_EQ(first_cells(table(3)), keys(ModelWriter::tiny().config));
  expect_required(table(3), &ModelWriter::config);
}

TEST(FormatPage, NamesTheFieldsOfFormat2) {
  const ModelWriter more = ModelWriter::tiny({.precision = "int8",
                                              .calibrated = true,
                                              .embedding_projection = true,
                                              .num_hidden_layers = 2,
                                              .layer_weights = {0, 0},
                                              .modern = true});
  EXPECT_NO_THROW(load(more));
  const std::vector<std::string> named = quoted(section(3));
  const std::vector<std::string> old = first_cells(table(3));
  for (const std::string& key : keys(more.config)) {
    if (std::find(old.begin(), old.end(), key) != old.end()) continue;
    EXPECT_NE(std::find(named.begin(), named.end(), key), named.end()) << key;
    ModelWriter model = more;
    model.config[key] = 3.5;
    expect_error(
        ErrorCode::format, {"'" + key + "'"}, [&] { load(model); }, key + " of the wrong type");
  }
}

TEST(FormatPage, NamesTheFieldsOfPoolingAndEmbeddings) {
  const std::vector<std::string> named = quoted(section(3));
  const auto expect_named = [&](const std::string& word) {
    EXPECT_NE(std::find(named.begin(), named.end(), word), named.end()) << word;
  };
  ModelWriter model = ModelWriter::tiny({.head = "embedding", .pooler = ""});
  EXPECT_NO_THROW(load(model));
  for (const char* field : {"embedding", "pooling", "score_function", "sigmoid"}) expect_named(field);
  for (const auto& [key, value] : model.config["embedding"].items()) expect_named(key);
  const auto expect_words = [&](const char* key, std::initializer_list<const char*> words) {
    for (const char* word : words) {
      expect_named(word);
      model.config["embedding"][key] = std::string_view(key) == "modes" ? Json::array({word}) : Json(word);
      EXPECT_NO_THROW(load(model)) << word;
    }
  };
  expect_words("modes", {"first", "mean", "max", "last", "mean_sqrt_len", "weighted_mean"});
  expect_words("similarity", {"cosine", "dot", "euclidean", "manhattan"});
  for (const char* activation : {"none", "tanh", "gelu", "gelu_tanh", "relu", "silu"}) {
    expect_named(activation);
    model.config["embedding"]["layers"][0]["activation"] = activation;
    EXPECT_NO_THROW(load(model)) << activation;
  }
  for (const auto& [key, value] : model.config["embedding"]["layers"][0].items()) expect_named(key);
  for (const char* word : {"dense", "norm", "eps"}) expect_named(word);
  for (const char* function : {"sigmoid", "none"}) {
    ModelWriter scorer = ModelWriter::tiny({.labels = {"relevant"}});
    scorer.config["score_function"] = function;
    EXPECT_NO_THROW(load(scorer)) << function;
  }
  ModelWriter two = ModelWriter::tiny();
  two.config["score_function"] = "none";
  expect_error(ErrorCode::format, {"score_function", "unknown"}, [&] { load(two); });
}

TEST(FormatPage, NamesTheFieldsOfMaskedLm) {
  const std::vector<std::string> of_config = quoted(section(3)), of_tokenizer = quoted(section(4));
  ModelWriter model = ModelWriter::tiny({.head = "masked-lm"});
  model.tokenizer["clean_up_tokenization_spaces"] = true;
  EXPECT_NO_THROW(load(model));
  EXPECT_NE(std::find(of_config.begin(), of_config.end(), "masked_lm"), of_config.end());
  for (const auto& [key, value] : model.config["masked_lm"].items()) {
    EXPECT_NE(std::find(of_config.begin(), of_config.end(), key), of_config.end()) << key;
    ModelWriter without = model;
    without.config["masked_lm"].erase(key);
    expect_error(ErrorCode::format, {"masked_lm", "'" + key + "'", "missing"}, [&] { load(without); });
  }
  for (const char* key : {"mask_token_id", "clean_up_tokenization_spaces"}) {
    EXPECT_NE(std::find(of_tokenizer.begin(), of_tokenizer.end(), key), of_tokenizer.end()) << key;
    ModelWriter other = ModelWriter::tiny();
    other.tokenizer[key] = model.tokenizer[key];
    expect_error(ErrorCode::format, {key, "unknown"}, [&] { load(other); });
  }
  for (const char* activation : {"gelu", "gelu_tanh", "relu", "silu"}) {
    model.config["masked_lm"]["activation"] = activation;
    EXPECT_NO_THROW(load(model)) << activation;
  }
  model.config["masked_lm"]["activation"] = "tanh";
  expect_error(ErrorCode::unsupported, {"masked_lm", "'activation'"}, [&] { load(model); });
  ModelWriter no_token = ModelWriter::tiny({.head = "masked-lm"});
  no_token.tokenizer["mask_token_id"] = 99;
  expect_error(ErrorCode::vocabulary, {"'mask_token_id' is 99", "no token's id"}, [&] { load(no_token); });
  no_token.tokenizer.erase("mask_token_id");
  expect_error(ErrorCode::format, {"'mask_token_id'", "missing"}, [&] { load(no_token); });
  no_token.config.erase("masked_lm");
  expect_error(ErrorCode::format, {"'masked_lm'", "missing"}, [&] { load(no_token); });
}

TEST(FormatPage, NamesTheFieldsOfEachKindOfTokenizer) {
  for (const std::string kind : {"wordpiece", "byte_bpe", "unigram", "character_bpe"}) {
    Rows rows;
    for (const auto& row : table(4)) {
      if (row.at(2) == "all" || (", " + row[2] + ",").find(" " + kind + ",") != std::string::npos) rows.push_back(row);
    }
    ModelWriter model = ModelWriter::tiny();
    if (kind == "byte_bpe") model.make_byte_bpe({{5, 6}});
    if (kind == "character_bpe") model.make_character_bpe({{5, 6}});
    if (kind == "unigram") model.make_unigram(bertha_test::TinyOptions().vocabulary);
    model.tokenizer.erase("normalizer");
    EXPECT_EQ(model.tokenizer["kind"], kind);
    EXPECT_EQ(first_cells(rows), keys(model.tokenizer));
    expect_required(rows, &ModelWriter::tokenizer, model);
  }
}

TEST(FormatPage, NamesTheFieldsOfAddedTokens) {
  for (const auto& row : table(4)) {
    if (row[0] != "added_tokens") continue;
    std::vector<std::string> named = quoted(row[3]);
    std::sort(named.begin(), named.end());
    EXPECT_EQ(named, keys(ModelWriter::tiny().tokenizer["added_tokens"][0]));
    for (const std::string& key : named) {
      ModelWriter model = ModelWriter::tiny();
      model.tokenizer["added_tokens"][1].erase(key);
      expect_error(
          ErrorCode::format, {"added_tokens[1]", "'" + key + "'", "missing"}, [&] { load(model); }, key);
    }
    return;
  }
  FAIL() << "section 4 has no row for added_tokens";
}

TEST(FormatPage, NamesTheWordsThatFieldsMayHave) {
  std::map<std::string, std::vector<std::string>> words;
  for (const auto& row : table(3)) words[row[0]] = quoted(row[2]);
  for (const char* field : {"precision", "hidden_act", "norm_place", "position_scheme", "pooler", "problem_type"}) {
    ASSERT_FALSE(words[field].empty()) << field;
    for (const std::string& word : words[field]) {
      ModelWriter model = ModelWriter::tiny();
      model.config[field] = word;
      if (model.config["precision"] != "float32") model.config.erase("float32_split");
      if (word == "around") model.config["norm_kind"] = "rms_norm";
      if (word == "disentangled")
        model.config[word] = {{"rows", 3}, {"reach", 1}, {"relative_keys", true}, {"relative_queries", false}};
      EXPECT_NO_THROW(load(model)) << field << " " << word;
    }
  }
  ASSERT_EQ(words["head"].size(), 7u);
  for (const std::string& word : words["head"]) {
    ModelWriter model =
        ModelWriter::tiny({.kind = word == "none" ? "encoder" : "model", .head = word, .labels = {"start", "end"}});
    EXPECT_EQ(model.config["head"], word);
    EXPECT_NO_THROW(load(model)) << word;
  }
}

TEST(FormatPage, NamesTheFieldsOfTheSelfTest) {
  Json one = {{"text", "a"},
              {"text_pair", nullptr},
              {"ids", {2, 5, 3}},
              {"type_ids", {0, 0, 0}},
              {"offsets", {{0, 0}, {0, 1}, {0, 0}}},
              {"logits", nullptr},
              {"logits_bytes", nullptr},
              {"answer", nullptr}};
  const std::vector<std::string> named = quoted(section(6));
  for (const char* key : {"positions", "columns"}) {
    EXPECT_NE(std::find(named.begin(), named.end(), key), named.end()) << key;
  }
  for (const auto& [key, value] : one.items()) {
    EXPECT_NE(std::find(named.begin(), named.end(), key), named.end()) << key;
  }
  ModelWriter model = ModelWriter::tiny();
  model.selftest.push_back(one);
  EXPECT_NO_THROW(load(model));
}

}  // namespace
