// How the inputs of a linear layer are best quantised, and attention's probabilities: found by trying, on what the
// layer read.
//
// A smoothing vector moves what is large among the inputs into the weights: s[k] = w[k]^(1 - a) / x[k]^a, of the
// largest magnitudes of the weights that read input k and of the input itself. A zero point lets inputs that lie mostly
// on one side of 0, as after an activation, use all integers. The weights are then rounded with regard to each other
// (rounding.hpp). What counts is the error of the layer's outputs; its mean is taken off the bias.

#pragma once

#include <algorithm>
#include <bertha/encoder/precision.hpp>
#include <bertha/quantize/arithmetic.hpp>
#include <bertha/quantize/observed.hpp>
#include <bertha/quantize/rounding.hpp>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A linear layer of the encoder in int8, and how well it does: rms errors of its outputs on what was observed.
struct CalibratedLinear {
  std::string name;
  QuantisedWeights weights;
  std::vector<float> mean_error = {};  ///< [N'], of its outputs: what the bias is to make up for; or empty
  double plain_error = 0;              ///< without smoothing and zero point
  double error = 0;                    ///< as `weights` have them
};

/// Attention of a layer in int8: rms errors of its contexts on what was observed.
struct CalibratedAttention {
  std::string name;
  bool fine = false;       ///< probabilities have 15 bits
  double plain_error = 0;  ///< with 8 bits
  double error = 0;        ///< as `fine` says
};

namespace detail {

/// x^(eighths / 8), by square roots, which are the same on every machine.
inline float power(float x, int eighths) {
  float result = 1;
  for (int bit = 4; bit > 0; bit /= 2) {
    x = std::sqrt(x);
    if ((eighths & bit) != 0) result *= x;
  }
  return result;
}

/// The vector of the strength a = eighths / 8, the largest factor being 1.
inline Weights<float> smoothing_of(const std::vector<float>& inputs, const std::vector<float>& weights, int eighths) {
  const auto floor_of = [](const std::vector<float>& all) {  // none is 0: an input that was never seen is no infinity
    return std::max(0x1p-60f, 0x1p-16f * *std::max_element(all.begin(), all.end()));
  };
  const float least_input = floor_of(inputs), least_weight = floor_of(weights);
  AlignedBuffer<float> factors(kernels::padded(inputs.size()));
  std::fill_n(factors.data(), factors.size(), 0.0f);
  float largest = 0;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const float input = std::max(least_input, inputs[k]), weight = std::max(least_weight, weights[k]);
    factors.data()[k] = power(weight, 8 - eighths) / power(input, eighths);
    largest = std::max(largest, factors.data()[k]);
  }
  for (std::size_t k = 0; k < inputs.size(); ++k) factors.data()[k] = std::max(0x1p-24f, factors.data()[k] / largest);
  return Weights<float>(std::move(factors));
}

/// The largest magnitude of the weights that read each input.
inline std::vector<float> largest_weights(const Observed::Panels& layer) {
  const kernels::PanelLayout<float> layout(layer.outputs(), layer.inputs());
  std::vector<float> largest(layer.inputs());
  for (std::size_t n = 0; n < layer.outputs(); ++n)
    for (std::size_t k = 0; k < layer.inputs(); ++k)
      largest[k] = std::max(largest[k], std::fabs(layer.weights()[layout.at(n, k)]));
  return largest;
}

/// Outputs of a layer, and of int8 versions of it, on the rows that were observed.
class LinearTrial {
 public:
  LinearTrial(const Observed::Panels& layer, const Team& team)
      : layer_(layer), team_(team), rows_(layer.observed().rows()) {
    const std::size_t width = kernels::padded(layer.outputs());
    zeros_.resize(width);
    exact_ = exact_memory_.matrix(rows_.rows, width);
    found_ = found_memory_.matrix(rows_.rows, width);
    layer.reserve(memory(), rows_.rows, width / 16);
    layer.product(rows_, {0, width / 16}, zeros_.data(), exact_, {}, memory());
  }

