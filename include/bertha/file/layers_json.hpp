// What `config` of a model file says of the encoder's layers (tools/format.md, section 3): their norms, biases,
// windows, angles, relative positions, and which layers share weights.

#pragma once

#include <bertha/config.hpp>
#include <bertha/error.hpp>
#include <bertha/file/json.hpp>
#include <bertha/file/json_object.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

inline std::vector<std::uint32_t> read_ids(JsonObject& json, std::string_view key,
                                           std::string_view what = "a list of token ids or types") {
  const Json list = json.list(key);
  std::vector<std::uint32_t> ids;
  ids.reserve(list.size());
  for (const auto [index, item] : list.items()) {
    if (!item.is_natural() || item.natural() > kMaxSize) json.refuse(key, what);
    ids.push_back(static_cast<std::uint32_t>(item.natural()));
  }
  return ids;
}

/// A number for each layer, if the field is there.
inline std::vector<std::uint32_t> read_of_layers(JsonObject& json, std::string_view key, std::size_t layers) {
  if (!json.has(key)) return {};
  std::vector<std::uint32_t> numbers = read_ids(json, key, "a list of numbers, one for each layer");
  if (numbers.size() != layers) json.refuse(key, concat({"a number for each of num_hidden_layers, ", layers}));
  return numbers;
}

/// For each layer the number of the one of several things that it uses, which are numbered by their first use.
inline std::vector<std::uint32_t> read_uses(JsonObject& json, std::string_view key, std::size_t layers) {
  std::vector<std::uint32_t> uses = read_of_layers(json, key, layers);
  std::uint32_t next = 0;
  for (const std::uint32_t used : uses) {
    if (used > next) json.refuse(key, concat({"numbered by first use: ", next, " comes before ", used}));
    if (used == next) ++next;
  }
  return uses;
}

inline DisentangledConfig read_disentangled(Json value, std::string where) {
  JsonObject json(value, std::move(where));
  const DisentangledConfig config{json.integer("rows", 1, kMaxSize), json.integer("reach", 1, kMaxSize),
                                  json.boolean("relative_keys"), json.boolean("relative_queries")};
  if (!config.relative_keys && !config.relative_queries) json.refuse("relative_queries", "true without relative keys");
  json.finish();
  return config;
}

/// What a family's layers are made of, and what they make of places.
inline void read_layers(JsonObject& json, ModelConfig& config) {
  config.norm_place = json.choice<NormPlace>(
      "norm_place", {{"post", NormPlace::post}, {"pre", NormPlace::pre}, {"around", NormPlace::around}});
  if (json.has("norm_kind")) config.norm_kind = json.choice<NormKind>("norm_kind", {{"rms_norm", NormKind::rms_norm}});
  if (config.norm_place == NormPlace::around && config.norm_kind != NormKind::rms_norm)
    json.refuse("norm_place", "around with norm_kind rms_norm alone");
  if (json.has("query_key_norms") && !(config.query_key_norms = json.boolean("query_key_norms")))
    json.refuse("query_key_norms", "true where it is given");
  config.gating = json.boolean("gating");
  config.needs_bias = json.boolean("bias");
  config.position_scheme =
      json.choice<PositionScheme>("position_scheme", {{"absolute", PositionScheme::absolute},
                                                      {"distance_bias", PositionScheme::distance_bias},
                                                      {"rotary", PositionScheme::rotary},
                                                      {"disentangled", PositionScheme::disentangled}});
  if (config.position_scheme == PositionScheme::disentangled)
    config.disentangled = read_disentangled(json.get("disentangled"), json.where() + ".disentangled");
  if (json.has("score_terms")) config.score_terms = json.integer("score_terms", 2, 16);
  if (json.has("position_table") && (config.position_table = json.boolean("position_table")))
    json.refuse("position_table", "false where it is given");
  if (!config.position_table && config.position_offset > 0)
    json.refuse("position_offset", "0 where there is no position table");
  config.key_window = json.integer("key_window", 0, kMaxSize);
  config.key_windows = read_of_layers(json, "key_windows", config.num_hidden_layers);
  if (!config.key_windows.empty() && config.key_window != 0) json.refuse("key_window", "0 beside 'key_windows'");
  if (config.position_scheme != PositionScheme::rotary) return;
  config.rotary_tables = read_uses(json, "rotary_tables", config.num_hidden_layers);
  if (config.head_size() % 2 != 0)
    json.refuse("position_scheme",
                concat({"none of pairs where an attention head has ", config.head_size(), " numbers"}));
}

}  // namespace detail

BERTHA_NAMESPACE_END
