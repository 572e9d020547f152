// The metadata's JSON, field by field: what is read, and that each wrong value is refused under its name.

#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"
#include "../../support/model_writer.hpp"

#include <bertha/file/config_json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace {

using bertha::Activation;
using bertha::ErrorCode;
using bertha::HeadKind;
using bertha::ModelConfig;
using bertha::PrecisionKind;
using bertha::ProblemType;
using bertha::TemplatePiece;
using bertha::TokenizerConfig;
using bertha_test::expect_error;
using bertha_test::Json;
using bertha_test::ModelWriter;

ModelConfig read_config(const Json& json) { return bertha::detail::read_config(json.dump(), "f: config"); }

TokenizerConfig read_tokenizer(const Json& json, const ModelConfig& config) {
  return bertha::detail::read_tokenizer(json.dump(), config, "f: tokenizer");
}

const ModelWriter& tiny() {
  static const ModelWriter model = ModelWriter::tiny();
  return model;
}

void expect_config(ErrorCode code, const Json& change, std::initializer_list<std::string_view> words) {
  Json config = tiny().config;
  config.update(change);
  expect_error(
      code, {"f: config"}, [&] { read_config(config); }, change.dump());
  expect_error(
      code, words, [&] { read_config(config); }, change.dump());
}

void expect_tokenizer(ErrorCode code, const Json& change, std::initializer_list<std::string_view> words) {
  Json tokenizer = tiny().tokenizer;
  tokenizer.update(change);
  expect_error(
      code, {"f: tokenizer"}, [&] { read_tokenizer(tokenizer, read_config(tiny().config)); }, change.dump());
  expect_error(
      code, words, [&] { read_tokenizer(tokenizer, read_config(tiny().config)); }, change.dump());
}

TEST(ConfigJson, ReadsEveryField) {
  Json json = tiny().config;
  json.update({{"precision", "int8"},
               {"num_hidden_layers", 7},
               {"type_vocab_size", 0},
               {"hidden_act", "gelu_tanh"},
               {"layer_norm_eps", 1e-5},
               {"embedding_size", 20},
               {"position_offset", 2},
               {"position_padding_id", 16},
               {"max_length", 22},
               {"model_max_length", 512},
               {"pooler", "relu"},
               {"labels", {"a", "\xc3\xa9", ""}},
               {"problem_type", "multi_label_classification"}});
  const ModelConfig config = read_config(json);
  EXPECT_EQ(config.precision, PrecisionKind::int8);
  EXPECT_TRUE(config.has_encoder);
  EXPECT_EQ(config.vocab_size, 17u);
  EXPECT_EQ(config.hidden_size, 36u);
  EXPECT_EQ(config.num_hidden_layers, 7u);
  EXPECT_EQ(config.num_attention_heads, 3u);
  EXPECT_EQ(config.intermediate_size, 40u);
  EXPECT_EQ(config.max_position_embeddings, 24u);
  EXPECT_EQ(config.type_vocab_size, 0u);
  EXPECT_EQ(config.hidden_act, Activation::gelu_tanh);
  EXPECT_EQ(config.layer_norm_eps, 1e-5f);
  EXPECT_EQ(config.embedding_size, 20u);
  EXPECT_EQ(config.position_offset, 2u);
  EXPECT_EQ(config.position_padding_id, 16u);
  EXPECT_EQ(config.max_length, 22u);
  EXPECT_EQ(config.model_max_length, 512.0);
  EXPECT_TRUE(config.has_pooler);
  EXPECT_EQ(config.pooler_act, Activation::relu);
  EXPECT_EQ(config.head, HeadKind::sequence_classification);
  EXPECT_EQ(config.labels, (std::vector<std::string>{"a", "\xc3\xa9", ""}));
  EXPECT_EQ(config.problem_type, ProblemType::multi_label_classification);
}

TEST(ConfigJson, TellsNullFromAValue) {
  Json json = tiny().config;
  json["pooler"] = nullptr;
  EXPECT_FALSE(read_config(json).has_pooler);
  EXPECT_EQ(read_config(json).problem_type, ProblemType::unset);
  EXPECT_EQ(read_config(json).position_padding_id, std::nullopt);
  expect_config(ErrorCode::format, {{"head", nullptr}}, {"'head'", "string"});
}

