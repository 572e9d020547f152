// Multi-head self-attention of one layer, with its output projection, residual and norm.
//
//     context = concat over attention heads a of softmax(q_a k_a^T / sqrt D) v_a
//     y = LayerNorm(x + W_o context + b_o)
//
// Shapes: x, y [T, H]; q, k, v [T, D] for each attention head; W_o [H, H]; T tokens of the chunk, H hidden_size, A
// num_attention_heads, D = H / A. Equals `BertSelfAttention` + `BertSelfOutput` in
// transformers/models/bert/modeling_bert.py (5.23.0), without dropout. A sequence sees only its own rows: sequences lie
// one after the other, so there is no mask. An attention head's projection is computed and used while it is in cache.

#pragma once

#include <bertha/encoder/layer_norm.hpp>
#include <bertha/encoder/linear.hpp>
#include <cmath>
#include <span>
#include <string>

BERTHA_NAMESPACE_BEGIN

/// Rows of a chunk that belong together: [starts[s], starts[s + 1]) is sequence s, starts[0] the chunk's first row.
using SequenceStarts = std::span<const std::size_t>;

/// Self-attention with everything up to its norm. Immutable; `const` methods may run concurrently.
template <class Precision>
class SelfAttention {
 public:
  /// Takes `<layer>.attention.*`. Throws Error{missing_tensor | shape}.
  SelfAttention(WeightFile& file, const ModelConfig& config, const std::string& layer)
      : num_attention_heads_(config.num_attention_heads),
        head_size_(config.head_size()),
        padded_head_size_(kernels::round_up(head_size_, 16)),
        scale_(1.0f / std::sqrt(static_cast<float>(head_size_))),
        query_key_value_(file, layer + ".attention.query_key_value", 3 * padded_head_size_ * num_attention_heads_,
                         config.hidden_size),
        output_(file, layer + ".attention.output", config.hidden_size, config.hidden_size),
        norm_(file, layer + ".attention.output.norm", config.hidden_size, config.layer_norm_eps) {}

  /// Room for a call of that size: then calls don't allocate.
  void reserve(Scratch& scratch, const ScratchSize& size) const {
    scratch.context.matrix(size.rows, head_size_ * num_attention_heads_);
    scratch.query_key_value.matrix(size.rows, 3 * padded_head_size_);
    scratch.attention.reserve(kernels::attention_scratch(size.longest, head_size_));
    query_key_value_.reserve(scratch, size.rows);
    output_.reserve(scratch, size.rows);
  }

  /// In place: `hidden` [T, H] is x before and y after.
  void operator()(MatrixView<float> hidden, SequenceStarts starts, const Team& team) const {
    const auto context = team.shared().context.matrix(hidden.rows, hidden.cols);  // [T, H]
    const auto operand = query_key_value_.prepare(hidden, team);
    team.split(num_attention_heads_, [&](std::size_t begin, std::size_t end, Scratch& scratch) {
      for (std::size_t a = begin; a < end; ++a) {
        team.check_stop();
        attend(operand, a, context, starts, scratch);
      }
    });
    output_(context, hidden, team, {.residual = hidden});
    norm_(hidden, team);
  }

 private:
  void attend(const typename Linear<Precision>::Operand& operand, std::size_t attention_head, MatrixView<float> context,
              SequenceStarts starts, Scratch& scratch) const {
    const std::size_t width = 3 * padded_head_size_;
    const auto projected = scratch.query_key_value.matrix(context.rows, width);  // [T, 3 D']: query, key, value
    const std::size_t panels = width / 16;
    query_key_value_.product(operand, {attention_head * panels, (attention_head + 1) * panels}, projected, scratch);
    for (std::size_t s = 0; s + 1 < starts.size(); ++s) {
      const std::size_t first = starts[s] - starts[0];
      const std::size_t length = starts[s + 1] - starts[s];
      const float* query = projected.row(first);
      Precision::attend({.query = query,
                         .key = query + padded_head_size_,
                         .value = query + 2 * padded_head_size_,
                         .stride = projected.stride,
                         .length = length,
                         .head_size = head_size_,
                         .scale = scale_,
                         .context = context.row(first) + attention_head * head_size_,
                         .context_stride = context.stride,
                         .scratch = scratch.attention.reserve(kernels::attention_scratch(length, head_size_))});
    }
  }

  std::size_t num_attention_heads_, head_size_, padded_head_size_;
  float scale_;
  Linear<Precision> query_key_value_;  // [A 3 D', H]
  Linear<Precision> output_;           // [H, H]
  LayerNorm norm_;                     // [H]
};

BERTHA_NAMESPACE_END
