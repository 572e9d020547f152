// logits [T, 2] = hidden W^T + b, for T tokens: column 0 for the start of an answer, column 1 for its last token.

#pragma once

#include <bertha/heads/head.hpp>

BERTHA_NAMESPACE_BEGIN

/// Equals what `BertForQuestionAnswering` in transformers/models/bert/modeling_bert.py (5.23.0) adds to its encoder.
/// Immutable; any number of threads may call it, with a workspace each.
class QuestionAnswering {
 public:
  using Output = Logits;
  static constexpr Reads reads = Reads::tokens;
  static constexpr Gives gives = Gives::token_rows;

  /// Takes `head.*`. Throws Error{missing_tensor | shape | unsupported}.
  static QuestionAnswering load(WeightFile& file, const ModelConfig& config) {
    require_head(file, config, HeadKind::question_answering);
    return QuestionAnswering(TokenLogits(file, config));
  }

  Logits operator()(const EncoderOutput& output, Workspace& work) const { return logits_(output.hidden, work); }

 private:
  explicit QuestionAnswering(TokenLogits logits) : logits_(std::move(logits)) {}

  TokenLogits logits_;
};

BERTHA_NAMESPACE_END
