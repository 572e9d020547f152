// The parts `source` and `config` of a model file's metadata, read into the plain structs of config.hpp and checked:
// types, ranges, and that fields agree with each other. tools/format.md, sections 2 and 3, specifies the fields.
// `where` names file and part.

#pragma once

#include <algorithm>
#include <bertha/config.hpp>
#include <bertha/error.hpp>
#include <bertha/file/json.hpp>
#include <bertha/file/json_object.hpp>
#include <bertha/file/layers_json.hpp>
#include <bertha/file/pooling_json.hpp>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

inline std::vector<std::string> read_strings(JsonObject& json, std::string_view key) {
  const Json list = json.list(key);
  for (const auto [index, item] : list.items()) {
    if (!item.is_string()) json.refuse(key, "a list of strings");
  }
  std::vector<std::string> strings;
  strings.reserve(list.size());  // now that each is known to be one: a string is larger than what a list may be made of
  for (const auto [index, item] : list.items()) strings.emplace_back(item.string());
  return strings;
}

/// The `source` part: its own text, once it is known to be what section 2 asks for.
inline std::string read_source(std::string text, const std::string& where) {
  const JsonDocument document = parse_json(text, where);
  JsonObject json(document.root(), where);
  json.string("name");
  json.string("converter");
  if (!json.get("transformers").is_null()) json.string("transformers");
  const Json hashes = json.get("sha256");
  if (!hashes.is_object()) json.refuse("sha256", "an object of strings");
  for (const auto [file, hash] : hashes.items()) {
    if (!hash.is_string()) json.refuse("sha256", "an object of strings");
  }
  json.finish();
  return text;
}

/// `pooler`, a layer on the first token, or in its place `pooling`, what becomes of all of them.
inline void read_pooling(JsonObject& json, ModelConfig& config) {
  if (!json.get("pooler").is_null()) {
    const auto activation = json.choice<Activation>(
        "pooler", {{"tanh", Activation::tanh}, {"relu", Activation::relu}, {"gelu", Activation::gelu}});
    config.pooler = {{PoolingMode::first}, {{"pooler.dense", {}, config.hidden_size, activation, true}}};
  }
  if (!json.has("pooling")) return;
  if (config.pooler) json.refuse("pooler", "null beside 'pooling'");
  JsonObject pooling(json.get("pooling"), json.where() + ".pooling");
  config.pooler = read_pooler(pooling, "pooler.", config.needs_bias);
  if (pooling.has("token_layers"))
    config.pooler->token_layers = read_layer_list(pooling, "token_layers", "pooler.token.", config.needs_bias);
  if (config.pooler->token_layers.size() > 1) pooling.refuse("token_layers", "a list of one layer");
  pooling.finish();
}

/// The activation of a feed-forward network, or of a head's layer that has the same choice.
inline Activation read_activation(JsonObject& json, std::string_view key) {
  return json.choice<Activation>(key, {{"gelu", Activation::gelu},
                                       {"gelu_tanh", Activation::gelu_tanh},
                                       {"relu", Activation::relu},
                                       {"silu", Activation::silu}});
}

