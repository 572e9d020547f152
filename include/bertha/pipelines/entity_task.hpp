// One text to labelled tokens or to entities of several tokens: the task of EntityRecognizer.
//
// Equals transformers' `token-classification` pipeline (5.23.0: pipelines/token_classification.py, float32), but that a
// text which is too long is cut only when that is asked for.

#pragma once

#include <algorithm>
#include <bertha/kernels/region.hpp>
#include <bertha/pipelines/input.hpp>
#include <bertha/pipelines/task.hpp>
#include <string>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A token with its label or, aggregated, the tokens of one entity. text.substr(start, end - start) is its text.
struct Entity {
  std::string label;      ///< of a group: without B- or I-
  float score = 0;        ///< of a group: the mean
  std::size_t index = 0;  ///< of the token in its sequence, [CLS] being 0; of a group: of its first token
  std::string word;       ///< the token, or the group's tokens put together again; as the vocabulary has them
  std::size_t start = 0;  ///< bytes of the text, half-open
  std::size_t end = 0;
};

/// The entities of a text in their order.
struct Entities {
  std::vector<Entity> entities;
  InputInfo info;

  auto begin() const { return entities.begin(); }
  auto end() const { return entities.end(); }
  std::size_t size() const { return entities.size(); }
  bool empty() const { return entities.empty(); }
  const Entity& operator[](std::size_t i) const { return entities[i]; }
};

/// `none`: one entity per token. `simple`: neighbours with the same tag are one entity; B- begins a new one.
enum class AggregationStrategy : std::uint8_t { none, simple };

/// Hugging Face's names and meanings.
struct EntityOptions {
  AggregationStrategy aggregation_strategy = AggregationStrategy::none;
  std::vector<std::string> ignore_labels = {"O"};  ///< left out after grouping; of groups, names without B- or I-
  /// Cut a text that is too long, which `info.truncated` and `info.covered` then tell; else it is an error.
  /// transformers always cuts, and says nothing.
  bool truncation = false;
};

/// The task of one call; the tokenizer, the configuration and the options must outlive it.
class EntityTask {
 public:
  using Input = std::string_view;
  using Options = EntityOptions;
  using Result = Entities;
  static constexpr std::string_view noun = "text";

  /// Throws Error{input} for options that contradict each other.
  EntityTask(const Tokenizer& tokenizer, const ModelConfig& config, const EntityOptions& options);

  /// The tokens of a text.
  std::vector<Encoding> encode(std::string_view text) const;
  /// logits [tokens, L] of the one window.
  Entities decode(std::string_view text, std::span<const Encoding> windows,
                  std::span<const MatrixView<const float>> logits) const;

 private:
  struct Token {
    std::size_t label;
    float score;
    std::size_t index;
    std::string_view word;
    Span span;
  };
  /// A label in parts: B-LOC is {true, LOC}, I-LOC {false, LOC}; any other goes on with an entity of its own name. A
  /// group is named after all that follows the first hyphen: E-PER and S-PER are named PER too.
  struct Label {
    bool begins;
    std::string_view tag, group_name;
    bool ignored;  // under the name that the strategy shows
  };

  std::vector<Token> label_tokens(std::string_view text, const Encoding& window, MatrixView<const float> logits) const;
  Entity merge(std::span<const Token> tokens) const;

  const Tokenizer& tokenizer_;
  const ModelConfig& config_;
  const EntityOptions& options_;
  std::vector<Label> labels_;
};

