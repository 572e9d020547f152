// One encoder layer: attention, then feed-forward, each with its residual and norm, behind them or before.
//
//     post: h = LayerNorm(x + attention(x))      pre: h = x + attention(LayerNorm(x))
//           y = LayerNorm(h + feed_forward(h))        y = h + feed_forward(LayerNorm(h))
//
// Shapes: x, h, y [T, H]. Equals `BertLayer` in transformers/models/bert/modeling_bert.py (5.23.0), and
// `ModernBertEncoderLayer` in .../modernbert/modeling_modernbert.py.

#pragma once

#include <bertha/encoder/attention.hpp>
#include <bertha/encoder/feed_forward.hpp>
#include <bertha/encoder/layer_norm.hpp>

BERTHA_NAMESPACE_BEGIN

/// The two blocks and the norms between them. Immutable; `const` methods may run concurrently.
template <Precision P>
class EncoderLayer {
 public:
  /// Takes `<layer.weights>.*`. Throws Error{missing_tensor | shape}.
  EncoderLayer(WeightFile& file, const ModelConfig& config, const LayerConfig& layer, const PositionTables& positions)
      : norm_place_(config.norm_place),
        attention_(file, config, layer, positions),
        attention_norm_(take(file, config, layer, ".attention")),
        feed_forward_(file, config, layer),
        feed_forward_norm_(take(file, config, layer, "")) {}

  /// visit(linear) for each linear layer.
  template <class Visit>
  void for_each_linear(const Visit& visit) const {
    attention_.for_each_linear(visit);
    feed_forward_.for_each_linear(visit);
  }

  /// Memory for a chunk of that size: then calls don't allocate.
  void reserve(const Team& team, const ChunkSize& size) const {
    attention_.reserve(team, size);
    feed_forward_.reserve(team, size);
    if (norm_place_ == NormPlace::pre) team.chunk().normed.matrix(size.rows, attention_.hidden_size());
  }

  /// In place on the rows of one chunk: `hidden` [T, H] is x before and y after. Returns y: `hidden`, or the rows of
  /// first tokens, which are at its begin then.
  MatrixView<float> operator()(MatrixView<float> hidden, SequenceStarts starts, const LayerSight& sight,
                               LayerTokens tokens, const Team& team) const {
    hidden = attention_(before(attention_norm_, hidden, team), hidden, starts, sight, tokens, team);
    behind(attention_norm_, hidden, team);
    feed_forward_(before(feed_forward_norm_, hidden, team), hidden, team);
    behind(feed_forward_norm_, hidden, team);
    return hidden;
  }

 private:
  using Norm = std::optional<LayerNorm>;  // [H]

  static Norm take(WeightFile& file, const ModelConfig& config, const LayerConfig& layer, std::string_view block) {
    const std::string_view end = config.norm_place == NormPlace::pre ? ".norm" : ".output.norm";
    return take_norm(file, config, concat({layer.weights, block, end}), config.hidden_size, layer.needs_bias);
  }

  /// What a block reads.
  MatrixView<const float> before(const Norm& norm, MatrixView<float> hidden, const Team& team) const {
    if (norm_place_ == NormPlace::post || !norm) return hidden;
    const auto normed = team.chunk().normed.matrix(hidden.rows, hidden.cols);
    (*norm)(hidden, normed, team);
    return normed;
  }
  void behind(const Norm& norm, MatrixView<float> hidden, const Team& team) const {
    if (norm_place_ == NormPlace::post) (*norm)(hidden, team);
  }

  NormPlace norm_place_;
  SelfAttention<P> attention_;
  Norm attention_norm_;
  FeedForward<P> feed_forward_;
  Norm feed_forward_norm_;
};

BERTHA_NAMESPACE_END
