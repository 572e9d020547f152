// The `selftest` part of a model file's metadata (tools/format.md, section 6), read and checked against the
// configuration: whoever runs a case afterwards finds in it what the format says.

#pragma once

#include <algorithm>
#include <bertha/config.hpp>
#include <bertha/file/config_json.hpp>
#include <bertha/file/json.hpp>
#include <bertha/file/json_object.hpp>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

inline std::size_t count_code_points(std::string_view utf8) {
  return static_cast<std::size_t>(std::count_if(
      utf8.begin(), utf8.end(), [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }));
}

/// Two for each token, in code points of a text that has at most `longest`.
inline std::vector<std::size_t> read_offsets(JsonObject& json, std::size_t tokens, std::size_t longest) {
  const Json list = json.list("offsets");
  if (list.size() != tokens) json.refuse("offsets", concat({"a pair for each of ", tokens, " tokens"}));
  std::vector<std::size_t> offsets;
  offsets.reserve(2 * tokens);
  for (const auto [index, pair] : list.items()) {
    const bool has_two = pair.is_list() && pair.size() == 2;
    if (!has_two || !pair.element(0).is_natural() || !pair.element(1).is_natural() ||
        pair.element(0).natural() > pair.element(1).natural() || pair.element(1).natural() > longest) {
      json.refuse("offsets", "[start, end] within the text for each token");
    }
    offsets.push_back(pair.element(0).natural());
    offsets.push_back(pair.element(1).natural());
  }
  return offsets;
}

/// Which of a masked-lm head's logits are recorded: places in increasing order, below `end`.
inline std::vector<std::uint32_t> read_places(JsonObject& json, std::string_view key, std::size_t end) {
  std::vector<std::uint32_t> places = read_ids(json, key, "a list of integers");
  for (std::size_t i = 0; i < places.size(); ++i)
    if (places[i] >= end || (i > 0 && places[i] <= places[i - 1]))
      json.refuse(key, concat({"increasing numbers below ", end}));
  return places;
}

/// One row for a sequence, or one for each token, or for each of those chosen; as many columns as there are labels, or
/// are recorded (a custom head: as many as it wants).
inline std::vector<float> read_logits(JsonObject& json, const ModelConfig& config, const SelfTestCase& one) {
  std::vector<float> logits;
  if (json.get("logits").is_null()) return logits;
  const Json rows = json.list("logits");
  if (config.head == HeadKind::none) json.refuse("logits", "null without a head");
  const bool custom = config.head == HeadKind::custom;
  const bool masked = config.head == HeadKind::masked_lm;
  const bool pooled = config.head == HeadKind::sequence_classification || config.embedding;
  const std::size_t row_count = pooled ? 1 : masked ? one.positions.size() : one.ids.size();
  if (!custom && rows.size() != row_count) json.refuse("logits", concat({"a list of ", row_count, " rows"}));
  std::size_t columns = config.embedding ? config.embedding->pooler.size(config.hidden_size) : config.labels.size();
  if (masked) columns = one.columns.size();
  if (custom && rows.size() > 0) columns = rows.element(0).is_list() ? rows.element(0).size() : 0;
  for (const auto [row_index, row] : rows.items()) {
    if (!row.is_list() || row.size() != columns) json.refuse("logits", concat({"rows of ", columns, " numbers"}));
    for (const auto [index, logit] : row.items()) {
      const float number = logit.is_number() ? static_cast<float>(logit.number()) : NAN;
      if (!std::isfinite(number)) json.refuse("logits", "rows of float32 numbers");
      logits.push_back(number);
    }
  }
  return logits;
}

inline std::string read_logits_bytes(JsonObject& json, const ModelConfig& config, std::size_t logits) {
  if (json.get("logits_bytes").is_null()) return {};
  std::string bytes = json.string("logits_bytes");
  if (config.precision != PrecisionKind::int8) json.refuse("logits_bytes", "null unless the precision is int8");
  if (bytes.size() % 8 != 0 || bytes.find_first_not_of("0123456789abcdef") != std::string::npos ||
      (logits != 0 && bytes.size() != logits * 8)) {
    json.refuse("logits_bytes", "eight lower case hexadecimal digits for each logit");
  }
  return bytes;
}

/// What an answer is held against.
struct AnswerBounds {
  HeadKind head;
  std::vector<std::string_view> labels;  // sorted
  std::size_t tokens = 0;
  std::size_t code_points = 0;  // of the text that offsets count in
};

