// Multi-head self-attention of one layer, with its output projection.
//
//     context = concat over attention heads a of softmax(q_a k_a^T / sqrt(D n) + bias_a) v_a
//     hidden += W_o context + b_o
//
// Shapes: hidden and x, of which q, k and v are made, [T, H]; q, k, v [T, D] for each attention head; W_o [H, H]; T
// tokens of the chunk, H hidden_size, A num_attention_heads, D = H / A; bias_a[i, j], where there is one, depends on
// j - i alone, as `compute_position_bias` in .../mpnet/modeling_mpnet.py makes it, or is (q_a[i] pk_a[j - i] + k_a[j]
// pq_a[j - i]) / sqrt(D n), relative keys and queries of the distance as `DisentangledSelfAttention` in
// .../deberta_v2/modeling_deberta_v2.py has them, n score_terms, 1 elsewhere. Where there are angles, q and k are
// turned first, as `apply_rotary_pos_emb` in .../modernbert/modeling_modernbert.py does it, and where they have norms
// of their own, over D, these come before that, as `Gemma3Attention` in .../gemma3/modeling_gemma3.py has it. With a
// window, keys that are further than that from a query take no part. Equals `BertSelfAttention` +
// `BertSelfOutput` in transformers/models/bert/modeling_bert.py (5.23.0), without dropout and without the norm, which
// is the layer's. A sequence sees only its own rows: sequences lie one after the other, so there is no mask. An
// attention head's projection is computed and used while it is in cache.

#pragma once

#include <algorithm>
#include <bertha/encoder/layer_norm.hpp>
#include <bertha/encoder/linear.hpp>
#include <bertha/encoder/position_tables.hpp>
#include <optional>
#include <span>
#include <string>

BERTHA_NAMESPACE_BEGIN

/// Rows of a chunk that belong together: [starts[s], starts[s + 1]) is sequence s, starts[0] the chunk's first row.
using SequenceStarts = std::span<const std::size_t>;

/// Of which tokens a layer makes rows: of all, or of the first one of each sequence.
enum class LayerTokens : std::uint8_t { all, first };

namespace detail {

/// The rows of first tokens, moved to the begin of `rows`.
BERTHA_FUNCTION MatrixView<float> first_rows(MatrixView<float> rows, SequenceStarts starts);

#if defined(BERTHA_DEFINES_FUNCTIONS)
BERTHA_FUNCTION MatrixView<float> first_rows(MatrixView<float> rows, SequenceStarts starts) {
  const std::size_t n = starts.size() - 1;
  for (std::size_t s = 1; s < n; ++s) std::copy_n(rows.row(starts[s] - starts[0]), rows.cols, rows.row(s));
  return rows.middle_rows(0, n);
}
#endif

}  // namespace detail

/// Immutable; `const` methods may run concurrently.
template <Precision P>
class SelfAttention {
 public:
  /// Takes `<layer.weights>.attention.*` but what `positions` has, which must live as long. Throws Error{missing_tensor
  /// | shape}.
  SelfAttention(WeightFile& file, const ModelConfig& config, const LayerConfig& layer, const PositionTables& positions)
      : positions_(&positions),
        stored_layer_(layer.stored),
        num_attention_heads_(config.num_attention_heads),
        head_size_(config.head_size()),
        padded_head_size_(kernels::round_up(head_size_, 16)),
        scale_(kernels::attention_scale(head_size_ * config.score_terms)),
        fine_(std::binary_search(config.fine_attention.begin(), config.fine_attention.end(),
                                 layer.weights + ".attention")),
        query_key_value_(file, layer.weights + ".attention.query_key_value",
                         3 * padded_head_size_ * num_attention_heads_, config.hidden_size, layer.needs_bias),
        query_norm_(take_head_norm(file, config, layer.weights + ".attention.query.norm", layer.needs_bias)),
        key_norm_(take_head_norm(file, config, layer.weights + ".attention.key.norm", layer.needs_bias)),
        output_(file, layer.weights + ".attention.output", config.hidden_size, config.hidden_size, layer.needs_bias) {}

  /// visit(linear) for each linear layer.
  template <class Visit>
  void for_each_linear(const Visit& visit) const {
    visit(query_key_value_);
    visit(output_);
  }