TEST(ConfigJson, TakesAnUnsetTokenizerLimitAsHuggingFaceWritesIt) {
  std::string text = tiny().config.dump();
  text.replace(text.find("1e+30"), 5, "1000000000000000019884624838656");
  EXPECT_EQ(bertha::detail::read_config(text, "f").model_max_length, 1e30);
}

TEST(ConfigJson, RefusesSizesThatAreNone) {
  for (const char* key : {"vocab_size", "hidden_size", "embedding_size", "num_hidden_layers", "num_attention_heads",
                          "intermediate_size", "max_position_embeddings", "max_length"}) {
    for (const Json& value : {Json(0), Json(-1), Json(1.0), Json("1"), Json((1 << 24) + 1), Json(1e30), Json(nullptr),
                              Json(true), Json::array(), Json::object(), Json(std::uint64_t{1} << 63)}) {
      expect_config(ErrorCode::format, {{key, value}}, {std::string("'") + key + "'", "integer from 1 to"});
    }
  }
  for (const char* key : {"type_vocab_size", "position_offset", "key_window"}) {
    for (const Json& value : {Json(-1), Json(0.0), Json("0"), Json((1 << 24) + 1), Json(nullptr)}) {
      expect_config(ErrorCode::format, {{key, value}}, {std::string("'") + key + "'", "integer from 0 to"});
    }
  }
}

TEST(ConfigJson, RefusesSizesThatContradictEachOther) {
  expect_config(ErrorCode::format, {{"num_attention_heads", 5}},
                {"'num_attention_heads'", "divisor of hidden_size, 36"});
  expect_config(ErrorCode::format, {{"max_length", 25}}, {"'max_length'", "from 1 to 24"});
  expect_config(ErrorCode::format, {{"position_offset", 2}}, {"'max_length'", "from 1 to 22"});
  expect_config(ErrorCode::format, {{"position_offset", 24}}, {"'position_offset'", "from 0 to 23"});
}

TEST(ConfigJson, RefusesAPaddingTokenWithoutATokenOrARow) {
  const Json offset = {{"position_offset", 1}, {"max_length", 23}};
  for (const Json& id : {Json(17), Json((1 << 24) + 1), Json(-1), Json(1.0), Json("1"), Json(true), Json::array()}) {
    Json change = offset;
    change["position_padding_id"] = id;
    expect_config(ErrorCode::format, change, {"'position_padding_id'"});
  }
  expect_config(ErrorCode::format, {{"position_padding_id", 1}}, {"'position_padding_id'", "before position_offset"});
  Json change = offset;
  change["position_padding_id"] = 16;
  Json config = tiny().config;
  config.update(change);
  EXPECT_EQ(read_config(config).position_padding_id, 16u);
}

TEST(ConfigJson, RefusesNumbersOutOfTheirRange) {
  for (const Json& eps : {Json(0), Json(-1e-12), Json(1.5), Json(1e-60), Json("1e-12"), Json(nullptr)}) {
    expect_config(ErrorCode::format, {{"layer_norm_eps", eps}}, {"'layer_norm_eps'", "number"});
  }
  for (const Json& limit : {Json(0), Json(-1), Json("512"), Json(nullptr)}) {
    expect_config(ErrorCode::format, {{"model_max_length", limit}}, {"'model_max_length'", "number"});
  }
}

TEST(ConfigJson, RefusesWordsThatItDoesNotKnow) {
  for (const char* key :
       {"kind", "precision", "hidden_act", "head", "problem_type", "pooler", "norm_place", "position_scheme"}) {
    expect_config(ErrorCode::unsupported, {{key, "other"}},
                  {std::string("'") + key + "'", "\"other\"", "this release knows"});
    expect_config(ErrorCode::format, {{key, 1}}, {std::string("'") + key + "'", "string"});
  }
}