  /// The mean error of each output, where `error` was called last.
  std::vector<float> mean_error() const {
    std::vector<float> means(zeros_.size());
    for (std::size_t n = 0; n < layer_.outputs(); ++n) {
      double sum = 0;
      for (std::size_t r = 0; r < rows_.rows; ++r)
        sum += static_cast<double>(found_(r, n)) - static_cast<double>(exact_(r, n));
      means[n] = static_cast<float>(sum / static_cast<double>(std::max<std::size_t>(1, rows_.rows)));
    }
    return means;
  }

  /// The rms error of the outputs with these weights.
  double error(const QuantisedWeights& weights) {
    const Int8::Panels panels(weights, layer_.outputs(), layer_.inputs());
    panels.reserve(team_.chunk(), rows_.rows);
    panels.reserve(memory(), rows_.rows, zeros_.size() / 16);
    panels.product(panels.prepare(rows_, team_), {0, zeros_.size() / 16}, zeros_.data(), found_, {}, memory());
    double sum = 0;
    for (std::size_t r = 0; r < rows_.rows; ++r) sum += squared_error(exact_.row(r), found_.row(r), layer_.outputs());
    return std::sqrt(sum / static_cast<double>(std::max<std::size_t>(1, rows_.rows * layer_.outputs())));
  }

 private:
  ThreadMemory& memory() const { return team_.members(1).front(); }

  const Observed::Panels& layer_;
  const Team& team_;
  MatrixView<const float> rows_;
  std::vector<float> zeros_;  // for a bias
  AlignedBuffer<float> exact_memory_, found_memory_;
  MatrixView<float> exact_, found_;
};

}  // namespace detail

/// The best way to quantise what `layer` has read, as far as smoothing, zero point and rounding gain something. The
/// team is of one thread.
inline CalibratedLinear calibrate(const Observed::Panels& layer, const Team& team) {
  constexpr double kGain = 0.98;  // less is chance, and not worth the work of every call
  detail::LinearTrial trial(layer, team);
  const bool may_shift = kernels::round_up(layer.inputs(), 64) <= kernels::kMostShiftedInputsS8;
  const std::vector<float> weights = detail::largest_weights(layer);
  CalibratedLinear best{layer.name(), quantise_weights(layer.weights(), layer.outputs(), layer.inputs())};
  best.plain_error = best.error = trial.error(best.weights);
  double least = best.error;  // with what smoothing and zero points must gain
  const auto try_out = [&](QuantisedWeights candidate) {
    for (const bool zero_point : {false, true}) {
      if (zero_point && !may_shift) continue;
      candidate.zero_point = zero_point;
      const double error = trial.error(candidate);
      const double asked = error / ((zero_point ? kGain : 1.0) * (candidate.smoothing.size() > 0 ? kGain : 1.0));
      if (!(asked < least)) continue;
      least = asked;
      best.error = error;
      best.weights = candidate;
    }
  };
  try_out(best.weights);
  for (int eighths = 2; eighths <= 6; ++eighths)
    try_out(quantise_weights(layer.weights(), layer.outputs(), layer.inputs(),
                             detail::smoothing_of(layer.observed().largest(), weights, eighths)));
  constexpr int kSweeps = 3;  // the next would move next to nothing
  detail::Rounding rounding(layer.observed().rows(), layer.weights(), layer.outputs(), best.weights);
  for (int sweep = 0; sweep < kSweeps && rounding.sweep() > 0; ++sweep) team.check_stop();
  const QuantisedWeights rounded = rounding.weights();
  const double error = trial.error(rounded);
  if (error < best.error) {
    best.weights = rounded;
    best.error = error;
  } else {
    trial.error(best.weights);
  }
  best.mean_error = trial.mean_error();
  return best;
}

/// Fine probabilities where they gain something, for attention of what `projection` makes.
inline CalibratedAttention calibrate_attention(const Observed::Panels& projection) {
  constexpr double kGain = 0.9;  // a product more at every call is worth a tenth of the error
  const ObservedAttention& observed = projection.attention();
  const std::string_view name = projection.name();
  CalibratedAttention found{std::string(name.substr(0, name.rfind('.'))), false, observed.error(false),
                            observed.error(false)};
  if (observed.error(true) < kGain * found.plain_error) {
    found.fine = true;
    found.error = observed.error(true);
  }
  return found;
}

BERTHA_NAMESPACE_END
