// What the pipelines find, as JSON with the keys of transformers' pipelines in their order.

#pragma once

#include <algorithm>
#include <bertha/bertha.hpp>
#include <span>
#include <string>

#include "json_text.hpp"

namespace program {

inline std::string to_json(const std::vector<bertha::LabelScore>& labels) {
  return list(labels, [](const bertha::LabelScore& label) {
    return "{\"label\":" + quote(label.label) + ",\"score\":" + number(label.score) + '}';
  });
}

inline std::string to_json(const bertha::ClassificationResult& result) { return to_json(result.labels); }

/// A list of numbers, or, of the tokens of a text, a list for each.
inline std::string to_json(const bertha::EmbeddingResult& result, bool tokens) {
  if (tokens) return list_of_rows(result.values.data(), result.rows, result.cols);
  return list(result, [](float value) { return number(value); });
}

inline std::string ranked_to_json(std::size_t index, float score) {
  return "{\"index\":" + number(index) + ",\"score\":" + number(score) + '}';
}

/// The first `top_k` of them.
inline std::string to_json(std::span<const bertha::RankedText> texts, std::size_t top_k) {
  return list(texts.first(std::min(top_k, texts.size())),
              [](const auto& text) { return ranked_to_json(text.index, text.score); });
}

inline std::string to_json(const bertha::ZeroShotResult& result, std::string_view text) {
  return "{\"sequence\":" + quote(text) +
         ",\"labels\":" + list(result, [](const bertha::LabelScore& label) { return quote(label.label); }) +
         ",\"scores\":" + list(result, [](const bertha::LabelScore& label) { return number(label.score); }) +
         (result.info.truncated ? ",\"truncated\":true}" : "}");
}

/// A list of fillings, or, of several masks, a list for each.
inline std::string to_json(const bertha::FillMaskResult& result) {
  const auto write = [](const std::vector<bertha::MaskFilling>& fillings) {
    return list(fillings, [](const bertha::MaskFilling& filling) {
      return "{\"score\":" + number(filling.score) + ",\"token\":" + number(std::size_t{filling.token}) +
             ",\"token_str\":" + quote(filling.token_str) + ",\"sequence\":" + quote(filling.sequence) + '}';
    });
  };
  return result.size() == 1 ? write(result[0]) : list(result, write);
}

/// `aggregated`: entities are groups, which have no index.
inline std::string to_json(const bertha::Entities& entities, std::string_view text, bertha::OffsetUnit unit,
                           bool aggregated) {
  const bertha::OffsetConverter convert(text, unit);
  return list(entities, [&](const bertha::Entity& entity) {
    return (aggregated ? "{\"entity_group\":" : "{\"entity\":") + quote(entity.label) +
           ",\"score\":" + number(entity.score) + (aggregated ? "" : ",\"index\":" + number(entity.index)) +
           ",\"word\":" + quote(entity.word) + ",\"start\":" + number(convert(entity.start)) +
           ",\"end\":" + number(convert(entity.end)) +
           (entity.top_labels.empty() ? "" : ",\"top_labels\":" + to_json(entity.top_labels)) + '}';
  });
}

/// What each window says beside what all say together. Offsets count in `unit` of the text, and of its pair.
inline std::string to_json_with_windows(const bertha::ClassificationResult& result, std::string_view text,
                                        std::string_view pair, bertha::OffsetUnit unit) {
  const bertha::OffsetConverter in_text(text, unit), in_pair(pair, unit);
  const auto write = [&](const bertha::ClassifiedWindow& window) {
    std::string json =
        "{\"start\":" + number(in_text(window.covered.start)) + ",\"end\":" + number(in_text(window.covered.end));
    if (window.covered_pair)
      json += ",\"pair_start\":" + number(in_pair(window.covered_pair->start)) +
              ",\"pair_end\":" + number(in_pair(window.covered_pair->end));
    return json + ",\"labels\":" + to_json(window.labels) + '}';
  };
  return "{\"labels\":" + to_json(result) + ",\"windows\":" + list(result.windows, write) + '}';
}

/// One object for the best of one; a list when more were asked for, or when there is none. Answers to a question with
/// passages say which passage they are from.
inline std::string to_json(const bertha::AnswerResult& result, const bertha::Question& question,
                           bertha::OffsetUnit unit, std::size_t top_k) {
  std::vector<bertha::OffsetConverter> convert;
  for (std::size_t p = 0; p < question.n_passages(); ++p) convert.emplace_back(question.passage(p), unit);
  const auto write = [&](const bertha::Answer& answer) {
    return "{\"score\":" + number(answer.score) + ",\"start\":" + number(convert[answer.passage](answer.start)) +
           ",\"end\":" + number(convert[answer.passage](answer.end)) + ",\"answer\":" + quote(answer.text) +
           (question.passages.empty() ? "" : ",\"passage\":" + number(answer.passage)) + '}';
  };
  return top_k == 1 && result.size() == 1 ? write(result[0]) : list(result, write);
}

/// The same, of the answers of a context.
inline std::string to_json(const bertha::AnswerResult& result, std::string_view context, bertha::OffsetUnit unit,
                           std::size_t top_k) {
  return to_json(result, bertha::Question{{}, context}, unit, top_k);
}

/// `all`: the words and the special tokens too. Offsets count in `unit` of the token's own text.
inline std::string to_json(const bertha::Encoding& encoding, const bertha::Tokenizer& tokenizer, std::string_view text,
                           std::string_view pair, bertha::OffsetUnit unit, bool all) {
  const bertha::OffsetConverter in_text(text, unit), in_pair(pair, unit);
  const auto plain = [](auto value) { return number(static_cast<std::size_t>(value)); };
  std::string offsets = "[";
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    const auto& convert = encoding.sequences[i] == 1 ? in_pair : in_text;
    offsets += (i ? ",[" : "[") + number(convert(encoding.offsets[i].start)) + ',' +
               number(convert(encoding.offsets[i].end)) + ']';
  }
  std::string json = "{\"ids\":" + list(encoding.ids, plain) + ",\"type_ids\":" + list(encoding.type_ids, plain) +
                     ",\"tokens\":" + list(encoding.ids, [&](std::uint32_t id) { return quote(tokenizer.token(id)); }) +
                     ",\"offsets\":" + offsets + ']';
  if (all)
    json +=
        ",\"word_ids\":" +
        list(encoding.words,
             [&](std::uint32_t word) { return word == bertha::Encoding::kNone ? std::string("null") : plain(word); }) +
        ",\"special_tokens_mask\":" + list(encoding.special, plain);
  return json + (encoding.truncated ? ",\"truncated\":true}" : "}");
}

}  // namespace program