  std::size_t hidden_size() const { return head_size_ * num_attention_heads_; }

  /// Memory for a chunk of that size: then calls don't allocate.
  void reserve(const Team& team, const ChunkSize& size) const {
    team.chunk().context.matrix(size.rows, hidden_size());
    for (ThreadMemory& memory : team.members(num_attention_heads_)) {
      memory.query_key_value.matrix(size.rows, 3 * padded_head_size_);
      positions_->reserve(memory);
      memory.attention.reserve(kernels::attention_scratch(size.longest, head_size_, positions_->relative_rows()));
    }
    query_key_value_.reserve(team, size.rows, num_attention_heads_);
    output_.reserve(team, size.rows);
  }

  /// Adds to `hidden` [T, H] what it makes of x [T, H], which may be `hidden` itself, or writes that alone to `apart`
  /// where it has rows; x may be these. Returns `hidden`, or the rows of first tokens, which are moved to its begin;
  /// `apart` has as many then.
  MatrixView<float> operator()(MatrixView<const float> x, MatrixView<float> hidden, MatrixView<float> apart,
                               SequenceStarts starts, const LayerSight& sight, LayerTokens tokens,
                               const Team& team) const {
    auto context = team.chunk().context.matrix(hidden.rows, hidden.cols);  // [T, H]
    const auto operand = query_key_value_.prepare(x, team);
    team.split(num_attention_heads_, [&](std::size_t begin, std::size_t end, ThreadMemory& memory) {
      for (std::size_t a = begin; a < end; ++a) {
        team.check_stop();
        attend(operand, a, context, starts, sight, memory);
      }
    });
    if (tokens == LayerTokens::first) {
      context = detail::first_rows(context, starts);
      hidden = detail::first_rows(hidden, starts);
    }
    if (apart.rows > 0)
      output_(context, apart.middle_rows(0, hidden.rows), team);
    else
      output_(context, hidden, team, {.residual = hidden});
    return hidden;
  }

 private:
  void attend(const typename Linear<P>::Operand& operand, std::size_t attention_head, MatrixView<float> context,
              SequenceStarts starts, const LayerSight& sight, ThreadMemory& memory) const {
    const std::size_t width = 3 * padded_head_size_;
    const auto projected = memory.query_key_value.matrix(context.rows, width);  // [T, 3 D']: query, key, value
    const std::size_t panels = width / 16;
    query_key_value_.product(operand, {attention_head * panels, (attention_head + 1) * panels}, projected, memory);
    if (query_norm_) {
      const MatrixView<float> queries{projected.data, projected.rows, head_size_, projected.stride};
      const MatrixView<float> keys{projected.data + padded_head_size_, projected.rows, head_size_, projected.stride};
      (*query_norm_)(queries, queries);
      (*key_norm_)(keys, keys);
    }
    for (std::size_t s = 0; s + 1 < starts.size(); ++s) {
      const std::size_t first = starts[s] - starts[0];
      const std::size_t length = starts[s + 1] - starts[s];
      float* query = projected.row(first);
      kernels::Attention attention = {.query = query,
                                      .key = query + padded_head_size_,
                                      .value = query + 2 * padded_head_size_,
                                      .stride = projected.stride,
                                      .length = length,
                                      .head_size = head_size_,
                                      .scale = scale_,
                                      .context = context.row(first) + attention_head * head_size_,
                                      .context_stride = context.stride,
                                      .scratch = memory.attention.reserve(
                                          kernels::attention_scratch(length, head_size_, positions_->relative_rows())),
                                      .fine = fine_,
                                      .window = sight.window};
      positions_->prepare({stored_layer_, attention_head, sight.rotary}, query, attention, memory);
      P::attend(query_key_value_.weight(), attention_head, attention);
    }
  }

  const PositionTables* positions_;  // the encoder's
  std::size_t stored_layer_;
  std::size_t num_attention_heads_, head_size_, padded_head_size_;
  float scale_;
  bool fine_;                  // in int8
  Linear<P> query_key_value_;  // [A 3 D', H]
  std::optional<LayerNorm> query_norm_, key_norm_;
  Linear<P> output_;  // [H, H]
};

BERTHA_NAMESPACE_END
