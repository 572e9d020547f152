// One text to labelled tokens or to entities of several tokens: the task of EntityRecognizer.
//
// Equals transformers' `token-classification` pipeline (5.23.0: pipelines/token_classification.py, float32), but that a
// text which is too long is cut only when that is asked for.

#pragma once

#include <algorithm>
#include <bertha/pipelines/entity.hpp>
#include <bertha/pipelines/entity_input.hpp>
#include <bertha/pipelines/entity_labels.hpp>
#include <bertha/pipelines/entity_options.hpp>
#include <bertha/pipelines/entity_words.hpp>
#include <bertha/pipelines/option_checks.hpp>
#include <bertha/pipelines/task.hpp>
#include <bertha/pipelines/valid_labels.hpp>
#include <bertha/tokenizer/offsets.hpp>
#include <bertha/tokenizer/word_tokens.hpp>
#include <string>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// The task of one call; the tokenizer, the configuration and the options must outlive it.
class EntityTask {
 public:
  using Input = EntityInput;
  using Options = EntityOptions;
  using Result = Entities;
  static constexpr std::string_view noun = "text";

  /// Throws Error{input} for options that contradict each other.
  EntityTask(const Tokenizer& tokenizer, const ModelConfig& config, const EntityOptions& options);

  /// The tokens of a text: one window, or with a stride as many as it needs.
  std::vector<Encoding> encode(const EntityInput& input, const Stop& stop) const;
  /// logits [tokens, L] of each window.
  Entities decode(const EntityInput& input, std::span<const Encoding> windows,
                  std::span<const MatrixView<const float>> logits) const;

 private:
  void check_enumerators() const;
  void check_stride(std::size_t stride) const;
  void add_entities(const EntityInput& input, const Encoding& window, MatrixView<const float> logits,
                    std::vector<Entity>& entities) const;
  std::vector<std::size_t> labels_of(MatrixView<const float> probabilities) const;
  static std::vector<Entity> without_overlaps(std::string_view text, std::vector<Entity> entities);