namespace detail {

BERTHA_STRICT_BEGIN
/// The mean of n numbers `stride` bytes apart, summed one after the other whatever the user's flags allow.
inline float mean(const float* values, std::size_t n) {
  float sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += values[i];
  return sum / static_cast<float>(n);
}
BERTHA_STRICT_END

}  // namespace detail

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION EntityTask::EntityTask(const Tokenizer& tokenizer, const ModelConfig& config,
                                       const EntityOptions& options)
    : tokenizer_(tokenizer), config_(config), options_(options) {
  if (options.aggregation_strategy > AggregationStrategy::simple)
    throw_error(ErrorCode::input, {"aggregation_strategy is ", static_cast<unsigned>(options.aggregation_strategy),
                                   ", which is none of AggregationStrategy's"});
  std::vector<std::string_view> ignored(options.ignore_labels.begin(), options.ignore_labels.end());
  std::sort(ignored.begin(), ignored.end());
  for (const std::string& name : config.labels) {
    const std::string_view label = name;
    const bool has_prefix = label.starts_with("B-") || label.starts_with("I-");
    const std::size_t hyphen = label.find('-');
    Label parts{has_prefix && label[0] == 'B', has_prefix ? label.substr(2) : label,
                hyphen == std::string_view::npos ? label : label.substr(hyphen + 1), false};
    const bool grouped = options.aggregation_strategy != AggregationStrategy::none;
    parts.ignored = std::binary_search(ignored.begin(), ignored.end(), grouped ? parts.group_name : label);
    labels_.push_back(parts);
  }
}

BERTHA_FUNCTION std::vector<Encoding> EntityTask::encode(std::string_view text) const {
  require_utf8(text, "");
  EncodeOptions encode;
  if (options_.truncation) {
    encode.truncation = Truncation::longest_first;
    encode.max_length = config_.max_length;
  }
  std::vector<Encoding> windows;
  windows.push_back(tokenizer_.encode(text, encode));
  return windows;
}

BERTHA_FUNCTION Entities EntityTask::decode(std::string_view text, std::span<const Encoding> windows,
                                            std::span<const MatrixView<const float>> logits) const {
  Entities result{{}, detail::input_info(windows)};
  const std::vector<Token> tokens = label_tokens(text, windows[0], logits[0]);
  for (std::size_t begin = 0, end; begin < tokens.size(); begin = end) {
    const Token& first = tokens[begin];
    end = begin + 1;
    if (options_.aggregation_strategy == AggregationStrategy::none) {
      if (!labels_[first.label].ignored)
        result.entities.push_back({config_.labels[first.label], first.score, first.index, std::string(first.word),
                                   first.span.start, first.span.end});
      continue;
    }
    // Neighbours are one entity when they have the same tag and the later one doesn't begin with B-.
    while (end < tokens.size() && !labels_[tokens[end].label].begins &&
           labels_[tokens[end].label].tag == labels_[tokens[end - 1].label].tag)
      ++end;
    if (!labels_[first.label].ignored) result.entities.push_back(merge(std::span(tokens).subspan(begin, end - begin)));
  }
  return result;
}

/// Every token that the template did not add, with its best label: the first of those that are equally good.
BERTHA_FUNCTION std::vector<EntityTask::Token> EntityTask::label_tokens(std::string_view text, const Encoding& window,
                                                                        MatrixView<const float> logits) const {
  std::vector<Token> tokens;
  std::vector<float> scores(logits.cols);
  for (std::size_t i = 0; i < window.size(); ++i) {
    if (window.special[i]) continue;
    scores.assign(logits.row(i), logits.row(i) + logits.cols);
    kernels::table().softmax(scores.data(), scores.size());
    const auto best = std::max_element(scores.begin(), scores.end());
    const Span span = window.offsets[i];
    // The unknown token says nothing: its word is what the text has there.
    const bool unknown = window.ids[i] == tokenizer_.config().unk_token_id;
    tokens.push_back({static_cast<std::size_t>(best - scores.begin()), *best, i,
                      unknown ? text.substr(span.start, span.end - span.start) : tokenizer_.token(window.ids[i]),
                      span});
  }
  return tokens;
}

BERTHA_FUNCTION Entity EntityTask::merge(std::span<const Token> tokens) const {
  std::vector<std::string_view> words;
  std::vector<float> scores;
  for (const Token& token : tokens) {
    words.push_back(token.word);
    scores.push_back(token.score);
  }
  return {std::string(labels_[tokens.front().label].group_name),
          detail::mean(scores.data(), scores.size()),
          tokens.front().index,
          tokenizer_.decode(words),
          tokens.front().span.start,
          tokens.back().span.end};
}

#endif

BERTHA_NAMESPACE_END
