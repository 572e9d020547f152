// What a model comes to in two other forms, layer by layer and in its labels: how much quantising changes.

#pragma once

#include <bertha/heads/masked_lm.hpp>
#include <bertha/heads/question_answering.hpp>
#include <bertha/heads/sentence_embedding.hpp>
#include <bertha/heads/sequence_classification.hpp>
#include <bertha/heads/token_classification.hpp>
#include <bertha/model.hpp>
#include <bertha/quantize/arithmetic.hpp>
#include <cmath>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace detail {

/// Hidden states after the embeddings and after each layer, and the logits, of one sequence; no logits without a head
/// of bertha's.
struct Outputs {
  std::vector<std::vector<float>> hidden;  // [layers + 1][tokens, H]
  Logits logits;
};

/// A model whatever its head: what it makes of one sequence, and, if its head gives rows of chosen tokens, of these.
using Runner = std::function<Outputs(const Encoding&, const std::vector<std::uint32_t>& chosen)>;

inline void keep_hidden(Outputs& outputs, std::size_t layer, MatrixView<const float> hidden) {
  if (outputs.hidden.size() <= layer) outputs.hidden.resize(layer + 1);
  for (std::size_t r = 0; r < hidden.rows; ++r)
    outputs.hidden[layer].insert(outputs.hidden[layer].end(), hidden.row(r), hidden.row(r) + hidden.cols);
}

/// What an encoder, and a head that stands on it or null, make of a sequence. A sequence is one chunk.
template <class H>
Outputs run_sequence(const AnyEncoder& encoder, const H* head, const Encoding& encoding,
                     const std::vector<std::uint32_t>& chosen, const CallOptions& options) {
  Workspace work;
  work.prepare(options);
  Batch batch;
  batch.add(encoding.ids, encoding.type_ids);
  Outputs outputs;
  EncoderOutput output = encoder.forward(
      batch, work,
      [&](std::size_t layer, std::size_t, MatrixView<const float> hidden) { keep_hidden(outputs, layer, hidden); });
  if (!head) return outputs;
  if (head->reads == Reads::pooled) encoder.pool(output, work);
  if (head->gives != Gives::chosen_rows) {
    outputs.logits = (*head)(output, work);
    return outputs;
  }
  constexpr std::size_t kOnly = 0;
  for_each_choice(output, {&kOnly, 1}, {&chosen, 1}, work, [&](const EncoderOutput& part, std::size_t, bool) {
    append_rows(outputs.logits, (*head)(part, work));
  });
  return outputs;
}

template <class H>
Runner model_runner(std::span<const std::byte> bytes, const LoadOptions& load, const CallOptions& options) {
  return [model = Model<H>::load(bytes, load), options](const Encoding& encoding,
                                                        const std::vector<std::uint32_t>& chosen) {
    return run_sequence(model.encoder(), &model.head(), encoding, chosen, options);
  };
}

inline Runner encoder_runner(std::span<const std::byte> bytes, const LoadOptions& load, const CallOptions& options) {
  auto file = WeightFile::from_bytes(bytes);
  ModelConfig config = file.config();
  config.precision = load.precision.value_or(config.precision);
  return [encoder = std::make_shared<const AnyEncoder>(file, config), options](
             const Encoding& encoding, const std::vector<std::uint32_t>& chosen) {
    return run_sequence<TokenClassification>(*encoder, nullptr, encoding, chosen, options);
  };
}

/// The model in `bytes`, which must outlive it.
inline Runner make_runner(std::span<const std::byte> bytes, const LoadOptions& load, const CallOptions& options) {
  switch (WeightFile::from_bytes(bytes).config().head) {
    case HeadKind::sequence_classification: return model_runner<SequenceClassification>(bytes, load, options);
    case HeadKind::token_classification: return model_runner<TokenClassification>(bytes, load, options);
    case HeadKind::question_answering: return model_runner<QuestionAnswering>(bytes, load, options);
    case HeadKind::masked_lm: return model_runner<MaskedLm>(bytes, load, options);
    case HeadKind::embedding: return model_runner<SentenceEmbedding>(bytes, load, options);
    case HeadKind::none:
    case HeadKind::custom: break;
  }
  return encoder_runner(bytes, load, options);
}

/// What the logits of a sequence say: the first of the largest of each row; of question answering the rows of start and
/// end; of several labels at once which of them are true; of masks their tokens. Nothing of a regression, or of an
/// embedding.
inline std::vector<std::size_t> labels_of(const ModelConfig& config, const Logits& logits) {
  std::vector<std::size_t> labels;
  const auto largest = [&](std::size_t n, std::size_t first, std::size_t step) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < n; ++i)
      if (logits.values[first + i * step] > logits.values[first + best * step]) best = i;
    return best;
  };
  const bool each = config.head == HeadKind::sequence_classification &&
                    (config.problem_type == ProblemType::multi_label_classification || logits.cols == 1);
  const bool none = config.problem_type == ProblemType::regression || (config.labels.empty() && !config.masked_lm);
  if (none || logits.rows == 0) return labels;
  if (each) {
    for (const float logit : logits.values) labels.push_back(logit > 0);
  } else if (config.head == HeadKind::question_answering) {
    for (std::size_t c = 0; c < logits.cols; ++c) labels.push_back(largest(logits.rows, c, logits.cols));
  } else {
    for (std::size_t r = 0; r < logits.rows; ++r) labels.push_back(largest(logits.cols, r * logits.cols, 1));
  }
  return labels;
}

/// The root of the mean of squares of differences.
class RmsError {
 public:
  void add(std::span<const float> exact, std::span<const float> found) {
    sum_ += squared_error(exact.data(), found.data(), exact.size());
    count_ += exact.size();
  }
  double value() const { return count_ == 0 ? 0 : std::sqrt(sum_ / static_cast<double>(count_)); }

 private:
  double sum_ = 0;
  std::size_t count_ = 0;
};

}  // namespace detail

/// How far a quantised model is from the float32 model on some texts.
struct QuantizeErrors {
  std::vector<double> hidden;      ///< rms, after the embeddings and after each layer
  double logits = 0;               ///< rms; 0 without one of bertha's heads
  std::size_t labels_changed = 0;  ///< texts, tokens, or starts and ends of answers
};

namespace detail {

/// Adds up, sequence by sequence.
class Comparison {
 public:
  explicit Comparison(const ModelConfig& config) : config_(config), hidden_(config.num_hidden_layers + 1) {}

  void add(const Outputs& exact, const Outputs& found) {
    for (std::size_t layer = 0; layer < hidden_.size(); ++layer)
      hidden_[layer].add(exact.hidden[layer], found.hidden[layer]);
    logits_.add(exact.logits.values, found.logits.values);
    const auto expected = labels_of(config_, exact.logits), labels = labels_of(config_, found.logits);
    for (std::size_t i = 0; i < expected.size(); ++i) changed_ += expected[i] != labels[i];
  }
  QuantizeErrors errors() const {
    QuantizeErrors errors{{}, logits_.value(), changed_};
    for (const RmsError& layer : hidden_) errors.hidden.push_back(layer.value());
    return errors;
  }

 private:
  const ModelConfig& config_;
  std::vector<RmsError> hidden_;
  RmsError logits_;
  std::size_t changed_ = 0;
};

}  // namespace detail

BERTHA_NAMESPACE_END