TEST(ConfigJson, RefusesEncodersThatItDoesNotHave) {
  expect_config(ErrorCode::unsupported, {{"norm_place", "pre"}}, {"'norm_place'", "\"pre\"", "\"post\""});
  expect_config(ErrorCode::unsupported, {{"gating", true}}, {"'gating'", "true", "false"});
  expect_config(ErrorCode::unsupported, {{"bias", false}}, {"'bias'", "false", "true"});
  expect_config(ErrorCode::unsupported, {{"position_scheme", "rotary"}}, {"'position_scheme'", "\"rotary\""});
  expect_config(ErrorCode::unsupported, {{"key_window", 128}}, {"'key_window'", "128"});
  expect_config(ErrorCode::format, {{"gating", 0}}, {"'gating'", "true or false"});
  expect_config(ErrorCode::format, {{"bias", "true"}}, {"'bias'", "true or false"});
}

TEST(ConfigJson, HoldsLabelsAgainstTheHead) {
  expect_config(ErrorCode::format, {{"labels", Json::array()}}, {"'labels'", "one label for each logit"});
  expect_config(ErrorCode::format, {{"labels", {"a", 1}}}, {"'labels'", "list of strings"});
  expect_config(ErrorCode::format, {{"labels", "a"}}, {"'labels'", "list"});
  expect_config(ErrorCode::format, {{"head", "question-answering"}}, {"'labels'", "start", "end"});
  expect_config(ErrorCode::format, {{"head", "question-answering"}, {"labels", {"end", "start"}}}, {"'labels'"});
  expect_config(ErrorCode::format, {{"head", "custom"}}, {"'labels'", "empty"});
  expect_config(ErrorCode::format, {{"head", "none"}, {"labels", Json::array()}}, {"'head'", "kind model"});
  expect_config(ErrorCode::format, {{"kind", "encoder"}}, {"'head'", "kind encoder"});
  for (const auto& [head, labels] : {std::pair{"question-answering", Json{"start", "end"}},
                                     {"custom", Json::array()},
                                     {"token-classification", Json{"O"}},
                                     {"sequence-classification", Json{"one"}}}) {
    Json config = tiny().config;
    config.update({{"head", head}, {"labels", labels}});
    EXPECT_EQ(to_string(read_config(config).head), head);
  }
}

TEST(ConfigJson, ReadsATokenizerFileWithItsTwoFieldsOnly) {
  const Json json = {{"kind", "tokenizer"}, {"max_length", 512}, {"model_max_length", 512}};
  EXPECT_FALSE(read_config(json).has_encoder);
  EXPECT_EQ(read_config(json).max_length, 512u);
  Json more = json;
  more["hidden_size"] = 36;
  expect_error(ErrorCode::format, {"\"hidden_size\"", "unknown"}, [&] { read_config(more); });
}

TEST(TokenizerJson, ReadsEveryField) {
  Json json = tiny().tokenizer;
  json.update({{"clean_text", false},
               {"strip_accents", false},
               {"continuing_subword_prefix", ""},
               {"max_input_chars_per_word", 7},
               {"unk_token_id", 11}});
  json["added_tokens"][4].update({{"lstrip", true}, {"special", false}});
  const TokenizerConfig tokenizer = read_tokenizer(json, read_config(tiny().config));
  EXPECT_EQ(tokenizer.kind, "wordpiece");
  EXPECT_EQ(tokenizer.vocab_size, 17u);
  EXPECT_FALSE(tokenizer.clean_text);
  EXPECT_TRUE(tokenizer.handle_chinese_chars);
  EXPECT_FALSE(tokenizer.strip_accents);
  EXPECT_TRUE(tokenizer.lowercase);
  EXPECT_EQ(tokenizer.continuing_subword_prefix, "");
  EXPECT_EQ(tokenizer.max_input_chars_per_word, 7u);
  EXPECT_EQ(tokenizer.unk_token_id, 11u);
  EXPECT_EQ(tokenizer.cls_token_id, 2u);
  EXPECT_EQ(tokenizer.sep_token_id, 3u);
  EXPECT_EQ(tokenizer.pad_token_id, 0u);
  EXPECT_TRUE(tokenizer.decoder_cleanup);
  ASSERT_EQ(tokenizer.added_tokens.size(), 5u);
  EXPECT_EQ(tokenizer.added_tokens[4].content, "[MASK]");
  EXPECT_EQ(tokenizer.added_tokens[4].id, 4u);
  EXPECT_TRUE(tokenizer.added_tokens[4].lstrip);
  EXPECT_FALSE(tokenizer.added_tokens[4].rstrip);
  EXPECT_FALSE(tokenizer.added_tokens[4].special);
  EXPECT_TRUE(tokenizer.added_tokens[3].special);
  ASSERT_EQ(tokenizer.pair.size(), 5u);
  EXPECT_EQ(tokenizer.single.size(), 3u);
  EXPECT_EQ(tokenizer.pair[0].kind, TemplatePiece::Kind::special);
  EXPECT_EQ(tokenizer.pair[0].id, 2u);
  EXPECT_EQ(tokenizer.pair[1].kind, TemplatePiece::Kind::sequence_a);
  EXPECT_EQ(tokenizer.pair[3].kind, TemplatePiece::Kind::sequence_b);
  EXPECT_EQ(tokenizer.pair[3].type_id, 1u);
}