/// Refuses what is none of the objects that the pipeline of that head answers with.
inline void check_answer_object(Json item, const AnswerBounds& bounds, std::string where) {
  JsonObject json(item, std::move(where));
  const auto check_label = [&](std::string_view key) {
    const std::string label = json.string(key);
    if (!std::binary_search(bounds.labels.begin(), bounds.labels.end(), label)) {
      json.refuse(key, "one of the model's labels");
    }
  };
  const auto check_span = [&] { json.integer("start", 0, json.integer("end", 0, bounds.code_points)); };
  json.number("score");
  switch (bounds.head) {
    case HeadKind::sequence_classification: check_label("label"); break;
    case HeadKind::token_classification:
      check_label("entity");
      json.integer("index", 0, bounds.tokens);
      json.string("word");
      check_span();
      break;
    case HeadKind::question_answering:
      json.string("answer");
      check_span();
      break;
    case HeadKind::masked_lm:
      json.integer("token", 0, kMaxSize);
      json.string("token_str");
      json.string("sequence");
      break;
    case HeadKind::none:
    case HeadKind::embedding:
    case HeadKind::custom: break;  // and no answers
  }
  json.finish();
}

/// The answer to a case that has been read but for that: a list of objects, the one object of question answering, or,
/// of several masks, a list of lists.
inline std::string read_answer(JsonObject& json, const SelfTestCase& one, AnswerBounds& bounds) {
  if (json.get("answer").is_null()) return {};
  std::string answer = json.string("answer");
  const bool asks = bounds.head == HeadKind::question_answering;
  if (bounds.head == HeadKind::none || bounds.head == HeadKind::embedding || bounds.head == HeadKind::custom)
    json.refuse("answer", "null without a head of labels");
  if (bounds.head == HeadKind::token_classification && one.text_pair) json.refuse("answer", "null for a pair");
  const std::string where = json.where() + ": answer";
  const JsonDocument document = parse_json(answer, where);
  bounds.tokens = one.ids.size();
  bounds.code_points = count_code_points(asks ? *one.text_pair : one.text);
  if (document.root().is_list()) {
    for (const auto [index, item] : document.root().items()) {
      if (!item.is_list() || bounds.head != HeadKind::masked_lm) {
        check_answer_object(item, bounds, where);
        continue;
      }
      for (const auto [inner, filled] : item.items()) check_answer_object(filled, bounds, where);
    }
  } else {
    if (!asks) refuse_format(where, "expected a list, got an object");
    check_answer_object(document.root(), bounds, where);
  }
  return answer;
}

inline SelfTestCase read_case(JsonObject& json, const ModelConfig& config, AnswerBounds& bounds) {
  SelfTestCase one;
  one.text = json.string("text");
  if (!json.get("text_pair").is_null()) one.text_pair = json.string("text_pair");
  if (config.head == HeadKind::question_answering && !one.text_pair) json.refuse("text_pair", "the context");
  one.ids = read_ids(json, "ids");
  if (one.ids.size() > config.max_length) json.refuse("ids", concat({"at most ", config.max_length, " ids"}));
  one.type_ids = read_ids(json, "type_ids");
  if (one.type_ids.size() != one.ids.size()) json.refuse("type_ids", "as long as ids");
  const std::size_t longest =
      std::max(count_code_points(one.text), one.text_pair ? count_code_points(*one.text_pair) : 0);
  one.offsets = read_offsets(json, one.ids.size(), longest);
  if (config.head == HeadKind::masked_lm) {
    one.positions = read_places(json, "positions", one.ids.size());
    one.columns = read_places(json, "columns", config.vocab_size);
  }
  one.logits = read_logits(json, config, one);
  one.logits_bytes = read_logits_bytes(json, config, one.logits.size());
  one.answer = read_answer(json, one, bounds);
  json.finish();
  return one;
}

/// The `selftest` part.
inline std::vector<SelfTestCase> read_self_test(std::string_view text, const ModelConfig& config,
                                                const std::string& where) {
  const JsonDocument document = parse_json(text, where);
  if (!document.root().is_list()) refuse_format(where, "expected a list, got an object");
  AnswerBounds bounds{config.head, {config.labels.begin(), config.labels.end()}};
  std::sort(bounds.labels.begin(), bounds.labels.end());
  std::vector<SelfTestCase> cases;
  for (const auto [index, item] : document.root().items()) {
    JsonObject json(item, concat({where, "[", cases.size(), "]"}));
    cases.push_back(read_case(json, config, bounds));
  }
  return cases;
}

}  // namespace detail

BERTHA_NAMESPACE_END
