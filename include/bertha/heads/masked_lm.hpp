// logits [T, V] = norm(activation(hidden W^T + b)) D^T + c, or hidden D^T + c, for T masked tokens and V of the
// vocabulary; D is the word table, or where the file says so a table of its own.

#pragma once

#include <algorithm>
#include <bertha/encoder/layer_norm.hpp>
#include <bertha/heads/head.hpp>
#include <bertha/heads/table_product.hpp>
#include <bertha/runtime/sorted_indices.hpp>
#include <optional>
#include <utility>
#include <vector>

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

  /// This head for a call that wants the best `top_k` of the tokens `candidates` and no more, so that rows as long as
  /// the vocabulary are held for a few tokens at a time: [T, 2 top_k] are the shares of the best in the whole
  /// vocabulary, best first, and then their ids, which are exact, for they are less than 2^24.
  MaskedLm with_best(std::size_t top_k, std::vector<std::uint32_t> candidates) const;

  Logits operator()(const EncoderOutput& output, Workspace& work) const {
    const FloatEnvironment environment;
    const Team team = work.team();
    MatrixView<const float> x = output.hidden;
    if (transform_ && x.rows > 0) {
      const MatrixView<float> y = work.logits.matrix(x.rows, size_);  // [rows, E]
      transform_->dense(x, y, team, {.activation = transform_->activation});
      transform_->norm(y, team);
      x = y;
    }
    Logits logits = decoder_(x, team);
    return top_k_ == 0 ? logits : best(logits, team);
  }

 private:
  Logits best(Logits& logits, const Team& team) const;

  MaskedLm(WeightFile& file, const ModelConfig& config)
      : size_(config.embedding_size),
        transform_(take_transform(file, config)),
        decoder_(config.masked_lm->tied
                     ? EmbeddingTable(file, "embeddings.word", config.vocab_size, size_, config.precision, true)
                     : EmbeddingTable(file, "head.output", config.vocab_size, size_, PrecisionKind::float32),
                 config.vocab_size, size_, take_bias(file, "head", config.vocab_size, true)) {}

  /// What stands before the decoder.
  struct Transform {
    Linear<Float32> dense;  // [E, H]
    Activation activation;
    LayerNorm norm;
  };
  static std::optional<Transform> take_transform(WeightFile& file, const ModelConfig& config) {
    if (!config.masked_lm->transform) return std::nullopt;
    const std::size_t size = config.embedding_size;
    return Transform{Linear<Float32>(file, "head.dense", size, config.hidden_size, config.needs_bias),
                     config.masked_lm->activation,
                     LayerNorm(file, "head.norm", size, config.layer_norm_eps, config.needs_bias, config.norm_kind)};
  }

  std::size_t size_;
  std::optional<Transform> transform_;
  TableProduct decoder_;   // [V, E]
  std::size_t top_k_ = 0;  // 0: give the logits
  std::vector<std::uint32_t> candidates_;
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION MaskedLm MaskedLm::with_best(std::size_t top_k, std::vector<std::uint32_t> candidates) const {
  MaskedLm head = *this;
  head.top_k_ = std::min(top_k, candidates.size());
  head.candidates_ = std::move(candidates);
  return head;
}

BERTHA_FUNCTION Logits MaskedLm::best(Logits& logits, const Team& team) const {
  Logits found{logits.rows, 2 * top_k_, std::vector<float>(logits.rows * 2 * top_k_)};
  team.split(logits.rows, [&](std::size_t begin, std::size_t end, ThreadMemory&) {
    std::vector<std::uint32_t> ids(top_k_);
    for (std::size_t r = begin; r < end; ++r) {
      team.check_stop();
      float* scores = logits.values.data() + r * logits.cols;
      kernels::table().softmax(scores, logits.cols);
      std::partial_sort_copy(
          candidates_.begin(), candidates_.end(), ids.begin(), ids.end(), [&](std::uint32_t a, std::uint32_t b) {
            return ranks_before(static_cast<double>(scores[a]), a, static_cast<double>(scores[b]), b);
          });
      float* row = found.values.data() + r * found.cols;
      for (std::size_t i = 0; i < top_k_; ++i) {
        row[i] = scores[ids[i]];
        row[top_k_ + i] = static_cast<float>(ids[i]);
      }
    }
  });
  return found;
}

#endif

BERTHA_NAMESPACE_END