TEST(TokenizerJson, RefusesValuesOfTheWrongType) {
  for (const char* key : {"clean_text", "handle_chinese_chars", "strip_accents", "lowercase", "decoder_cleanup"}) {
    expect_tokenizer(ErrorCode::format, {{key, nullptr}}, {std::string("'") + key + "'", "true or false"});
    expect_tokenizer(ErrorCode::format, {{key, 1}}, {std::string("'") + key + "'", "true or false"});
  }
  for (const char* key :
       {"vocab_size", "max_input_chars_per_word", "unk_token_id", "cls_token_id", "sep_token_id", "pad_token_id"}) {
    for (const Json& value : {Json(-1), Json(1.5), Json("1"), Json(nullptr), Json(std::uint64_t{1} << 32)}) {
      expect_tokenizer(ErrorCode::format, {{key, value}}, {std::string("'") + key + "'", "integer"});
    }
  }
  expect_tokenizer(ErrorCode::format, {{"vocab_size", 0}}, {"'vocab_size'"});
  expect_tokenizer(ErrorCode::format, {{"max_input_chars_per_word", 0}}, {"'max_input_chars_per_word'"});
  expect_tokenizer(ErrorCode::format, {{"continuing_subword_prefix", nullptr}},
                   {"'continuing_subword_prefix'", "string"});
  expect_tokenizer(ErrorCode::unsupported, {{"kind", "bpe"}}, {"'kind'", "\"bpe\"", "\"wordpiece\""});
  for (const char* key : {"added_tokens", "single", "pair"}) {
    expect_tokenizer(ErrorCode::format, {{key, Json::object()}}, {std::string("'") + key + "'", "list"});
    expect_tokenizer(ErrorCode::format, {{key, {1}}}, {std::string(key) + "[0]", "object"});
  }
}

TEST(TokenizerJson, RefusesAddedTokensThatAreNone) {
  const auto with = [](const Json& change) {
    Json tokens = tiny().tokenizer["added_tokens"];
    tokens[3].update(change);
    return Json{{"added_tokens", tokens}};
  };
  expect_tokenizer(ErrorCode::format, with({{"content", ""}}), {"added_tokens[3]", "'content'"});
  expect_tokenizer(ErrorCode::format, with({{"content", "[PAD]"}}), {"added_tokens[3]", "'content'", "once"});
  expect_tokenizer(ErrorCode::format, with({{"id", 0}}), {"added_tokens[3]", "'id'", "once"});
  expect_tokenizer(ErrorCode::format, with({{"id", -1}}), {"added_tokens[3]", "'id'", "integer"});
  expect_tokenizer(ErrorCode::format, with({{"special", 1}}), {"added_tokens[3]", "'special'", "true or false"});
  expect_tokenizer(ErrorCode::format, with({{"more", 1}}), {"added_tokens[3]", "\"more\"", "unknown"});
}

