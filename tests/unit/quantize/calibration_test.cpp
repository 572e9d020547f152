// How a layer is calibrated: smoothed as strongly as makes it err least on what it reads.

#include <gtest/gtest.h>

#include "../../support/model_writer.hpp"

#include <algorithm>
#include <bertha/encoder/workspace.hpp>
#include <bertha/quantize/calibration.hpp>
#include <cmath>
#include <cstring>
#include <random>
#include <set>
#include <vector>

namespace {

using bertha::CalibratedLinear;
using bertha::MatrixView;
using bertha::Observed;
using bertha::Team;
using bertha::Weights;
using namespace bertha_test;

bool same(const Weights<float>& a, const Weights<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST(Calibrate, TakesOfAllStrengthsOfSmoothingTheOneThatErrsLeast) {
  const AlignedBytes bytes(ModelWriter::tiny({}).bytes());
  bertha::Workspace work;
  work.prepare({.max_threads = 1});
  std::set<int> taken;  // in eighths
  for (unsigned round = 0; round < 100; ++round) {
    auto file = bertha::WeightFile::from_bytes(bytes.span());
    const std::size_t inputs = file.config().hidden_size, rows = 64;
    const Observed::Panels layer(file, "encoder.layer.0.intermediate", file.config().intermediate_size, inputs);
    std::mt19937 random(round);
    std::normal_distribution<float> normal;
    std::vector<float> read(rows * inputs), scale(inputs);  // inputs that differ more and more
    for (float& s : scale) s = std::exp(0.2f * static_cast<float>(round) * normal(random));
    for (std::size_t i = 0; i < read.size(); ++i) read[i] = scale[i % inputs] * normal(random);
    layer.observed().add(MatrixView<const float>{read.data(), rows, inputs, inputs});
    work.for_each(1, [&](std::size_t, const Team& alone) {
      const CalibratedLinear found = calibrate(layer, alone);
      if (found.weights.smoothing.size() == 0) return;
      bertha::detail::LinearTrial trial(layer, alone);
      double least = INFINITY;
      int best = 0;
      Weights<float> smoothing;
      for (int eighths = 2; eighths <= 6; ++eighths) {
        auto weights = bertha::quantise_weights(
            layer.weights(), layer.outputs(), inputs,
            bertha::detail::smoothing_of(layer.observed().largest(), bertha::detail::largest_weights(layer), eighths));
        weights.zero_point = found.weights.zero_point;
        if (const double error = trial.error(weights); error < least) {
          least = error;
          best = eighths;
          smoothing = weights.smoothing;
        }
      }
      EXPECT_TRUE(same(found.weights.smoothing, smoothing)) << "round " << round << ", " << best << " eighths";
      taken.insert(best);
    });
  }
  EXPECT_EQ(taken, (std::set<int>{2, 3, 4, 5, 6}));
}

}  // namespace
