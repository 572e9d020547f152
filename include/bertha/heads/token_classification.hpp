// logits [T, L] = hidden W^T + b, for T tokens and L labels, special tokens included.

#pragma once

#include <bertha/heads/head.hpp>

BERTHA_NAMESPACE_BEGIN

/// Equals what `BertForTokenClassification` in transformers/models/bert/modeling_bert.py (5.23.0) adds to its encoder.
/// Immutable; any number of threads may call it, with a workspace each.
class TokenClassification {
 public:
  using Output = Logits;
  static constexpr Reads reads = Reads::tokens;
  static constexpr Gives gives = Gives::token_rows;

  /// Takes `head.output.*`. Throws Error{missing_tensor | shape | unsupported}.
  static TokenClassification load(WeightFile& file, const ModelConfig& config) {
    require_head(file, config, HeadKind::token_classification);
    return TokenClassification(OutputLayer(file, "head.output", config.labels.size(), config.hidden_size));
  }

  Logits operator()(const EncoderOutput& output, Workspace& work) const { return output_(output.hidden, work); }

 private:
  explicit TokenClassification(OutputLayer output) : output_(std::move(output)) {}

  OutputLayer output_;  // [L, H]
};

BERTHA_NAMESPACE_END