TEST(TokenizerJson, RefusesTemplatesThatAreNone) {
  const Json a = {{"sequence", "A"}, {"type_id", 0}};
  const Json b = {{"sequence", "B"}, {"type_id", 1}};
  expect_tokenizer(ErrorCode::format, {{"single", Json::array()}}, {"'single'", "A once"});
  expect_tokenizer(ErrorCode::format, {{"single", {a, a}}}, {"'single'", "A once"});
  expect_tokenizer(ErrorCode::format, {{"single", {a, b}}}, {"'single'", "A once"});
  expect_tokenizer(ErrorCode::format, {{"pair", {a}}}, {"'pair'", "A and B once"});
  expect_tokenizer(ErrorCode::format, {{"pair", {a, b, b}}}, {"'pair'", "A and B once"});
  expect_tokenizer(ErrorCode::unsupported, {{"pair", {a, {{"sequence", "C"}, {"type_id", 0}}}}},
                   {"pair[1]", "\"C\"", "A, B"});
  expect_tokenizer(ErrorCode::format, {{"single", {a, {{"type_id", 0}}}}}, {"single[1]", "'special'", "missing"});
  expect_tokenizer(ErrorCode::format, {{"single", {{{"sequence", "A"}}}}}, {"single[0]", "'type_id'", "missing"});
  expect_tokenizer(ErrorCode::format, {{"single", {{{"sequence", "A"}, {"special", 1}, {"type_id", 0}}}}},
                   {"single[0]", "\"special\"", "unknown"});
}

TEST(TokenizerJson, RefusesIdsThatAreNoTokens) {
  for (const char* key : {"unk_token_id", "cls_token_id", "sep_token_id", "pad_token_id"}) {
    expect_tokenizer(ErrorCode::vocabulary, {{key, 17}}, {std::string("'") + key + "'", "17", "no token's id"});
  }
  const Json piece = {{"special", 17}, {"type_id", 0}};
  const Json a = {{"sequence", "A"}, {"type_id", 0}};
  const Json b = {{"sequence", "B"}, {"type_id", 0}};
  expect_tokenizer(ErrorCode::vocabulary, {{"single", {piece, a}}}, {"'single'", "17"});
  expect_tokenizer(ErrorCode::vocabulary, {{"pair", {a, b, piece}}}, {"'pair'", "17"});
}

TEST(TokenizerJson, HoldsIdsAgainstTheWordTable) {
  ModelConfig config = read_config(tiny().config);
  expect_tokenizer(ErrorCode::vocabulary, {{"vocab_size", 18}}, {"'vocab_size' is 18", "17 rows"});
  Json json = tiny().tokenizer;
  json["added_tokens"][4]["id"] = 17;
  expect_error(ErrorCode::vocabulary, {"[MASK]", "17 rows"}, [&] { read_tokenizer(json, config); });
  config.vocab_size = 18;
  json["unk_token_id"] = 17;  // an added token's id, though not one of the vocabulary
  EXPECT_EQ(read_tokenizer(json, config).unk_token_id, 17u);
}

TEST(TokenizerJson, HoldsTheTypesOfASingleTextAgainstTheTypeTable) {
  ModelConfig config = read_config(tiny().config);
  Json json = tiny().tokenizer;
  config.type_vocab_size = 1;  // pairs can't be given to such a model; single texts can
  EXPECT_NO_THROW(read_tokenizer(json, config));
  json["single"][1]["type_id"] = 1;
  expect_error(ErrorCode::vocabulary, {"'single'", "type_id 1"}, [&] { read_tokenizer(json, config); });
  config.type_vocab_size = 0;
  EXPECT_NO_THROW(read_tokenizer(json, config));
}

TEST(SourceJson, IsKeptAndChecked) {
  const auto read = [](const Json& json) { return bertha::detail::read_source(json.dump(), "f: source"); };
  EXPECT_EQ(read(tiny().source), tiny().source.dump());
  for (const auto& [key, value] : {std::pair{"name", Json(1)},
                                   {"converter", Json(nullptr)},
                                   {"transformers", Json(5)},
                                   {"sha256", Json("x")},
                                   {"sha256", Json{{"file", 1}}}}) {
    Json source = tiny().source;
    source[key] = value;
    expect_error(
        ErrorCode::format, {"f: source", key}, [&] { read(source); }, key);
  }
}

}  // namespace
