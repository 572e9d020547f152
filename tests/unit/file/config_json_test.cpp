// The parts `config` and `source` of the metadata, field by field: what is read, and that each wrong value is refused
// under its name.

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
using bertha_test::expect_error;
using bertha_test::Json;
using bertha_test::ModelWriter;

ModelConfig read_config(const Json& json) { return bertha::detail::read_config(json.dump(), "f: config"); }

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

TEST(ConfigJson, ReadsEveryField) {
  Json json = tiny().config;
  json.erase("float32_split");
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
  ASSERT_TRUE(config.pooler);
  EXPECT_EQ(config.pooler->modes, std::vector{bertha::PoolingMode::first});
  ASSERT_EQ(config.pooler->layers.size(), 1u);
  EXPECT_EQ(config.pooler->layers[0].name, "pooler.dense");
  EXPECT_EQ(config.pooler->layers[0].outputs, 36u);
  EXPECT_EQ(config.pooler->layers[0].activation, Activation::relu);
  EXPECT_EQ(config.head, HeadKind::sequence_classification);
  EXPECT_EQ(config.labels, (std::vector<std::string>{"a", "\xc3\xa9", ""}));
  EXPECT_EQ(config.problem_type, ProblemType::multi_label_classification);
}

TEST(ConfigJson, TellsNullFromAValue) {
  Json json = tiny().config;
  json["pooler"] = nullptr;
  EXPECT_FALSE(read_config(json).pooler);
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

TEST(ConfigJson, TakesSizesUpToTheLimitOfTheFormat) {
  constexpr std::size_t kMost = std::size_t{1} << 24;
  Json config = tiny().config;
  for (const char* key : {"vocab_size", "hidden_size", "embedding_size", "num_hidden_layers", "num_attention_heads",
                          "intermediate_size", "max_position_embeddings", "max_length", "type_vocab_size"}) {
    config[key] = kMost;
  }
  const ModelConfig read = read_config(config);
  EXPECT_EQ(read.vocab_size, kMost);
  EXPECT_EQ(read.num_hidden_layers, kMost);
  EXPECT_EQ(read.max_length, kMost);
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

TEST(ConfigJson, ReadsWhatLayersAreMadeOf) {
  Json json = tiny().config;
  json.update({{"num_hidden_layers", 3}, {"num_attention_heads", 6}});
  ModelConfig config = read_config(json);
  EXPECT_EQ(config.norm_place, bertha::NormPlace::post);
  EXPECT_TRUE(config.layer(0).needs_bias && config.position_table && !config.gating);
  EXPECT_EQ(config.sight(2).window, 0u);
  json.update({{"norm_place", "pre"}, {"gating", true}, {"bias", false}, {"key_window", 64}});
  json.update({{"position_scheme", "rotary"}, {"position_table", false}, {"rotary_tables", {0, 1, 0}}});
  config = read_config(json);
  EXPECT_EQ(config.norm_place, bertha::NormPlace::pre);
  EXPECT_FALSE(config.layer(0).needs_bias || config.position_table);
  EXPECT_TRUE(config.gating);
  EXPECT_EQ(config.sight(1).rotary, 1u);
  EXPECT_EQ(config.sight(2).rotary, 0u);
  EXPECT_EQ(config.sight(2).window, 64u);
  json.erase("rotary_tables");
  json.update({{"key_window", 0}, {"key_windows", {0, 64, 3}}});
  config = read_config(json);
  EXPECT_EQ(config.sight(1).rotary, 0u);
  EXPECT_EQ(config.sight(0).window, 0u);
  EXPECT_EQ(config.sight(2).window, 3u);
  EXPECT_TRUE(config.norm_kind == bertha::NormKind::layer_norm && !config.query_key_norms);
  json.update({{"norm_place", "around"}, {"norm_kind", "rms_norm"}, {"query_key_norms", true}});
  config = read_config(json);
  EXPECT_EQ(config.norm_place, bertha::NormPlace::around);
  EXPECT_TRUE(config.norm_kind == bertha::NormKind::rms_norm && config.query_key_norms);
}

TEST(ConfigJson, ReadsALayerOfTokensBeforePoolingAndDecodersWithoutOne) {
  Json json = tiny().config;
  const Json dense = {{"kind", "dense"}, {"outputs", 20}, {"activation", "gelu"}, {"bias", true}};
  json.update({{"pooler", nullptr}, {"pooling", {{"modes", {"mean"}}, {"layers", Json::array()}}}});
  json["pooling"]["token_layers"] = Json::array({dense});
  const ModelConfig config = read_config(json);
  ASSERT_EQ(config.pooler->token_layers.size(), 1u);
  EXPECT_EQ(config.pooler->token_layers[0].name, "pooler.token.0");
  EXPECT_EQ(config.pooled_size(), 20u);
  json["pooling"]["token_layers"].push_back(dense);
  expect_error(ErrorCode::format, {"token_layers", "a list of one layer"}, [&] { read_config(json); });

  json = ModelWriter::tiny({.head = "masked-lm"}).config;
  EXPECT_TRUE(read_config(json).masked_lm->transform);
  json["masked_lm"] = {{"transform", false}, {"tied", true}};
  EXPECT_FALSE(read_config(json).masked_lm->transform);
  json["embedding_size"] = 20;
  expect_error(ErrorCode::format, {"transform"}, [&] { read_config(json); });
}

TEST(ConfigJson, ReadsLayersOfTokensWhereTheHeadReadsTokens) {
  Json json = tiny().config;
  const Json layers =
      Json::parse(R"([{"kind":"dense","outputs":36,"activation":"gelu","bias":false},{"kind":"norm","eps":1e-5}])");
  json.update({{"head", "token-classification"}, {"token_layers", layers}, {"bias", false}});
  const ModelConfig config = read_config(json);
  ASSERT_EQ(config.token_layers.size(), 2u);
  EXPECT_EQ(config.token_layers[0].name, "head.0");
  EXPECT_FALSE(config.token_layers[0].needs_bias || config.token_layers[1].needs_bias);
  json["head"] = "sequence-classification";
  expect_error(ErrorCode::format, {"token_layers"}, [&] { read_config(json); });
}

TEST(ConfigJson, RefusesLayersThatDoNotAgree) {
  const Json rotary = {{"num_hidden_layers", 2}, {"num_attention_heads", 6}, {"position_scheme", "rotary"}};
  const auto with = [&](const Json& more) {
    Json json = rotary;
    json.update(more);
    return json;
  };
  expect_config(ErrorCode::format, with({{"norm_place", "around"}}), {"'norm_place'", "rms_norm"});
  expect_config(ErrorCode::unsupported, with({{"norm_kind", "layer_norm"}}), {"'norm_kind'"});
  expect_config(ErrorCode::format, with({{"query_key_norms", false}}), {"'query_key_norms'"});
  expect_config(ErrorCode::format, with({{"rotary_tables", {0}}}), {"'rotary_tables'", "num_hidden_layers, 2"});
  expect_config(ErrorCode::format, with({{"rotary_tables", {1, 0}}}), {"'rotary_tables'", "0 comes before 1"});
  expect_config(ErrorCode::format, with({{"key_windows", {0, 1, 2}}}), {"'key_windows'", "num_hidden_layers, 2"});
  expect_config(ErrorCode::format, with({{"key_windows", {0, -1}}}), {"'key_windows'"});
  expect_config(ErrorCode::format, with({{"key_windows", {0, 1}}, {"key_window", 1}}), {"'key_window'", "0 beside"});
  expect_config(ErrorCode::format, with({{"position_table", true}}), {"'position_table'", "false"});
  expect_config(ErrorCode::format, with({{"position_table", false}, {"position_offset", 2}}), {"'position_offset'"});
  expect_config(ErrorCode::format, with({{"num_attention_heads", 4}}), {"'position_scheme'", "has 9 numbers"});
  expect_config(ErrorCode::format, {{"rotary_tables", {0}}}, {"rotary_tables"});  // which nothing reads
  expect_config(ErrorCode::format, {{"gating", 0}}, {"'gating'", "true or false"});
  expect_config(ErrorCode::format, {{"bias", "true"}}, {"'bias'", "true or false"});
}

TEST(ConfigJson, SplitsFloat32Only) {
  Json json = tiny().config;
  EXPECT_FALSE(read_config(json).float32_split);
  json["float32_split"] = true;
  EXPECT_TRUE(read_config(json).float32_split);
  expect_config(ErrorCode::format, {{"float32_split", 1}}, {"'float32_split'", "true or false"});
  expect_config(ErrorCode::format, {{"precision", "int8"}}, {"float32_split"});
  json.erase("float32_split");
  expect_error(ErrorCode::format, {"'float32_split' is missing"}, [&] { read_config(json); });
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

TEST(ConfigJson, ReadsWhichInputsHaveAZeroPoint) {
  Json json = tiny().config;
  json.erase("float32_split");
  json.update({{"precision", "int8"}, {"num_hidden_layers", 11}, {"embedding_size", 20}});
  EXPECT_TRUE(read_config(json).zero_points.empty());
  const std::vector<std::string> names = {"embeddings.projection", "encoder.layer.0.attention.query_key_value",
                                          "encoder.layer.0.output", "encoder.layer.10.attention.output",
                                          "encoder.layer.2.intermediate"};
  json["zero_points"] = {names[4], names[1], names[0], names[3], names[2]};
  EXPECT_EQ(read_config(json).zero_points, names);
  for (const Json& wrong :
       {Json({"encoder.layer.11.output"}), Json({"encoder.layer.-1.output"}), Json({"encoder.layer.01.output"}),
        Json({"encoder.layer.output"}), Json({"pooler.dense"}), Json({"encoder.layer.18446744073709551616.output"}),
        Json({"encoder.layer."}), Json({"encoder.layer.1.output.weight"}), Json({""}), Json({7}), Json("all"),
        Json(true), Json({"encoder.layer.1.output", "encoder.layer.1.output"})}) {
    json["zero_points"] = wrong;
    expect_error(
        ErrorCode::format, {"'zero_points'"}, [&] { read_config(json); }, wrong.dump());
  }
  json.update({{"zero_points", {"embeddings.projection"}}, {"embedding_size", json["hidden_size"]}});
  expect_error(ErrorCode::format, {"'zero_points'", "embeddings.projection"}, [&] { read_config(json); });
}

TEST(ConfigJson, ReadsWhoseWeightsEachLayerRunsWith) {
  Json json = tiny().config;
  json["num_hidden_layers"] = 4;
  EXPECT_TRUE(read_config(json).layer_weights.empty());
  EXPECT_EQ(read_config(json).layer(3).weights, "encoder.layer.3");
  for (const std::vector<std::uint32_t>& layers :
       {std::vector<std::uint32_t>{0, 0, 0, 0}, {0, 0, 1, 1}, {0, 1, 0, 1}, {0, 1, 2, 3}}) {
    json["layer_weights"] = layers;
    const ModelConfig config = read_config(json);
    EXPECT_EQ(config.layer_weights, layers);
    for (std::size_t i = 0; i < 4; ++i)
      EXPECT_EQ(config.layer(i).weights, "encoder.layer." + std::to_string(layers[i]));
  }
}

TEST(ConfigJson, RefusesLayersWithoutWeights) {
  for (const Json& wrong :
       {Json({0, 0, 0}), Json({0, 0, 0, 0, 0}), Json::array(), Json({1, 1, 1, 1}), Json({0, 2, 1, 0}),
        Json({0, 1, 1, 3}), Json({0, 0, 0, 4}), Json({0, 0, 0, -1}), Json({0, 0, 0, 1.0}), Json({0, 0, 0, nullptr}),
        Json({0, 0, 0, std::uint64_t{1} << 32}), Json({0, 0, 0, UINT64_MAX}), Json(0), Json("0"), Json(nullptr)})
    expect_config(ErrorCode::format, {{"num_hidden_layers", 4}, {"layer_weights", wrong}}, {"'layer_weights'"});
  expect_config(ErrorCode::format, {{"num_hidden_layers", 3}, {"layer_weights", {0, 2, 1}}}, {"1 comes before 2"});
}

TEST(ConfigJson, TakesZeroPointsOfStoredLayersOnly) {
  Json json = tiny().config;
  json.erase("float32_split");
  json.update({{"precision", "int8"}, {"num_hidden_layers", 3}, {"layer_weights", {0, 1, 0}}});
  json["zero_points"] = {"encoder.layer.1.output"};
  EXPECT_EQ(read_config(json).zero_points.size(), 1u);
  json["zero_points"] = {"encoder.layer.2.output"};
  expect_error(ErrorCode::format, {"'zero_points'", "encoder.layer.2.output"}, [&] { read_config(json); });
}

TEST(ConfigJson, ReadsWhetherEmbeddingsAreProjected) {
  Json json = tiny().config;
  EXPECT_FALSE(read_config(json).embedding_projection);
  json["embedding_size"] = 20;
  EXPECT_TRUE(read_config(json).embedding_projection);
  json.update({{"embedding_size", 36}, {"embedding_projection", true}});
  EXPECT_TRUE(read_config(json).embedding_projection);
  json.erase("float32_split");
  json.update({{"precision", "int8"}, {"zero_points", {"embeddings.projection"}}});
  EXPECT_EQ(read_config(json).zero_points.size(), 1u);
  for (const Json& wrong : {Json(false), Json(1), Json(nullptr)})
    expect_config(ErrorCode::format, {{"embedding_projection", wrong}}, {"'embedding_projection'"});
}

TEST(ConfigJson, ReadsWhichAttentionIsFine) {
  Json json = tiny().config;
  json.erase("float32_split");
  json.update({{"precision", "int8"}, {"num_hidden_layers", 11}});
  EXPECT_TRUE(read_config(json).fine_attention.empty());
  json["fine_attention"] = {"encoder.layer.7.attention", "encoder.layer.10.attention"};
  EXPECT_EQ(read_config(json).fine_attention,
            (std::vector<std::string>{"encoder.layer.10.attention", "encoder.layer.7.attention"}));
  for (const Json& wrong :
       {Json({"encoder.layer.11.attention"}), Json({"encoder.layer.1.attention.output"}), Json({"encoder.layer.1"}),
        Json({1}), Json("all"), Json({"encoder.layer.1.attention", "encoder.layer.1.attention"})}) {
    json["fine_attention"] = wrong;
    expect_error(
        ErrorCode::format, {"'fine_attention'"}, [&] { read_config(json); }, wrong.dump());
  }
}

TEST(ConfigJson, RefusesCalibrationInFilesOfOtherPrecisions) {
  for (const char* key : {"zero_points", "fine_attention"})
    expect_config(ErrorCode::format, {{key, Json::array()}}, {key, "unknown"});
}

Json pooling(const char* modes, const char* layers) {
  return {{"pooler", nullptr}, {"pooling", {{"modes", Json::parse(modes)}, {"layers", Json::parse(layers)}}}};
}

TEST(ConfigJson, ReadsHowHiddenStatesArePooled) {
  Json json = tiny().config;
  json.update(pooling(R"(["mean","weighted_mean"])",
                      R"([{"kind":"dense","outputs":5,"activation":"gelu","bias":false},{"kind":"norm","eps":1e-5}])"));
  const ModelConfig config = read_config(json);
  ASSERT_TRUE(config.pooler);
  EXPECT_EQ(config.pooler->modes, (std::vector{bertha::PoolingMode::mean, bertha::PoolingMode::weighted_mean}));
  ASSERT_EQ(config.pooler->layers.size(), 2u);
  EXPECT_EQ(config.pooler->layers[0].name, "pooler.0");
  EXPECT_EQ(config.pooler->layers[0].outputs, 5u);
  EXPECT_EQ(config.pooler->layers[0].activation, Activation::gelu);
  EXPECT_FALSE(config.pooler->layers[0].needs_bias);
  EXPECT_EQ(config.pooler->layers[1].name, "pooler.1");
  EXPECT_EQ(config.pooler->layers[1].norm_eps, 1e-5f);
  EXPECT_EQ(config.pooled_size(), 5u);

  Json both = pooling(R"(["mean"])", "[]");
  both["pooler"] = "tanh";
  expect_config(ErrorCode::format, both, {"'pooler'", "null", "pooling"});
  expect_config(ErrorCode::format, pooling("[]", "[]"), {"pooling", "'modes'", "at least one"});
  expect_config(ErrorCode::unsupported, pooling(R"(["mean","median"])", "[]"), {"'modes'", "mean_sqrt_len"});
  expect_config(ErrorCode::unsupported, pooling("[3]", "[]"), {"'modes'"});
  Json many = Json::array();
  for (int i = 0; i < 17; ++i) many.push_back("max");
  expect_config(ErrorCode::format, pooling(many.dump().c_str(), "[]"), {"'modes'", "16"});
  for (Json& layer : many) layer = {{"kind", "norm"}, {"eps", 1e-5}};
  expect_config(ErrorCode::format, pooling(R"(["max"])", many.dump().c_str()), {"'layers'", "16"});
  for (const auto& [layer, word] : {
           std::pair{R"({"kind":"norm"})", "'eps'"},
           {R"({"kind":"norm","eps":0})", "'eps'"},
           {R"({"kind":"norm","eps":1e-60})", "'eps'"},
           {R"({"kind":"norm","eps":1,"bias":true})", "bias"},
           {R"({"kind":"dense","outputs":0,"activation":"none","bias":true})", "'outputs'"},
           {R"({"kind":"dense","outputs":16777217,"activation":"none","bias":true})", "'outputs'"},
           {R"({"kind":"dense","outputs":1,"activation":"none"})", "'bias'"},
       })
    expect_config(ErrorCode::format, pooling(R"(["max"])", (std::string("[") + layer + "]").c_str()),
                  {"layers[0]", word});
  expect_config(ErrorCode::unsupported,
                pooling(R"(["max"])", R"([{"kind":"dense","outputs":1,"activation":"sigmoid","bias":true}])"),
                {"layers[0]", "'activation'", "tanh"});
}

TEST(ConfigJson, ReadsWhatMakesAnEmbedding) {
  bertha_test::TinyOptions options;
  options.head = "embedding";
  Json json = ModelWriter::tiny(options).config;
  json["embedding"]["default_prompt"] = "query";
  const ModelConfig config = read_config(json);
  EXPECT_EQ(config.head, HeadKind::embedding);
  ASSERT_TRUE(config.embedding);
  EXPECT_EQ(config.embedding->pooler.layers.at(0).name, "head.0");
  EXPECT_EQ(config.embedding->pooler.size(36), 20u);
  EXPECT_TRUE(config.embedding->include_prompt && config.embedding->normalize);
  EXPECT_EQ(config.embedding->default_prompt, "query");
  EXPECT_EQ(config.embedding->similarity, bertha::Similarity::dot);
  EXPECT_FALSE(config.embedding->pooler.layers.at(0).norm_eps);
  Json with_norm = json;
  with_norm["embedding"]["layers"].push_back({{"kind", "norm"}, {"eps", 1e-5}});
  const auto norm = read_config(with_norm).embedding->pooler.layers.at(1);
  EXPECT_TRUE(norm.norm_eps && norm.needs_bias) << "sentence-transformers' norms have one";
  ASSERT_EQ(config.embedding->prompts.size(), 2u);
  EXPECT_EQ(config.embedding->prompts[0], (std::pair<std::string, std::string>("query", "the cat ")));

  const auto refused = [&](ErrorCode code, const char* key, const Json& value) {
    Json wrong = json;
    if (value.is_discarded())
      wrong["embedding"].erase(key);
    else
      wrong["embedding"][key] = value;
    expect_error(
        code, {"f: config.embedding", "'" + std::string(key) + "'"}, [&] { read_config(wrong); }, key);
  };
  const Json gone = Json(Json::value_t::discarded);
  for (const auto& [key, value] : json["embedding"].items()) refused(ErrorCode::format, key.c_str(), gone);
  for (const char* key : {"modes", "layers", "include_prompt", "normalize", "prompts", "default_prompt", "similarity"})
    refused(ErrorCode::format, key, 3.5);
  refused(ErrorCode::format, "prompts", {{"query", 1}});
  refused(ErrorCode::format, "default_prompt", "passages");
  refused(ErrorCode::unsupported, "similarity", "hamming");
  json.erase("embedding");
  expect_error(ErrorCode::format, {"'embedding'", "missing"}, [&] { read_config(json); });
  json["head"] = "sequence-classification";
  json["labels"] = {"a"};
  json["embedding"] = Json::object();
  expect_error(ErrorCode::format, {"embedding", "unknown"}, [&] { read_config(json); });
}

}  // namespace
