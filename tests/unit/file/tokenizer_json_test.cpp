// The part `tokenizer` of the metadata, field by field: what is read, and that each wrong value is refused under its
// name.

#include <gtest/gtest.h>

#include "../../support/expect_error.hpp"
#include "../../support/model_writer.hpp"

#include <bertha/file/tokenizer_json.hpp>
#include <string>
#include <string_view>
#include <variant>

namespace {

using bertha::ByteBpeOptions;
using bertha::ErrorCode;
using bertha::ModelConfig;
using bertha::TemplatePiece;
using bertha::TokenizerConfig;
using bertha::WordPieceOptions;
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

/// The tokenizer of `tiny`, its WordPiece fields replaced.
Json byte_bpe() {
  Json json = tiny().tokenizer;
  for (const char* key : {"clean_text", "handle_chinese_chars", "strip_accents", "lowercase",
                          "continuing_subword_prefix", "max_input_chars_per_word", "decoder_cleanup"}) {
    json.erase(key);
  }
  json.update({{"kind", "byte_bpe"}, {"add_prefix_space", true}, {"trim_offsets", false}, {"num_merges", 9}});
  return json;
}

void expect_tokenizer(ErrorCode code, const Json& change, std::initializer_list<std::string_view> words) {
  Json tokenizer = tiny().tokenizer;
  tokenizer.update(change);
  expect_error(
      code, {"f: tokenizer"}, [&] { read_tokenizer(tokenizer, read_config(tiny().config)); }, change.dump());
  expect_error(
      code, words, [&] { read_tokenizer(tokenizer, read_config(tiny().config)); }, change.dump());
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
  EXPECT_EQ(bertha::kind(tokenizer), "wordpiece");
  const auto& options = std::get<WordPieceOptions>(tokenizer.model);
  EXPECT_EQ(tokenizer.vocab_size, 17u);
  EXPECT_FALSE(options.clean_text);
  EXPECT_TRUE(options.handle_chinese_chars);
  EXPECT_FALSE(options.strip_accents);
  EXPECT_TRUE(options.lowercase);
  EXPECT_EQ(options.continuing_subword_prefix, "");
  EXPECT_EQ(options.max_input_chars_per_word, 7u);
  EXPECT_EQ(tokenizer.unk_token_id, 11u);
  EXPECT_EQ(tokenizer.cls_token_id, 2u);
  EXPECT_EQ(tokenizer.sep_token_id, 3u);
  EXPECT_EQ(tokenizer.pad_token_id, 0u);
  EXPECT_TRUE(options.decoder_cleanup);
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

TEST(TokenizerJson, TrimsRangesOfWordPiecesWhereItSaysSo) {
  Json json = tiny().tokenizer;
  EXPECT_FALSE(std::get<WordPieceOptions>(read_tokenizer(json, read_config(tiny().config)).model).trim_offsets);
  json["trim_offsets"] = true;
  EXPECT_TRUE(std::get<WordPieceOptions>(read_tokenizer(json, read_config(tiny().config)).model).trim_offsets);
  for (const Json& bad : {Json(false), Json(1), Json("true"), Json(nullptr)}) {
    json["trim_offsets"] = bad;
    expect_error(ErrorCode::format, {"'trim_offsets'"}, [&] { read_tokenizer(json, read_config(tiny().config)); });
  }
}

TEST(TokenizerJson, ReadsTheFieldsOfByteLevelBpe) {
  const TokenizerConfig tokenizer = read_tokenizer(byte_bpe(), read_config(tiny().config));
  EXPECT_EQ(bertha::kind(tokenizer), "byte_bpe");
  const auto& options = std::get<ByteBpeOptions>(tokenizer.model);
  EXPECT_TRUE(options.add_prefix_space);
  EXPECT_FALSE(options.trim_offsets);
  EXPECT_EQ(options.num_merges, 9u);
  EXPECT_EQ(options.words, bertha::WordPattern::gpt2);
  EXPECT_FALSE(options.ignore_merges);
  EXPECT_EQ(tokenizer.vocab_size, 17u);
  EXPECT_EQ(tokenizer.unk_token_id, 1u);
}

TEST(TokenizerJson, ReadsLlama3sFieldsOfByteLevelBpe) {
  Json json = byte_bpe();
  json.update({{"add_prefix_space", false}, {"words", "llama3"}, {"ignore_merges", true}, {"unk_token_id", nullptr}});
  const TokenizerConfig tokenizer = read_tokenizer(json, read_config(tiny().config));
  EXPECT_EQ(std::get<ByteBpeOptions>(tokenizer.model).words, bertha::WordPattern::llama3);
  EXPECT_TRUE(std::get<ByteBpeOptions>(tokenizer.model).ignore_merges);
  EXPECT_EQ(tokenizer.unk_token_id, bertha::SpecialTokens::kNone);
  expect_tokenizer(ErrorCode::format, {{"unk_token_id", nullptr}}, {"'unk_token_id'", "integer"});
}

TEST(TokenizerJson, ReadsTheFieldsOfBpeOverCharacters) {
  bertha_test::ModelWriter writer = tiny();
  writer.make_character_bpe({{5, 6}, {6, 7}});
  const Json options = {{"whitespace_split", true}, {"prepend_scheme", "first"}, {"split", false},
                        {"byte_fallback", true},    {"drop_unknown", true},      {"fuse_unknown", true},
                        {"ignore_merges", true}};
  Json json = writer.tokenizer;
  for (const char* key : {"clean_text", "handle_chinese_chars", "strip_accents", "lowercase"}) json.erase(key);
  json.update(options);
  json["normalizer"] = {{{"step", "replace_apart"}, {"pattern", "a"}, {"content", "b"}, {"optional_before", true}}};
  const TokenizerConfig tokenizer = read_tokenizer(json, read_config(tiny().config));
  const auto& its = std::get<bertha::BpeOptions>(tokenizer.model);
  EXPECT_EQ(its.prepend_scheme, bertha::PrependScheme::first);
  EXPECT_TRUE(its.whitespace_split && !its.split && its.byte_fallback);
  EXPECT_TRUE(its.drop_unknown && its.fuse_unknown && its.ignore_merges);
  EXPECT_EQ(its.num_merges, 2u);
  EXPECT_EQ(tokenizer.normalizer.at(0).kind, bertha::NormalizerStep::Kind::replace_apart);
  EXPECT_TRUE(tokenizer.normalizer.at(0).optional_before);
  for (const auto& [key, value] : options.items()) {
    Json lacking = json;
    lacking.erase(key);
    expect_error(ErrorCode::format, {"'" + key + "'", "missing"},
                 [&] { read_tokenizer(lacking, read_config(tiny().config)); });
  }
}

TEST(TokenizerJson, ReadsTheStepsOfANormaliserInPlaceOfBertsOptions) {
  const Json steps = {{{"step", "nfkc"}}, {{"step", "replace"}, {"pattern", "a"}, {"content", ""}}};
  Json json = tiny().tokenizer;
  for (const char* key : {"clean_text", "handle_chinese_chars", "strip_accents", "lowercase"}) json.erase(key);
  json["normalizer"] = steps;
  Json bytes = byte_bpe();
  bytes["normalizer"] = steps;
  for (const Json& of_kind : {json, bytes}) {
    const auto normalizer = read_tokenizer(of_kind, read_config(tiny().config)).normalizer;
    ASSERT_EQ(normalizer.size(), 2u);
    EXPECT_EQ(normalizer[0].kind, bertha::NormalizerStep::Kind::nfkc);
    EXPECT_EQ(normalizer[1].kind, bertha::NormalizerStep::Kind::replace);
    EXPECT_EQ(normalizer[1].pattern, "a");
    EXPECT_EQ(normalizer[1].content, "");
  }
  EXPECT_TRUE(read_tokenizer(tiny().tokenizer, read_config(tiny().config)).normalizer.empty());
  const auto refuse = [&](ErrorCode code, const Json& normalizer, std::initializer_list<std::string_view> words) {
    Json changed = json;
    changed["normalizer"] = normalizer;
    expect_error(
        code, words, [&] { read_tokenizer(changed, read_config(tiny().config)); }, normalizer.dump());
  };
  refuse(ErrorCode::format, Json::array(), {"'normalizer'", "at least one step"});
  refuse(ErrorCode::format, "nfc", {"'normalizer'"});
  refuse(ErrorCode::unsupported, {{{"step", "nmt"}}}, {"normalizer[0]", "'step'", "nmt"});
  refuse(ErrorCode::format, {{{"step", "replace"}, {"pattern", "a"}}}, {"normalizer[0]", "'content'", "missing"});
  refuse(ErrorCode::format, {{{"step", "replace"}, {"pattern", ""}, {"content", ""}}}, {"'pattern'"});
  refuse(ErrorCode::format, {{{"step", "nfc"}, {"pattern", "a"}}}, {"normalizer[0]", "pattern"});
  refuse(ErrorCode::format, {{{"step", "replace_apart"}, {"pattern", "a"}, {"content", ""}}}, {"'optional_before'"});
  json["lowercase"] = true;  // of two normalisers, which?
  expect_error(ErrorCode::format, {"lowercase"}, [&] { read_tokenizer(json, read_config(tiny().config)); });
}

TEST(TokenizerJson, RefusesFieldsOfTheOtherKindAndWrongValuesOfByteLevelBpe) {
  const ModelConfig config = read_config(tiny().config);
  const auto refuse = [&](const Json& change, std::initializer_list<std::string_view> words) {
    Json json = byte_bpe();
    json.update(change);
    expect_error(
        ErrorCode::format, words, [&] { read_tokenizer(json, config); }, change.dump());
  };
  refuse({{"lowercase", true}}, {"\"lowercase\"", "unknown"});
  expect_tokenizer(ErrorCode::format, {{"add_prefix_space", true}}, {"\"add_prefix_space\"", "unknown"});
  refuse({{"add_prefix_space", nullptr}}, {"'add_prefix_space'", "true or false"});
  refuse({{"trim_offsets", 1}}, {"'trim_offsets'", "true or false"});
  refuse({{"words", "llama3"}}, {"'add_prefix_space'", "false with Llama 3's words"});
  refuse({{"ignore_merges", false}}, {"'ignore_merges'", "true where it is given"});
  expect_tokenizer(ErrorCode::format, {{"words", "llama3"}}, {"\"words\"", "unknown"});
  for (const Json& value : {Json(0), Json(-1), Json(1.5), Json(nullptr), Json((1 << 24) + 1)}) {
    refuse({{"num_merges", value}}, {"'num_merges'", "integer"});
  }
  Json most = byte_bpe();
  most["num_merges"] = 1 << 24;
  EXPECT_EQ(std::get<bertha::ByteBpeOptions>(read_tokenizer(most, config).model).num_merges, std::size_t{1} << 24);
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
  expect_tokenizer(ErrorCode::unsupported, {{"kind", "bpe"}}, {"'kind'", "\"bpe\"", "\"wordpiece\"", "\"byte_bpe\""});
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

TEST(TokenizerJson, TakesTokensWithoutARowInTheWordTableUnlessEveryTextHasThem) {
  const ModelConfig config = read_config(tiny().config);
  Json json = tiny().tokenizer;
  json.update({{"vocab_size", 18}, {"unk_token_id", 17}});
  EXPECT_EQ(read_tokenizer(json, config).unk_token_id, 17u);
  json["added_tokens"][4]["id"] = 18;  // an added token's id, though not one of the vocabulary
  json["pad_token_id"] = 18;
  EXPECT_EQ(read_tokenizer(json, config).pad_token_id, 18u);
  json["pair"][0]["special"] = 18;
  EXPECT_EQ(read_tokenizer(json, config).pair[0].id, 18u);
  json["single"][0]["special"] = 18;
  expect_error(ErrorCode::vocabulary, {"f: tokenizer", "'single' is 18", "17 rows"},
               [&] { read_tokenizer(json, config); });
  ModelConfig without_weights = config;
  without_weights.has_encoder = false;
  EXPECT_EQ(read_tokenizer(json, without_weights).single[0].id, 18u);
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

}  // namespace
