// One encoder layer: attention, then feed-forward, each with its residual and norm, behind them, before, or both.
//
//     post:   h = LayerNorm(x + attention(x))      pre: h = x + attention(LayerNorm(x))
//             y = LayerNorm(h + feed_forward(h))        y = h + feed_forward(LayerNorm(h))
//     around: h = x + LayerNorm(attention(LayerNorm(x)))
//             y = h + LayerNorm(feed_forward(LayerNorm(h)))
//
// Shapes: x, h, y [T, H]. Equals `BertLayer` in transformers/models/bert/modeling_bert.py (5.23.0),
// `ModernBertEncoderLayer` in .../modernbert/modeling_modernbert.py and `Gemma3DecoderLayer` in
// .../gemma3/modeling_gemma3.py.

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
        attention_norms_(take(file, config, layer, ".attention")),
        feed_forward_(file, config, layer),
        feed_forward_norms_(take(file, config, layer, "")) {}

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
    if (norm_place_ != NormPlace::post) team.chunk().normed.matrix(size.rows, attention_.hidden_size());
  }

  /// In place on the rows of one chunk: `hidden` [T, H] is x before and y after. Returns y: `hidden`, or the rows of
  /// first tokens, which are at its begin then.
  MatrixView<float> operator()(MatrixView<float> hidden, SequenceStarts starts, const LayerSight& sight,
                               LayerTokens tokens, const Team& team) const {
    const MatrixView<float> apart =
        norm_place_ == NormPlace::around ? normed(hidden, team) : MatrixView<float>{};  // what a block makes
    hidden = attention_(before(attention_norms_, hidden, team), hidden, apart, starts, sight, tokens, team);
    behind(attention_norms_, hidden, apart, team);
    feed_forward_(before(feed_forward_norms_, hidden, team), hidden, apart.middle_rows(0, apart.rows ? hidden.rows : 0),
                  team);
    behind(feed_forward_norms_, hidden, apart, team);
    return hidden;
  }

 private:
  using Norm = std::optional<LayerNorm>;  // [H]
  struct Norms {
    Norm before, behind;
  };

  static Norms take(WeightFile& file, const ModelConfig& config, const LayerConfig& layer, std::string_view block) {
    const auto norm = [&](NormPlace without, std::string_view end) {
      if (config.norm_place == without) return Norm();
      return take_norm(file, config, concat({layer.weights, block, end}), config.hidden_size, layer.needs_bias);
    };
    Norm before = norm(NormPlace::post, ".norm");
    return {std::move(before), norm(NormPlace::pre, ".output.norm")};
  }

  static MatrixView<float> normed(MatrixView<float> hidden, const Team& team) {
    return team.chunk().normed.matrix(hidden.rows, hidden.cols);
  }
  /// What a block reads.
  MatrixView<const float> before(const Norms& norms, MatrixView<float> hidden, const Team& team) const {
    if (!norms.before) return hidden;
    (*norms.before)(hidden, normed(hidden, team), team);
    return normed(hidden, team);
  }
  void behind(const Norms& norms, MatrixView<float> hidden, MatrixView<float> apart, const Team& team) const {
    if (norm_place_ == NormPlace::around)
      norms.behind->add(apart.middle_rows(0, hidden.rows), hidden, team);
    else if (norms.behind)
      (*norms.behind)(hidden, team);
  }

  NormPlace norm_place_;
  SelfAttention<P> attention_;
  Norms attention_norms_;
  FeedForward<P> feed_forward_;
  Norms feed_forward_norms_;
};

BERTHA_NAMESPACE_END
