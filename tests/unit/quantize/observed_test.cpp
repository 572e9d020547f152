// What calibration sees: every row that a layer reads, and the error of every row of attention.

#include <gtest/gtest.h>

#include <bertha/quantize/observed.hpp>
#include <cmath>
#include <random>
#include <vector>

namespace {

using bertha::AlignedBuffer;
using bertha::MatrixView;
using bertha::ObservedAttention;
using bertha::ObservedInputs;
namespace kernels = bertha::kernels;

constexpr std::size_t kLength = 19, kSize = 16, kHeads = 2;

/// Two attention heads' queries, keys and values, and what float32 makes of them.
struct Heads {
  Heads() : projected(kLength * 3 * kHeads * kSize), exact(kLength * kHeads * kSize), scratch(kScratch) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 3);
    for (std::size_t i = 0; i < projected.size(); ++i) projected.data()[i] = normal(random);
    for (std::size_t head = 0; head < kHeads; ++head) kernels::table().attention_f32(of(head, exact.data()));
  }

  kernels::Attention of(std::size_t head, float* contexts) {
    const float* query = projected.data() + head * kSize;
    kernels::Attention args;
    args.query = query, args.key = query + kHeads * kSize, args.value = query + 2 * kHeads * kSize;
    args.stride = 3 * kHeads * kSize, args.length = kLength, args.head_size = kSize, args.scale = 0.1f;
    args.context = contexts + head * kSize, args.context_stride = kHeads * kSize;
    args.scratch = scratch.data();
    return args;
  }

  static constexpr std::size_t kScratch = kernels::attention_scratch(kLength, kSize);
  AlignedBuffer<float> projected, exact;
  AlignedBuffer<std::byte> scratch;
};

TEST(ObservedAttention, GivesTheRootOfTheMeanSquareOfTheErrorsOfAllRowsAndHeads) {
  Heads heads;
  ObservedAttention observed(kHeads);
  EXPECT_FALSE(observed.seen());
  for (std::size_t head = 0; head < kHeads; ++head) observed.add(head, heads.of(head, heads.exact.data()));
  EXPECT_TRUE(observed.seen());
  AlignedBuffer<float> rounded(heads.exact.size());
  double errors[2];
  for (const bool fine : {false, true}) {
    double squares = 0;
    for (std::size_t head = 0; head < kHeads; ++head) {
      kernels::Attention args = heads.of(head, rounded.data());
      args.fine = fine;
      kernels::table().attention_s8(args);
    }
    for (std::size_t i = 0; i < rounded.size(); ++i)
      squares += std::pow(double{rounded.data()[i]} - double{heads.exact.data()[i]}, 2);
    errors[fine] = std::sqrt(squares / static_cast<double>(rounded.size()));
    EXPECT_NEAR(observed.error(fine), errors[fine], 1e-12);
  }
  EXPECT_LT(errors[true], errors[false]);
}

TEST(ObservedInputs, KeepsTheLargestOfAllRowsAndSamplesEveryFewOfThem) {
  ObservedInputs observed(2);
  const std::vector<float> first = {-5, 1, 2, 3}, second = {4, -2, 1, 7, 0, 0};
  observed.sample(2);
  observed.add(MatrixView<const float>{first.data(), 2, 2, 2});
  observed.add(MatrixView<const float>{second.data(), 3, 2, 2});
  EXPECT_EQ(observed.largest(), (std::vector<float>{5, 7}));
  const MatrixView<const float> rows = observed.rows();  // the first, third and fifth
  EXPECT_EQ(std::vector<float>(rows.data, rows.data + rows.rows * rows.cols), (std::vector<float>{-5, 1, 4, -2, 0, 0}));
}

}  // namespace
