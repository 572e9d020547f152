// One text to labelled tokens or to entities of several tokens: the task of EntityRecognizer.
//
// Equals transformers' `token-classification` pipeline (5.23.0: pipelines/token_classification.py, float32), but that a
// text which is too long is cut only when that is asked for.

#pragma once

#include <algorithm>
#include <bertha/kernels/region.hpp>
#include <bertha/pipelines/input.hpp>
#include <bertha/pipelines/task.hpp>
#include <bertha/tokenizer/offsets.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A token with its label or, aggregated, the tokens of one entity. text.substr(start, end - start) is its text.
struct Entity {
  std::string label;      ///< of a group: without B- or I-
  float score = 0;        ///< of a group: the mean
  std::size_t index = 0;  ///< of the token in its window, [CLS] being 0; of a group: of its first token
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
  /// Cut a text that is too long, as `info.truncated` and `info.covered` then tell; else it is an error, unless
  /// there is a stride. transformers always cuts, and says nothing.
  bool truncation = false;
  /// Read a text that is too long in windows that share so many tokens. Where entities of two windows overlap the
  /// longer one stays, or the one with the higher score; so there must be an aggregation_strategy. Not with truncation.
  std::optional<std::size_t> stride = {};
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

  /// The tokens of a text: one window, or with a stride as many as it needs.
  std::vector<Encoding> encode(std::string_view text, const Stop& stop) const;
  /// logits [tokens, L] of each window.
  Entities decode(std::string_view text, std::span<const Encoding> windows,
                  std::span<const MatrixView<const float>> logits) const;

 private:
  void check_stride(std::size_t stride) const;

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
  void add_entities(std::string_view text, const Encoding& window, MatrixView<const float> logits,
                    std::vector<Entity>& entities) const;
  Entity merge(std::span<const Token> tokens) const;
  static std::vector<Entity> without_overlaps(std::string_view text, std::vector<Entity> entities);

  const Tokenizer& tokenizer_;
  const ModelConfig& config_;
  const EntityOptions& options_;
  std::vector<Label> labels_;
};

namespace detail {

BERTHA_STRICT_BEGIN
/// The mean of n numbers, summed one after the other whatever the user's flags allow.
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
  if (options.stride) check_stride(*options.stride);
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

/// Windows that share all of their tokens would never come to an end.
BERTHA_FUNCTION void EntityTask::check_stride(std::size_t stride) const {
  if (options_.truncation)
    throw_error(ErrorCode::input,
                {"stride and truncation are both given: a text is read in windows or cut; choose one"});
  if (options_.aggregation_strategy == AggregationStrategy::none)
    throw_error(ErrorCode::input, {"stride is given, but aggregation_strategy is none: only entities of several tokens "
                                   "can be matched between windows; choose another strategy"});
  std::size_t room = config_.max_length;
  for (const TemplatePiece& piece : tokenizer_.special_tokens().single)
    room -= static_cast<std::size_t>(piece.kind == TemplatePiece::Kind::special);
  if (stride >= room)
    throw_error(ErrorCode::input, {"stride is ", stride, "; a window has room for ", room,
                                   " tokens of the text, and must share fewer with the next"});
}

BERTHA_FUNCTION std::vector<Encoding> EntityTask::encode(std::string_view text, const Stop& stop) const {
  require_utf8(text, "");
  EncodeOptions encode;
  encode.stop = stop;
  if (options_.truncation || options_.stride) {
    encode.truncation = Truncation::longest_first;
    encode.max_length = config_.max_length;
    encode.stride = options_.stride.value_or(0);
  }
  if (options_.stride) return tokenizer_.encode_windows(text, encode);
  std::vector<Encoding> windows;
  windows.push_back(tokenizer_.encode(text, encode));
  return windows;
}

BERTHA_FUNCTION Entities EntityTask::decode(std::string_view text, std::span<const Encoding> windows,
                                            std::span<const MatrixView<const float>> logits) const {
  Entities result{{}, detail::input_info(windows)};
  for (std::size_t w = 0; w < windows.size(); ++w) add_entities(text, windows[w], logits[w], result.entities);
  if (windows.size() > 1) result.entities = without_overlaps(text, std::move(result.entities));
  return result;
}

BERTHA_FUNCTION void EntityTask::add_entities(std::string_view text, const Encoding& window,
                                              MatrixView<const float> logits, std::vector<Entity>& entities) const {
  const std::vector<Token> tokens = label_tokens(text, window, logits);
  for (std::size_t begin = 0, end; begin < tokens.size(); begin = end) {
    const Token& first = tokens[begin];
    end = begin + 1;
    if (options_.aggregation_strategy == AggregationStrategy::none) {
      if (!labels_[first.label].ignored)
        entities.push_back({config_.labels[first.label], first.score, first.index, std::string(first.word),
                            first.span.start, first.span.end});
      continue;
    }
    // Neighbours are one entity when they have the same tag and the later one doesn't begin with B-.
    while (end < tokens.size() && !labels_[tokens[end].label].begins &&
           labels_[tokens[end].label].tag == labels_[tokens[end - 1].label].tag)
      ++end;
    if (!labels_[first.label].ignored) entities.push_back(merge(std::span(tokens).subspan(begin, end - begin)));
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
    // "[UNK]" says nothing: the word of an unknown token is the part of the text that it stands for.
    const bool unknown = window.ids[i] == tokenizer_.special_tokens().unk_token_id;
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