/// The fields that only a file with weights has.
inline void read_encoder_config(JsonObject& json, ModelConfig& config) {
  config.precision = json.choice<PrecisionKind>(
      "precision",
      {{"float32", PrecisionKind::float32}, {"bfloat16", PrecisionKind::bfloat16}, {"int8", PrecisionKind::int8}});
  if (config.precision == PrecisionKind::float32) config.float32_split = json.boolean("float32_split");
  config.vocab_size = json.integer("vocab_size", 1, kMaxSize);
  config.hidden_size = json.integer("hidden_size", 1, kMaxSize);
  config.embedding_size = json.integer("embedding_size", 1, kMaxSize);
  config.embedding_projection = config.embedding_size != config.hidden_size;
  if (json.has("embedding_projection") && !(config.embedding_projection = json.boolean("embedding_projection")))
    json.refuse("embedding_projection", "true where it is given");
  config.num_hidden_layers = json.integer("num_hidden_layers", 1, kMaxSize);
  config.layer_weights = read_uses(json, "layer_weights", config.num_hidden_layers);
  config.num_attention_heads = json.integer("num_attention_heads", 1, kMaxSize);
  if (config.hidden_size % config.num_attention_heads != 0) {
    json.refuse("num_attention_heads", concat({"a divisor of hidden_size, ", config.hidden_size}));
  }
  config.intermediate_size = json.integer("intermediate_size", 1, kMaxSize);
  config.max_position_embeddings = json.integer("max_position_embeddings", 1, kMaxSize);
  config.type_vocab_size = json.integer("type_vocab_size", 0, kMaxSize);
  config.hidden_act = read_activation(json, "hidden_act");
  const double eps = json.number("layer_norm_eps");
  config.layer_norm_eps = eps > 0 && eps <= 1 ? static_cast<float>(eps) : 0.0f;
  if (config.layer_norm_eps == 0) json.refuse("layer_norm_eps", "a number above 0 and at most 1");
  config.position_offset = json.integer("position_offset", 0, config.max_position_embeddings - 1);
  if (!json.get("position_padding_id").is_null()) {
    config.position_padding_id = static_cast<std::uint32_t>(json.integer("position_padding_id", 0, kMaxSize));
    if (*config.position_padding_id >= config.vocab_size || config.position_offset == 0) {
      json.refuse("position_padding_id", "a token's id, and a row before position_offset, or null");
    }
  }
  read_layers(json, config);
  read_pooling(json, config);
  config.head = json.choice<HeadKind>("head", {{"none", HeadKind::none},
                                               {"sequence-classification", HeadKind::sequence_classification},
                                               {"token-classification", HeadKind::token_classification},
                                               {"question-answering", HeadKind::question_answering},
                                               {"masked-lm", HeadKind::masked_lm},
                                               {"embedding", HeadKind::embedding},
                                               {"custom", HeadKind::custom}});
  config.labels = read_strings(json, "labels");
  if (!json.get("problem_type").is_null()) {
    config.problem_type = json.choice<ProblemType>(
        "problem_type", {{"regression", ProblemType::regression},
                         {"single_label_classification", ProblemType::single_label_classification},
                         {"multi_label_classification", ProblemType::multi_label_classification}});
  }
}

/// Whether `name` is that of one of so many stored layers, and one of `parts` (tools/format.md, section 5).
inline bool is_part_of_layer(std::size_t stored_layers, std::string_view name,
                             std::initializer_list<std::string_view> parts) {
  constexpr std::string_view kLayer = "encoder.layer.";
  std::size_t index = stored_layers;
  if (name.starts_with(kLayer)) std::from_chars(name.data() + kLayer.size(), name.data() + name.size(), index);
  if (index >= stored_layers) return false;
  return std::any_of(parts.begin(), parts.end(), [&](std::string_view part) {
    return concat({kLayer, index, part}) == name;
  });
}
inline bool has_linear(const ModelConfig& config, std::size_t stored_layers, std::string_view name) {
  if (name == "embeddings.projection") return config.embedding_projection;
  return is_part_of_layer(stored_layers, name,
                          {".attention.query_key_value", ".attention.output", ".intermediate", ".output"});
}
inline bool has_attention(const ModelConfig&, std::size_t stored_layers, std::string_view name) {
  return is_part_of_layer(stored_layers, name, {".attention"});
}

/// A list of names of parts of the encoder, which are those that `has` knows; sorted.
inline std::vector<std::string> read_parts(JsonObject& json, std::string_view key, const ModelConfig& config,
                                           bool (*has)(const ModelConfig&, std::size_t, std::string_view),
                                           std::string_view parts) {
  std::vector<std::string> names = read_strings(json, key);
  const std::size_t stored_layers = config.stored_layers();  // counted once: there may be as many as names
  std::sort(names.begin(), names.end());
  const auto wrong =
      std::find_if_not(names.begin(), names.end(), [&](const auto& name) { return has(config, stored_layers, name); });
  if (wrong != names.end())
    json.refuse(key, concat({"names of the encoder's ", parts, ", which ", shown(*wrong), " is not"}));
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) json.refuse(key, concat({"without naming ", shown(*twice), " twice"}));
  return names;
}

