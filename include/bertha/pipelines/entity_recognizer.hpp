// Named entities: a text to labelled tokens, or to entities of several tokens, with their places in the text.
//
// Prints what transformers' `token-classification` pipeline prints (5.23.0: pipelines/token_classification.py,
// float32).

#pragma once

#include <bertha/heads/token_classification.hpp>
#include <bertha/pipelines/input.hpp>

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
};

/// A model with a token classification head. Immutable, cheap to copy, shared by any number of threads.
/// A text that is too long for the model is cut (as there), which `info.truncated` and `info.covered` tell.
class EntityRecognizer {
 public:
  using Model = bertha::Model<TokenClassification>;

  explicit EntityRecognizer(Model model) : model_(std::move(model)) {}
  /// `source` is a path, or bytes on a 64-byte boundary. Throws what Model::load throws.
  template <class Source>
  static EntityRecognizer load(const Source& source, const LoadOptions& options = {}) {
    return EntityRecognizer(Model::load(source, options));
  }

  /// The labelled tokens of a text, without those labelled O. Throws Error{input} when it is not valid UTF-8.
  Entities operator()(std::string_view text) const { return run(text); }

  /// The same with options. Throws Error{input | stopped}.
  Entities run(std::string_view text, const EntityOptions& options = {}, const CallOptions& call = {}) const {
    return std::move(recognize({text}, options, call).front());
  }

  /// The same for many texts, in their order.
  template <InputRange<std::string_view> R>
  std::vector<Entities> run(R&& texts, const EntityOptions& options = {}, const CallOptions& call = {}) const {
    return recognize(detail::gather<std::string_view>(std::forward<R>(texts)), options, call);
  }

  const Model& model() const { return model_; }
  const std::vector<std::string>& labels() const { return model_.labels(); }
  const ModelConfig& config() const { return model_.config(); }
  std::size_t max_length() const { return model_.max_length(); }

 private:
  std::vector<Entities> recognize(const std::vector<std::string_view>& texts, const EntityOptions& options,
                                  const CallOptions& call) const {
    const EncodeOptions encode{.truncation = Truncation::longest_first, .max_length = max_length()};
    std::vector<Encoding> encodings(texts.size());
    model_.for_each(texts.size(), call,
                    [&](std::size_t i) { encodings[i] = model_.tokenizer().encode(texts[i], encode); });
    std::vector<Entities> results(texts.size());
    model_.run_each(encodings, call, [&](std::size_t i, MatrixView<const float> logits) {
      results[i] = {decode(logits, encodings[i], texts[i], options), detail::describe(encodings[i])};
    });
    return results;
  }

  std::vector<Entity> decode(MatrixView<const float> logits, const Encoding& encoding, std::string_view text,
                             const EntityOptions& options) const {
    const FloatEnvironment environment;
    std::vector<Entity> entities = label_tokens(logits, encoding, text);
    if (options.aggregation_strategy == AggregationStrategy::simple) entities = group(entities);
    std::erase_if(entities, [&](const Entity& entity) {
      return std::find(options.ignore_labels.begin(), options.ignore_labels.end(), entity.label) !=
             options.ignore_labels.end();
    });
    return entities;
  }

  /// Every token that the template did not add, with its best label.
  std::vector<Entity> label_tokens(MatrixView<const float> logits, const Encoding& encoding,
                                   std::string_view text) const {
    std::vector<Entity> entities;
    std::vector<float> scores(logits.cols);
    for (std::size_t i = 0; i < encoding.size(); ++i) {
      if (encoding.special[i]) continue;
      scores.assign(logits.row(i), logits.row(i) + logits.cols);
      kernels::table().softmax(scores.data(), scores.size());
      const auto best = std::max_element(scores.begin(), scores.end());
      const Span span = encoding.offsets[i];
      // The unknown token says nothing: its word is what the text has there.
      const bool unknown = encoding.ids[i] == model_.tokenizer().config().unk_token_id;
      entities.push_back({labels()[static_cast<std::size_t>(best - scores.begin())], *best, i,
                          std::string(unknown ? text.substr(span.start, span.end - span.start)
                                              : model_.tokenizer().token(encoding.ids[i])),
                          span.start, span.end});
    }
    return entities;
  }

  /// B-LOC is {true, LOC}; I-LOC {false, LOC}; any other label continues an entity of its own name.
  static std::pair<bool, std::string_view> split_label(std::string_view label) {
    if (label.starts_with("B-") || label.starts_with("I-")) return {label[0] == 'B', label.substr(2)};
    return {false, label};
  }

  /// Neighbours are one entity when they have the same tag and the later one doesn't begin with B-.
  std::vector<Entity> group(const std::vector<Entity>& tokens) const {
    std::vector<Entity> groups;
    for (std::size_t begin = 0; begin < tokens.size();) {
      std::size_t end = begin + 1;
      while (end < tokens.size()) {
        const auto [begins, tag] = split_label(tokens[end].label);
        if (begins || tag != split_label(tokens[end - 1].label).second) break;
        ++end;
      }
      groups.push_back(merge(std::span(tokens).subspan(begin, end - begin)));
      begin = end;
    }
    return groups;
  }

  Entity merge(std::span<const Entity> tokens) const {
    std::vector<std::string_view> words;
    float sum = 0;
    for (const Entity& token : tokens) {
      words.push_back(token.word);
      sum += token.score;
    }
    const std::string& label = tokens.front().label;
    // Everything after the first hyphen, whatever is before it: E-PER and S-PER are named PER too.
    const std::size_t hyphen = label.find('-');
    return {hyphen == std::string::npos ? label : label.substr(hyphen + 1),
            sum / static_cast<float>(tokens.size()),
            tokens.front().index,
            model_.tokenizer().decode(words),
            tokens.front().start,
            tokens.back().end};
  }

  Model model_;
};

BERTHA_NAMESPACE_END
