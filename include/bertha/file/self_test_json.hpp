// The `selftest` part of a model file's metadata (tools/format.md, section 6), read and checked against the
// configuration.

#pragma once

#include <bertha/config.hpp>
#include <bertha/file/config_json.hpp>
#include <bertha/file/json.hpp>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

inline std::vector<std::size_t> read_offsets(JsonObject& json, std::size_t tokens) {
  std::vector<std::size_t> offsets;
  const Json& list = json.list("offsets");
  if (list.size() != tokens) json.refuse("offsets", "a pair for each of " + std::to_string(tokens) + " tokens");
  for (const Json& pair : list) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_number_unsigned() || !pair[1].is_number_unsigned() ||
        pair[0].get<std::size_t>() > pair[1].get<std::size_t>()) {
      json.refuse("offsets", "[start, end] for each token");
    }
    offsets.push_back(pair[0].get<std::size_t>());
    offsets.push_back(pair[1].get<std::size_t>());
  }
  return offsets;
}

/// One row for a sequence, or one for each token; as many columns as there are labels (a custom head: as many as it
/// wants).
inline std::vector<float> read_logits(JsonObject& json, const ModelConfig& config, std::size_t tokens) {
  std::vector<float> logits;
  if (json.get("logits").is_null()) return logits;
  const Json& rows = json.list("logits");
  if (config.head == HeadKind::none) json.refuse("logits", "null without a head");
  const bool custom = config.head == HeadKind::custom;
  const std::size_t row_count = config.head == HeadKind::sequence_classification ? 1 : tokens;
  if (!custom && rows.size() != row_count) json.refuse("logits", "a list of " + std::to_string(row_count) + " rows");
  for (const Json& row : rows) {
    const std::size_t columns = custom ? rows[0].size() : config.labels.size();
    if (!row.is_array() || row.size() != columns)
      json.refuse("logits", "rows of " + std::to_string(columns) + " numbers");
    for (const Json& logit : row) {
      if (!logit.is_number() || !std::isfinite(logit.get<float>())) json.refuse("logits", "rows of float32 numbers");
      logits.push_back(logit.get<float>());
    }
  }
  return logits;
}

inline std::string read_logits_bytes(JsonObject& json, const ModelConfig& config, std::size_t logits) {
  if (json.get("logits_bytes").is_null()) return {};
  std::string bytes = json.require<std::string>("logits_bytes");
  if (config.precision != PrecisionKind::int8) json.refuse("logits_bytes", "null unless the precision is int8");
  if (bytes.size() % 8 != 0 || bytes.find_first_not_of("0123456789abcdef") != std::string::npos ||
      (logits != 0 && bytes.size() != logits * 8)) {
    json.refuse("logits_bytes", "eight lower case hexadecimal digits for each logit");
  }
  return bytes;
}

/// The `selftest` part.
inline std::vector<SelfTestCase> read_self_test(const std::string& text, const ModelConfig& config,
                                                const std::string& where) {
  const Json list = parse_json(text, where);
  if (!list.is_array()) refuse_format(where, "expected a list, got " + shown(list));
  std::vector<SelfTestCase> cases;
  for (const Json& item : list) {
    JsonObject json(item, where + "[" + std::to_string(cases.size()) + "]");
    SelfTestCase one;
    one.text = json.require<std::string>("text");
    if (!json.get("text_pair").is_null()) one.text_pair = json.require<std::string>("text_pair");
    one.ids = read_ids(json, "ids");
    one.type_ids = read_ids(json, "type_ids");
    if (one.type_ids.size() != one.ids.size()) json.refuse("type_ids", "as long as ids");
    one.offsets = read_offsets(json, one.ids.size());
    one.logits = read_logits(json, config, one.ids.size());
    one.logits_bytes = read_logits_bytes(json, config, one.logits.size());
    if (!json.get("answer").is_null()) one.answer = json.require<std::string>("answer");
    json.finish();
    cases.push_back(std::move(one));
  }
  return cases;
}

}  // namespace detail

BERTHA_NAMESPACE_END