/// What only an int8 file may say.
inline void read_calibration(JsonObject& json, ModelConfig& config) {
  if (json.has("zero_points"))
    config.zero_points = read_parts(json, "zero_points", config, has_linear, "linear layers");
  if (json.has("fine_attention"))
    config.fine_attention = read_parts(json, "fine_attention", config, has_attention, "attention blocks");
}

inline void check_head(JsonObject& json, const ModelConfig& config, bool kind_is_encoder) {
  if (kind_is_encoder && config.head != HeadKind::none) json.refuse("head", "none in a file of kind encoder");
  if (!kind_is_encoder && config.head == HeadKind::none) json.refuse("head", "a head in a file of kind model");
  switch (config.head) {
    case HeadKind::none:
    case HeadKind::masked_lm:
    case HeadKind::embedding:
    case HeadKind::custom:
      if (!config.labels.empty()) json.refuse("labels", "empty where no logit has a label");
      break;
    case HeadKind::question_answering:
      if (config.labels != std::vector<std::string>{"start", "end"}) json.refuse("labels", "[\"start\", \"end\"]");
      break;
    case HeadKind::sequence_classification:
    case HeadKind::token_classification:
      if (config.labels.empty() || config.labels.size() > kMaxSize) json.refuse("labels", "one label for each logit");
      break;
  }
}

inline MaskedLmConfig read_masked_lm(Json value, std::string where, bool may_read_hidden) {
  JsonObject json(value, std::move(where));
  MaskedLmConfig config;
  config.transform = !json.has("transform") || json.boolean("transform");
  if (!config.transform && !may_read_hidden) json.refuse("transform", "true where embedding_size is not hidden_size");
  if (config.transform) config.activation = read_activation(json, "activation");
  config.tied = json.boolean("tied");
  json.finish();
  return config;
}

/// The `config` part.
inline ModelConfig read_config(std::string_view text, const std::string& where) {
  enum class Kind { model, encoder, tokenizer };
  const JsonDocument document = parse_json(text, where);
  JsonObject json(document.root(), where);
  ModelConfig config;
  const Kind kind =
      json.choice<Kind>("kind", {{"model", Kind::model}, {"encoder", Kind::encoder}, {"tokenizer", Kind::tokenizer}});
  config.has_encoder = kind != Kind::tokenizer;
  config.model_max_length = json.number("model_max_length");
  if (!(config.model_max_length >= 1)) json.refuse("model_max_length", "a number of at least 1");
  if (config.has_encoder) {
    read_encoder_config(json, config);
    check_head(json, config, kind == Kind::encoder);
    if (config.head == HeadKind::sequence_classification && config.labels.size() == 1 && json.has("score_function"))
      config.score_function = json.choice<ScoreFunction>(
          "score_function", {{"none", ScoreFunction::none}, {"sigmoid", ScoreFunction::sigmoid}});
    if (json.has("token_layers") &&
        (config.head == HeadKind::token_classification || config.head == HeadKind::question_answering))
      config.token_layers = read_layer_list(json, "token_layers", "head.", config.needs_bias);
    if (config.head == HeadKind::embedding) config.embedding = read_embedding(json.get("embedding"), json.where());
    if (config.head == HeadKind::masked_lm)
      config.masked_lm = read_masked_lm(json.get("masked_lm"), json.where() + ".masked_lm",
                                        config.embedding_size == config.hidden_size);
    if (config.precision == PrecisionKind::int8) read_calibration(json, config);
    // Each token takes a row of the position table, so no sequence may be longer than what is left of it.
    config.max_length = json.integer("max_length", 1, config.positions());
  } else {
    config.max_length = json.integer("max_length", 1, kMaxSize);
  }
  json.finish();
  return config;
}

}  // namespace detail

BERTHA_NAMESPACE_END
