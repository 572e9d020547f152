// logits [T, V] = norm(activation(hidden W^T + b)) D^T + c, for T masked tokens and V of the vocabulary; D is the word
// table, or where the file says so a table of its own.

#pragma once

#include <bertha/encoder/layer_norm.hpp>
#include <bertha/heads/head.hpp>
#include <bertha/heads/table_product.hpp>

BERTHA_NAMESPACE_BEGIN

/// Equals what `BertForMaskedLM` in transformers/models/bert/modeling_bert.py (5.23.0), and the class of that name of
/// other families, adds to its encoder. Immutable; any number of threads may call it, with a workspace each.
class MaskedLm {
 public:
  using Output = Logits;
  static constexpr Reads reads = Reads::tokens;
  static constexpr Gives gives = Gives::chosen_rows;

  /// Takes `head.*`, and borrows `embeddings.word` where the decoder is tied to it. Throws Error{missing_tensor | shape
  /// | unsupported}.
  static MaskedLm load(WeightFile& file, const ModelConfig& config) {
    require_head(file, config, HeadKind::masked_lm);
    return MaskedLm(file, config);
  }

  Logits operator()(const EncoderOutput& output, Workspace& work) const {
    const FloatEnvironment environment;
    const Team team = work.team();
    const MatrixView<float> x = work.logits.matrix(output.hidden.rows, size_);  // [rows, E]
    if (x.rows > 0) {
      dense_(output.hidden, x, team, {.activation = activation_});
      norm_(x, team);
    }
    return decoder_(x, team);
  }

 private:
  MaskedLm(WeightFile& file, const ModelConfig& config)
      : size_(config.embedding_size),
        activation_(config.masked_lm->activation),
        dense_(file, "head.dense", size_, config.hidden_size, config.needs_bias),
        norm_(file, "head.norm", size_, config.layer_norm_eps, config.needs_bias),
        decoder_(config.masked_lm->tied
                     ? EmbeddingTable(file, "embeddings.word", config.vocab_size, size_, config.precision, true)
                     : EmbeddingTable(file, "head.output", config.vocab_size, size_, PrecisionKind::float32),
                 config.vocab_size, size_, take_bias(file, "head", config.vocab_size, true)) {}

  std::size_t size_;
  Activation activation_;
  Linear<Float32> dense_;  // [E, H]
  LayerNorm norm_;
  TableProduct decoder_;  // [V, E]
};

BERTHA_NAMESPACE_END
