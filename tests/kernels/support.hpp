// What the kernel tests share: numbers that are the same on every compiler, buffers with guard zones, comparison of
// bits.

#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bertha/kernels/table.hpp>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <string>
#include <vector>

namespace bertha::testing {

inline constexpr Activation kActivations[] = {Activation::none, Activation::gelu, Activation::gelu_tanh,
                                              Activation::relu, Activation::silu, Activation::tanh};

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

using Sizes = std::initializer_list<std::size_t>;

/// Numbers from a linear congruence, exact in every step, so that they are the same everywhere.
class Random {
 public:
  explicit Random(std::uint32_t seed) : state_(seed * 2654435761u + 12345u) {}
  std::uint32_t bits() {
    state_ = state_ * 1664525u + 1013904223u;
    return state_ >> 8;  // 24 bits
  }
  std::size_t below(std::size_t n) { return bits() % n; }
  std::size_t between(std::size_t first, std::size_t last) { return first + below(last - first + 1); }
  /// In [-range, range) when range is a power of two.
  float number(float range = 1.0f) {
    return range * (static_cast<float>(static_cast<std::int32_t>(bits()) - (1 << 23)) * 0x1p-23f);
  }

 private:
  std::uint32_t state_;
};

/// A buffer of garbage between two guard zones. `offset` elements past a 64-byte boundary.
template <class Element>
class Guarded {
 public:
  // Out of line: inlined where a size is computed, g++ 12 takes it for one that overflows.
  __attribute__((noinline)) explicit Guarded(std::size_t size, std::size_t offset = 0)
      : size_(size), bytes_(size * sizeof(Element) + 2 * kGuard + 128, kMark) {
    const auto address = reinterpret_cast<std::uintptr_t>(bytes_.data());
    begin_ = (64 - address % 64) % 64 + kGuard + offset * sizeof(Element);
    for (std::size_t i = begin_; i < begin_ + size * sizeof(Element); ++i) bytes_[i] = kGarbage;
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  Element* data() { return reinterpret_cast<Element*>(bytes_.data() + begin_); }
  Element& operator[](std::size_t i) { return data()[i]; }
  std::size_t size() const { return size_; }
  bool guards_intact() const {
    for (std::size_t i = 0; i < bytes_.size(); ++i)
      if ((i < begin_ || i >= begin_ + size_ * sizeof(Element)) && bytes_[i] != kMark) return false;
    return true;
  }
  void fill(Random& random, float range = 1.0f) {
    for (std::size_t i = 0; i < size_; ++i) data()[i] = static_cast<Element>(random.number(range));
  }

 private:
  static constexpr std::size_t kGuard = 256;
  static constexpr unsigned char kMark = 0xa5, kGarbage = 0xff;  // a float of garbage is NaN
  std::size_t size_, begin_ = 0;
  std::vector<unsigned char> bytes_;
};

/// Scratch of a product of so many rows. Nothing beside it may be written.
class ProductScratch {
 public:
  explicit ProductScratch(std::size_t rows) : bytes_(kernels::product_scratch(rows)) {}
  ~ProductScratch() { EXPECT_TRUE(bytes_.guards_intact()) << "sums outside of their scratch"; }
  std::byte* data() { return bytes_.data(); }

 private:
  Guarded<std::byte> bytes_;
};

/// Rows of int8 numbers as gemm_s8 of a level reads them: what its pack_quantised writes, written out; and -128 too.
class QuantisedRows {
 public:
  QuantisedRows(const kernels::Table& level, const std::int8_t* numbers, std::size_t stride, std::size_t rows,
                std::size_t depth)
      : tiles_(level.pack_quantised.level.find("amx") != std::string_view::npos),
        bytes_(level.quantised_bytes),
        stride_((depth + kGap) * bytes_),
        memory_((tiles_ ? kernels::round_up(rows, kernels::kTileRows) : rows) * stride_, 2) {
    for (std::size_t r = 0; tiles_ && r < kernels::round_up(rows, kernels::kTileRows); ++r)
      for (std::size_t i = 0; i < depth; ++i) memory_[at(r, i)] = 0;
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t i = 0; i < depth; ++i) {
        const std::int16_t number = numbers[r * stride + i];
        std::memcpy(memory_.data() + at(r, i), &number, bytes_);  // little endian
      }
  }
  const std::int8_t* data() { return memory_.data(); }
  std::size_t size() const { return memory_.size(); }
  /// In bytes, as that of an operation.
  std::size_t stride() const { return stride_; }
  /// Where the byte, or word, of a number is.
  std::size_t at(std::size_t row, std::size_t i) const {
    if (tiles_) return kernels::in_row_tiles<std::int8_t>(row, i, stride_);
    constexpr std::size_t kEvenFirst[] = {0, 2, 1, 3};
    return row * stride_ + (bytes_ == 1 ? i : 2 * (i / 4 * 4 + kEvenFirst[i % 4]));
  }