  const Tokenizer& tokenizer_;
  const ModelConfig& config_;
  const EntityOptions& options_;
  std::size_t max_length_;
  detail::EntityLabels labels_;
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION EntityTask::EntityTask(const Tokenizer& tokenizer, const ModelConfig& config,
                                       const EntityOptions& options)
    : tokenizer_(tokenizer),
      config_(config),
      options_(options),
      max_length_(detail::kept_tokens(options.max_length, config)),
      labels_(config.labels, options) {
  check_enumerators();
  if (options.max_length != 0 && !options.truncation && !options.stride)
    throw_error(ErrorCode::input, {"max_length is ", options.max_length,
                                   ", but nothing is cut or read in windows: "
                                   "set truncation or stride too"});
  if (options.top_k != 0 && options.aggregation_strategy != AggregationStrategy::none)
    throw_error(ErrorCode::input, {"top_k is ", options.top_k,
                                   ", which counts labels of tokens, but "
                                   "aggregation_strategy is not none: set one of the two"});
  if (options.stride) check_stride(*options.stride);
}

BERTHA_FUNCTION void EntityTask::check_enumerators() const {
  detail::require_value("aggregation_strategy", options_.aggregation_strategy, AggregationStrategy::max, "its values");
  detail::require_value("word_grouping", options_.word_grouping, WordGrouping::true_words, "its values");
  detail::require_value("label_scheme", options_.label_scheme, LabelScheme::bioes, "its values");
  detail::require_value("decoding", options_.decoding, LabelDecoding::valid, "its values");
}

BERTHA_FUNCTION void EntityTask::check_stride(std::size_t stride) const {
  if (options_.truncation)
    throw_error(ErrorCode::input,
                {"stride and truncation are both given: a text is read in windows or cut; choose one"});
  if (options_.aggregation_strategy == AggregationStrategy::none)
    throw_error(ErrorCode::input, {"stride is given, but aggregation_strategy is none: only entities of several tokens "
                                   "can be matched between windows; choose another strategy"});
  detail::require_stride(stride, max_length_, tokenizer_.special_tokens());
}

BERTHA_FUNCTION std::vector<Encoding> EntityTask::encode(const EntityInput& input, const Stop& stop) const {
  require_utf8(input.text, "");
  EncodeOptions encode =
      detail::cut_options(options_.truncation || options_.stride, options_.max_length, config_, stop);
  encode.split_special_tokens = options_.split_special_tokens;
  encode.stride = options_.stride.value_or(0);
  if (options_.stride)
    return input.words ? tokenizer_.encode_windows(word_tokens(tokenizer_, input.text, *input.words, encode), encode)
                       : tokenizer_.encode_windows(input.text, encode);
  std::vector<Encoding> windows;
  windows.push_back(input.words ? tokenizer_.encode(word_tokens(tokenizer_, input.text, *input.words, encode), encode)
                                : tokenizer_.encode(input.text, encode));
  return windows;
}

BERTHA_FUNCTION Entities EntityTask::decode(const EntityInput& input, std::span<const Encoding> windows,
                                            std::span<const MatrixView<const float>> logits) const {
  Entities result{{}, detail::input_info(windows)};
  for (std::size_t w = 0; w < windows.size(); ++w) add_entities(input, windows[w], logits[w], result.entities);
  if (windows.size() > 1) result.entities = without_overlaps(input.text, std::move(result.entities));
  return result;
}

/// Of equally good labels the first is the best.
BERTHA_FUNCTION std::vector<std::size_t> EntityTask::labels_of(MatrixView<const float> probabilities) const {
  if (options_.decoding == LabelDecoding::valid) return detail::most_probable_valid(probabilities, labels_);
  std::vector<std::size_t> labels;
  for (std::size_t i = 0; i < probabilities.rows; ++i) {
    const float* row = probabilities.row(i);
    labels.push_back(static_cast<std::size_t>(std::max_element(row, row + probabilities.cols) - row));
  }
  return labels;
}

BERTHA_FUNCTION void EntityTask::add_entities(const EntityInput& input, const Encoding& window,
                                              MatrixView<const float> logits, std::vector<Entity>& entities) const {
  const AggregationStrategy strategy = options_.aggregation_strategy;
  detail::EntityTokens of_window = detail::entity_tokens(tokenizer_, input, options_.word_grouping, window, logits);
  const std::vector<detail::EntityToken>& tokens = of_window.tokens;
  const std::vector<TokenRange> words = detail::merge_words(of_window, strategy);  // or single tokens
  const MatrixView<const float> probabilities{of_window.probabilities.data(), words.size(), logits.cols, logits.cols};
  const std::vector<std::size_t> labels = labels_of(probabilities);
  const auto text_of = [&](TokenRange range) {
    std::vector<std::string_view> strings;
    for (std::size_t i = range.begin; i < range.end; ++i) strings.push_back(tokens[i].word);
    const bool is_token = strategy == AggregationStrategy::none || strategy == AggregationStrategy::simple;
    return is_token ? std::string(strings.front()) : tokenizer_.decode(strings);
  };

  for (std::size_t begin = 0, end; begin < words.size(); begin = end) {
    const detail::EntityToken& first = tokens[words[begin].begin];
    const auto& label = labels_[labels[begin]];
    end = begin + 1;
    if (strategy == AggregationStrategy::none) {
      if (label.ignored) continue;
      const float* row = probabilities.row(begin);
      entities.push_back({config_.labels[labels[begin]], row[labels[begin]], first.index, text_of(words[begin]),
                          first.span.start, first.span.end,
                          detail::best_labels({row, probabilities.cols}, config_.labels, options_.top_k)});
      continue;
    }
    while (end < words.size() && labels_.continues(labels[end], labels[end - 1])) ++end;
    if (label.ignored) continue;
    std::vector<std::string> texts;
    std::vector<float> scores;
    for (std::size_t w = begin; w < end; ++w) {
      texts.push_back(text_of(words[w]));
      scores.push_back(probabilities(w, labels[w]));
    }
    entities.push_back({std::string(label.group_name), detail::mean(scores.data(), scores.size()), first.index,
                        tokenizer_.decode(std::vector<std::string_view>(texts.begin(), texts.end())), first.span.start,
                        tokens[words[end - 1].end - 1].span.end});
  }
}

/// `aggregate_overlapping_entities` of transformers. That begins by comparing the first entity with itself: if it has
/// no characters (it ends where it begins), the two don't overlap, and it comes twice.
BERTHA_FUNCTION std::vector<Entity> EntityTask::without_overlaps(std::string_view text, std::vector<Entity> entities) {
  std::vector<double> from_last;  // entities by their start are those of the largest key first
  for (const Entity& entity : entities) from_last.push_back(-static_cast<double>(entity.start));
  const OffsetConverter code_points(text, OffsetUnit::code_point);
  const auto length = [&](const Entity& entity) {
    return static_cast<std::ptrdiff_t>(code_points(entity.end)) -
           static_cast<std::ptrdiff_t>(code_points(entity.start));
  };
  const std::vector<std::size_t> order = sorted_indices(from_last);
  std::vector<Entity> kept;
  if (entities.empty()) return kept;
  std::size_t previous = order.front();
  for (const std::size_t next : order) {
    const Entity &held = entities[previous], &entity = entities[next];
    if (held.start <= entity.start && entity.start < held.end) {
      const std::ptrdiff_t longer = length(entity) - length(held);
      if (longer > 0 || (longer == 0 && entity.score > held.score)) previous = next;
    } else {
      kept.push_back(held);
      previous = next;
    }
  }
  kept.push_back(entities[previous]);
  return kept;
}

#endif

BERTHA_NAMESPACE_END
