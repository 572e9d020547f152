// logits [S, L] = pooled W^T + b, for S sequences and L labels.

#pragma once

#include <bertha/heads/head.hpp>

BERTHA_NAMESPACE_BEGIN

/// Equals what `BertForSequenceClassification` in transformers/models/bert/modeling_bert.py (5.23.0) adds to its
/// encoder. Immutable; any number of threads may call it, with a workspace each.
class SequenceClassification {
 public:
  using Output = Logits;
  static constexpr Reads reads = Reads::pooled;
  static constexpr Gives gives = Gives::sequence_rows;

  /// Takes `head.output.*`. Throws Error{missing_tensor | shape | unsupported}.
  static SequenceClassification load(WeightFile& file, const ModelConfig& config) {
    require_head(file, config, HeadKind::sequence_classification);
    return SequenceClassification(OutputLayer(file, "head.output", config.labels.size(), config.pooled_size()));
  }

  Logits operator()(const EncoderOutput& output, Workspace& work) const { return output_(output.pooled, work); }

 private:
  explicit SequenceClassification(OutputLayer output) : output_(std::move(output)) {}

  OutputLayer output_;  // [L, H]
};

BERTHA_NAMESPACE_END