 private:
  static constexpr std::size_t kGap = 6;  // between rows
  bool tiles_;
  std::size_t bytes_, stride_;
  Guarded<std::int8_t> memory_;
};

/// Equal in bits, but that every NaN equals every other: their bits are not promised.
inline bool same(float a, float b) {
  if (a != a || b != b) return a != a && b != b;
  return std::memcmp(&a, &b, sizeof a) == 0;
}
inline bool same(std::int8_t a, std::int8_t b) { return a == b; }

template <class Element>
::testing::AssertionResult same_rows(const Element* a, std::size_t a_stride, const Element* b, std::size_t b_stride,
                                     std::size_t rows, std::size_t columns) {
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < columns; ++c)
      if (!same(a[r * a_stride + c], b[r * b_stride + c]))
        return ::testing::AssertionFailure()
               << "row " << r << ", column " << c << ": " << +a[r * a_stride + c] << " and " << +b[r * b_stride + c];
  return ::testing::AssertionSuccess();
}

/// Still the 0xff bytes that Guarded starts with.
inline bool untouched(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits == 0xffffffffu;
}

inline const kernels::Table& scalar() { return *kernels::available().front(); }

/// AMX sums bfloat16 products in an order of its own: amx_test.cpp holds those, on every CPU.
inline bool has_own_order(const kernels::Table& level) { return level.gemm_split.run != nullptr; }

/// Base of the tests that run on every level of this CPU.
class EveryLevel : public ::testing::TestWithParam<const kernels::Table*> {
 protected:
  void SetUp() override {
    if (!kernels::may_run(level())) GTEST_SKIP() << "the system refuses its registers";
  }
  const kernels::Table& level() const { return *GetParam(); }
};

/// A product of some level.
template <class Op>
using Gemm = kernels::Slot<void(const Op&)> kernels::Table::*;

/// `gemm` of both tables, each in place over the same residual: the same bits, and nothing outside is touched.
/// lay_out(op, table) gives `op` its rows as a table's product reads them, where levels differ.
struct OneLayout {
  template <class Op>
  void operator()(Op&, const kernels::Table&) const {}
};
template <class Op, class LayOut = OneLayout>
void expect_bits_of_scalar_in_place(Op op, Gemm<Op> gemm, const kernels::Table& level, Activation activation,
                                    const LayOut& lay_out = {}) {
  const std::size_t stride = op.n_panels * 16;
  Random random(3);
  for (const bool gated : {false, true}) {
    Guarded<float> expected(op.rows * stride), out(op.rows * stride, 1);
    expected.fill(random);
    std::memcpy(out.data(), expected.data(), op.rows * stride * sizeof(float));
    op.activation = activation;
    op.gated = gated;
    op.residual_stride = op.out_stride = stride;
    op.residual = op.out = expected.data();
    lay_out(op, scalar());
    (scalar().*gemm)(op);
    op.residual = op.out = out.data();
    lay_out(op, level);
    (level.*gemm)(op);
    EXPECT_TRUE(same_rows(out.data(), stride, expected.data(), stride, op.rows, stride));
    EXPECT_TRUE(out.guards_intact());
  }
}

/// `op` as a whole, and every panel of every row by itself: the same bits. move(part, row, column) turns to the row and
/// the column what only this kind of product has.
template <class Op, class Move>
void expect_same_bits_in_parts(Op op, Gemm<Op> gemm, const kernels::Table& level, const Move& move) {
  const std::size_t n = op.n_panels * 16;
  Guarded<float> whole(op.rows * n), parts(op.rows * n);
  op.out_stride = n;
  op.out = whole.data();
  (level.*gemm)(op);
  for (std::size_t r = 0; r < op.rows; ++r)
    for (std::size_t column = 0; column < n; column += 16) {
      Op part = op;
      part.a += r * part.a_stride;
      part.rows = 1;
      part.panels += column * part.k;
      part.bias += column;
      part.n_panels = 1;
      part.out = parts.data() + r * n + column;
      move(part, r, column);
      (level.*gemm)(part);
    }
  EXPECT_TRUE(same_rows(parts.data(), n, whole.data(), n, op.rows, n)) << op.rows;
}

inline std::string level_name(const ::testing::TestParamInfo<const kernels::Table*>& info) {
  return std::string(info.param->level);
}

#define BERTHA_EVERY_LEVEL(suite) \
  INSTANTIATE_TEST_SUITE_P(Level, suite, ::testing::ValuesIn(bertha::kernels::available()), bertha::testing::level_name)

}  // namespace bertha::testing
