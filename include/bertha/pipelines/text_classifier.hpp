// Text classification: a text, or a pair, to labels with scores.
//
// Prints what transformers' `text-classification` pipeline prints (5.23.0: pipelines/text_classification.py, float32).

#pragma once

#include <algorithm>
#include <bertha/heads/sequence_classification.hpp>
#include <bertha/pipelines/input.hpp>
#include <numeric>

BERTHA_NAMESPACE_BEGIN

/// A label and its score.
struct LabelScore {
  std::string label;
  float score = 0;
};

/// The best label of a text.
struct Classification {
  std::string label;
  float score = 0;
  InputInfo info;
};

/// The labels of a text, best first; equal scores in the order of the logits.
struct ClassificationResult {
  std::vector<LabelScore> labels;
  InputInfo info;

  auto begin() const { return labels.begin(); }
  auto end() const { return labels.end(); }
  std::size_t size() const { return labels.size(); }
  const LabelScore& operator[](std::size_t i) const { return labels[i]; }
};

/// What turns logits into scores. `automatic`: none for regression; sigmoid for multi-label models and for a single
/// label; softmax for the others.
enum class FunctionToApply : std::uint8_t { automatic, softmax, sigmoid, none };

/// Hugging Face's names and meanings.
struct ClassificationOptions {
  std::optional<std::size_t> top_k = {};  ///< how many labels; unset: all of them
  FunctionToApply function_to_apply = FunctionToApply::automatic;
  bool truncation = false;     ///< cut a text that is too long, the longer one of a pair; else it is an error
  std::size_t max_length = 0;  ///< of a text with truncation, in tokens; 0: the model's
};

/// A model with a sequence classification head. Immutable, cheap to copy, shared by any number of threads.
class TextClassifier {
 public:
  using Model = bertha::Model<SequenceClassification>;

  explicit TextClassifier(Model model) : model_(std::move(model)) {}
  /// `source` is a path, or bytes on a 64-byte boundary. Throws what Model::load throws.
  template <class Source>
  static TextClassifier load(const Source& source, const LoadOptions& options = {}) {
    return TextClassifier(Model::load(source, options));
  }

  /// The best label. Throws Error{input} when the text is too long for the model or not valid UTF-8.
  Classification operator()(const TextInput& input) const {
    ClassificationResult result = run(input, {.top_k = 1});
    return {std::move(result.labels.front().label), result.labels.front().score, result.info};
  }

  /// All labels, or the `top_k` best. Throws Error{input | stopped}.
  ClassificationResult run(const TextInput& input, const ClassificationOptions& options = {},
                           const CallOptions& call = {}) const {
    return std::move(classify({input}, options, call).front());
  }

  /// The same for many texts, in their order.
  template <InputRange R>
  std::vector<ClassificationResult> run(R&& inputs, const ClassificationOptions& options = {},
                                        const CallOptions& call = {}) const {
    return classify(detail::gather<TextInput>(std::forward<R>(inputs)), options, call);
  }

  const Model& model() const { return model_; }
  const std::vector<std::string>& labels() const { return model_.labels(); }
  const ModelConfig& config() const { return model_.config(); }
  std::size_t max_length() const { return model_.max_length(); }

 private:
  std::vector<ClassificationResult> classify(const std::vector<TextInput>& inputs, const ClassificationOptions& options,
                                             const CallOptions& call) const {
    if (options.top_k == std::size_t{0})
      throw Error(ErrorCode::input, "top_k is 0; expected at least 1, or unset for all labels");
    const std::size_t limit = options.max_length == 0 ? max_length() : std::min(options.max_length, max_length());
    EncodeOptions encode;
    if (options.truncation) {
      encode.truncation = Truncation::longest_first;
      encode.max_length = limit;
    }
    std::vector<Encoding> encodings(inputs.size());
    model_.for_each(inputs.size(), call, [&](std::size_t i) {
      const TextInput& input = inputs[i];
      Encoding& encoding = encodings[i];
      // An empty text_pair is none, as there.
      const bool is_pair = input.text_pair && !input.text_pair->empty();
      encoding = is_pair ? model_.tokenizer().encode(input.text, *input.text_pair, encode)
                         : model_.tokenizer().encode(input.text, encode);
      if (encoding.size() > max_length())
        throw Error(ErrorCode::input, "the text has " + std::to_string(encoding.size()) +
                                          " tokens, special tokens included; the model takes at most " +
                                          std::to_string(max_length()) + "; shorten it or allow truncation");
    });
    std::vector<ClassificationResult> results(inputs.size());
    model_.run_each(encodings, call, [&](std::size_t i, MatrixView<const float> logits) {
      results[i] = {decode(logits, options), detail::describe(encodings[i])};
    });
    return results;
  }

  FunctionToApply function(const ClassificationOptions& options) const {
    if (options.function_to_apply != FunctionToApply::automatic) return options.function_to_apply;
    if (config().problem_type == ProblemType::regression) return FunctionToApply::none;
    if (config().problem_type == ProblemType::multi_label_classification || labels().size() == 1)
      return FunctionToApply::sigmoid;
    return FunctionToApply::softmax;
  }

  std::vector<LabelScore> decode(MatrixView<const float> logits, const ClassificationOptions& options) const {
    const FloatEnvironment environment;
    std::vector<float> scores(logits.row(0), logits.row(0) + logits.cols);
    const FunctionToApply apply = function(options);
    if (apply == FunctionToApply::softmax) kernels::table().softmax(scores.data(), scores.size());
    if (apply == FunctionToApply::sigmoid) kernels::table().sigmoid(scores.data(), scores.size());

    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return detail::ranks_before(scores[a], scores[b]); });
    order.resize(std::min(order.size(), options.top_k.value_or(order.size())));
    std::vector<LabelScore> best;
    for (const std::size_t label : order) best.push_back({labels()[label], scores[label]});
    return best;
  }

  Model model_;
};

BERTHA_NAMESPACE_END
