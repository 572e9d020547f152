// Weights that are rounded with regard to each other: no integer of theirs could be moved to a smaller error, what the
// layer reads comes out nearer, and nothing moves that nothing is known of.

#include <gtest/gtest.h>

#include <bertha/quantize/rounding.hpp>
#include <cmath>
#include <random>
#include <vector>

namespace {

using bertha::AlignedBuffer;
using bertha::MatrixView;
using bertha::QuantisedWeights;
using bertha::Weights;
using bertha::detail::Rounding;
using bertha::kernels::PanelLayout;

constexpr std::size_t kOutputs = 21, kInputs = 150, kRows = 90;  // panels, and blocks of inputs, are not whole

/// A layer whose inputs go together: six numbers are what is in all of them.
struct Layer {
  explicit Layer(float range = 1) : rows(kRows * kInputs) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> mixed(6 * kInputs), hidden(6);
    for (float& number : mixed) number = normal(random);
    for (std::size_t r = 0; r < kRows; ++r) {
      for (float& number : hidden) number = normal(random);
      for (std::size_t k = 0; k < kInputs; ++k) {
        float x = 0.1f * normal(random);
        for (std::size_t i = 0; i < 6; ++i) x += hidden[i] * mixed[i * kInputs + k];
        rows[r * kInputs + k] = range * x;
      }
    }
    std::fill_n(panels.data(), layout.size(), 0.0f);
    for (std::size_t n = 0; n < kOutputs; ++n)
      for (std::size_t k = 0; k < kInputs; ++k) panels.data()[layout.at(n, k)] = n == 3 ? 0 : normal(random);
    std::fill_n(factors.data(), factors.size(), 0.0f);
    for (std::size_t k = 0; k < kInputs; ++k) factors.data()[k] = 0.5f + static_cast<float>(k % 8) / 4;
  }
  MatrixView<const float> view() const { return {rows.data(), kRows, kInputs, kInputs}; }
  float weight(std::size_t n, std::size_t k) const { return panels.data()[layout.at(n, k)]; }
  QuantisedWeights quantised(bool smooth) {
    return bertha::quantise_weights(panels.data(), kOutputs, kInputs,
                                    smooth ? Weights<float>(std::move(factors)) : Weights<float>());
  }

  PanelLayout<float> layout{kOutputs, kInputs};
  std::vector<float> rows;
  AlignedBuffer<float> panels{layout.size()}, factors{bertha::kernels::padded(kInputs)};
};

const PanelLayout<std::int8_t> kLayout(kOutputs, kInputs);

/// What rounding adds to a weight of an input after smoothing.
double error_of(const Layer& layer, const QuantisedWeights& weights, std::size_t n, std::size_t k) {
  const double factor = weights.smoothing.size() > 0 ? double{weights.smoothing.data()[k]} : 1;
  return double{weights.scale.data()[n]} * weights.values.data()[kLayout.at(n, k)] -
         double{layer.weight(n, k)} / factor;
}

/// The sum of squares of the errors of all outputs on the rows.
double total_error(const Layer& layer, const QuantisedWeights& weights) {
  double total = 0;
  for (std::size_t r = 0; r < kRows; ++r)
    for (std::size_t n = 0; n < kOutputs; ++n) {
      double sum = 0;
      for (std::size_t k = 0; k < kInputs; ++k) {
        const double factor = weights.smoothing.size() > 0 ? double{weights.smoothing.data()[k]} : 1;
        sum += double{layer.rows[r * kInputs + k]} * factor * error_of(layer, weights, n, k);
      }
      total += sum * sum;
    }
  return total;
}

QuantisedWeights rounded(const Layer& layer, const QuantisedWeights& plain) {
  Rounding rounding(layer.view(), layer.panels.data(), kOutputs, plain);
  for (int sweep = 0; sweep < 30 && rounding.sweep() > 0; ++sweep) {
  }
  return rounding.weights();
}

TEST(Rounding, TakesMostOfTheErrorOffWhatTheLayerReads) {
  for (const bool smooth : {false, true}) {
    Layer layer;
    const QuantisedWeights plain = layer.quantised(smooth), weights = rounded(layer, plain);
    EXPECT_LT(total_error(layer, weights), 0.5 * total_error(layer, plain)) << smooth;
  }
}

TEST(Rounding, EndsWhereNoIntegerCouldBeMovedToASmallerError) {
  for (const bool smooth : {false, true}) {
    Layer layer;
    const QuantisedWeights weights = rounded(layer, layer.quantised(smooth));
    std::vector<double> moments(kInputs * kInputs);
    double mean = 0;
    for (std::size_t k = 0; k < kInputs; ++k)
      for (std::size_t i = 0; i < kInputs; ++i)
        for (std::size_t r = 0; r < kRows; ++r)
          moments[k * kInputs + i] += double{layer.rows[r * kInputs + k]} * double{layer.rows[r * kInputs + i]} *
                                      (smooth ? double{weights.smoothing.data()[k] * weights.smoothing.data()[i]} : 1);
    for (std::size_t k = 0; k < kInputs; ++k) mean += moments[k * kInputs + k] / kInputs;
    for (std::size_t k = 0; k < kInputs; ++k) moments[k * kInputs + k] += mean;
    for (std::size_t n = 0; n < kOutputs; ++n)
      for (std::size_t k = 0; k < kInputs && n != 3; ++k) {
        double gradient = 0;
        for (std::size_t i = 0; i < kInputs; ++i) gradient += moments[k * kInputs + i] * error_of(layer, weights, n, i);
        const int q = weights.values.data()[kLayout.at(n, k)];
        const double step = gradient / (moments[k * kInputs + k] * double{weights.scale.data()[n]});
        if ((step > 0 && q > -127) || (step < 0 && q < 127)) {
          EXPECT_LT(std::fabs(step), 0.501) << n << ' ' << k;
        }
      }
  }
}

TEST(Rounding, KeepsScaleAndSmoothingAndSumsUpWhatItWrites) {
  Layer layer;
  const QuantisedWeights plain = layer.quantised(true), weights = rounded(layer, plain);
  EXPECT_EQ(weights.scale.data(), plain.scale.data());
  EXPECT_EQ(weights.smoothing.data(), plain.smoothing.data());
  std::size_t moved = 0;
  for (std::size_t n = 0; n < bertha::kernels::padded(kOutputs); ++n) {
    std::int32_t sum = 0;
    for (std::size_t k = 0; k < kLayout.depth(); ++k) {
      const std::int8_t q = weights.values.data()[kLayout.at(n, k)];
      sum += q;
      EXPECT_GE(q, -127);
      moved += q != plain.values.data()[kLayout.at(n, k)];
      if (n == 3 || n >= kOutputs || k >= kInputs) {
        EXPECT_EQ(q, 0) << n << ' ' << k;  // weights of 0, and what fills the panels up
      }
    }
    EXPECT_EQ(weights.sum.data()[n], sum);
  }
  EXPECT_GT(moved, kOutputs);
}

TEST(Rounding, MovesNothingWhereNothingIsRead) {
  for (const float range : {0.0f, std::nanf("")}) {
    Layer layer(range);
    const QuantisedWeights plain = layer.quantised(false);
    Rounding rounding(layer.view(), layer.panels.data(), kOutputs, plain);
    EXPECT_EQ(rounding.sweep(), 0u);
  }
}

}  // namespace
