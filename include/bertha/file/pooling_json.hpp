// The fields `pooling` and `embedding` of a model file's configuration (tools/format.md, section 3).

#pragma once

#include <bertha/config.hpp>
#include <bertha/error.hpp>
#include <bertha/file/json.hpp>
#include <bertha/file/json_object.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// What `modes` and `layers` say, as read_layer_list has them.
BERTHA_FUNCTION PoolerConfig read_pooler(JsonObject& json, std::string_view prefix, bool norms_need_bias);

/// The list of layers in the field `key`, whose tensors are called `prefix` and their number; `norms_need_bias` of
/// those that are norms.
BERTHA_FUNCTION std::vector<PoolerLayer> read_layer_list(JsonObject& json, std::string_view key,
                                                         std::string_view prefix, bool norms_need_bias);

/// The field `embedding` of an object.
BERTHA_FUNCTION EmbeddingConfig read_embedding(Json value, const std::string& where);

#if defined(BERTHA_DEFINES_FUNCTIONS)

inline std::vector<PoolingMode> read_modes(JsonObject& json) {
  std::vector<PoolingMode> modes;
  for (const auto [index, item] : json.list("modes").items()) {
    const std::size_t before = modes.size();
    for (std::uint8_t mode = 0; mode <= static_cast<std::uint8_t>(PoolingMode::weighted_mean); ++mode)
      if (item.is_string() && item.string() == to_string(PoolingMode{mode})) modes.push_back(PoolingMode{mode});
    if (modes.size() == before)
      json.refuse_unknown("modes", "lists of first, mean, max, last, mean_sqrt_len, weighted_mean");
    if (modes.size() > 16) json.refuse("modes", "a list of at most 16 modes");
  }
  if (modes.empty()) json.refuse("modes", "a list of at least one mode");
  return modes;
}

inline PoolerLayer read_pooler_layer(JsonObject& json, std::string name) {
  PoolerLayer layer;
  layer.name = std::move(name);
  if (json.choice<bool>("kind", {{"dense", false}, {"norm", true}})) {
    layer.norm_eps = static_cast<float>(json.number("eps"));
    if (!(*layer.norm_eps > 0 && *layer.norm_eps <= 1)) json.refuse("eps", "a number above 0 and at most 1");
  } else {
    layer.outputs = json.integer("outputs", 1, kMaxSize);
    layer.activation = json.choice<Activation>("activation", {{"none", Activation::none},
                                                              {"tanh", Activation::tanh},
                                                              {"gelu", Activation::gelu},
                                                              {"gelu_tanh", Activation::gelu_tanh},
                                                              {"relu", Activation::relu},
                                                              {"silu", Activation::silu}});
    layer.needs_bias = json.boolean("bias");
  }
  json.finish();
  return layer;
}

BERTHA_FUNCTION std::vector<PoolerLayer> read_layer_list(JsonObject& json, std::string_view key,
                                                         std::string_view prefix, bool norms_need_bias) {
  std::vector<PoolerLayer> layers;
  const Json list = json.list(key);
  if (list.size() > 16) json.refuse(key, "a list of at most 16 layers");
  for (const auto [index, item] : list.items()) {
    const std::size_t number = layers.size();
    JsonObject layer(item, concat({json.where(), ".", key, "[", number, "]"}));
    layers.push_back(read_pooler_layer(layer, concat({prefix, number})));
    if (layers.back().norm_eps) layers.back().needs_bias = norms_need_bias;
  }
  return layers;
}

BERTHA_FUNCTION PoolerConfig read_pooler(JsonObject& json, std::string_view prefix, bool norms_need_bias) {
  std::vector<PoolingMode> modes = read_modes(json);
  return {std::move(modes), read_layer_list(json, "layers", prefix, norms_need_bias)};
}

BERTHA_FUNCTION EmbeddingConfig read_embedding(Json value, const std::string& where) {
  JsonObject json(value, where + ".embedding");
  EmbeddingConfig embedding;
  embedding.pooler = read_pooler(json, "head.", true);
  embedding.include_prompt = json.boolean("include_prompt");
  embedding.normalize = json.boolean("normalize");
  embedding.similarity = json.choice<Similarity>("similarity", {{"cosine", Similarity::cosine},
                                                                {"dot", Similarity::dot},
                                                                {"euclidean", Similarity::euclidean},
                                                                {"manhattan", Similarity::manhattan}});
  const Json prompts = json.get("prompts");
  if (!prompts.is_object()) json.refuse("prompts", "an object of strings");
  const bool has_default = !json.get("default_prompt").is_null();
  if (has_default) embedding.default_prompt = json.string("default_prompt");
  bool found = !has_default;
  for (const auto [name, text] : prompts.items()) {
    if (!text.is_string()) json.refuse("prompts", "an object of strings");
    embedding.prompts.emplace_back(name, text.string());
    found = found || name == *embedding.default_prompt;
  }
  if (!found) json.refuse("default_prompt", "the name of one of the prompts, or null");
  json.finish();
  return embedding;
}

#endif

}  // namespace detail

BERTHA_NAMESPACE_END
