// Attention of one head: float32, bfloat16 and int8, against the scalar level, the contract written out, and double
// precision.

#include <bertha/kernels/scalar.hpp>
#include <cmath>

#include "emulated_levels.hpp"
#include "support.hpp"

BERTHA_NAMESPACE_BEGIN
BERTHA_STRICT_BEGIN
namespace kernels::scalar {
inline float exp_of(float x) { return exp(broadcast(x)).lane[0]; }
}  // namespace kernels::scalar
BERTHA_STRICT_END
BERTHA_NAMESPACE_END

namespace bertha::testing {
namespace {

/// q, k and v of one head, side by side as a projection leaves them; padding of the rows is garbage.
struct Case {
  Case(std::size_t length, std::size_t head_size, std::uint32_t seed, float range = 2.0f, std::size_t relative_rows = 0)
      : width(kernels::padded(head_size)),
        projected(length * 3 * width, 16),
        context(length * (head_size + 3), 1),
        scratch(kernels::attention_scratch(length, head_size, relative_rows)) {
    Random random(seed);
    op.query = projected.data();
    op.key = projected.data() + width;
    op.value = projected.data() + 2 * width;
    op.stride = 3 * width;
    op.length = length;
    op.head_size = head_size;
    op.scale = kernels::attention_scale(head_size);
    op.context = context.data();
    op.context_stride = head_size + 3;
    op.scratch = reinterpret_cast<std::byte*>(scratch.data());
    for (std::size_t i = 0; i < length; ++i)
      for (std::size_t d = 0; d < head_size; ++d) {
        query(i, d) = random.number(range);
        key(i, d) = random.number(range);
        value(i, d) = random.number(range);
      }
  }
  float& query(std::size_t i, std::size_t d) { return projected[i * op.stride + d]; }
  float& key(std::size_t i, std::size_t d) { return projected[i * op.stride + width + d]; }
  float& value(std::size_t i, std::size_t d) { return projected[i * op.stride + 2 * width + d]; }
  float& result(std::size_t i, std::size_t d) { return context[i * op.context_stride + d]; }
  bool only_results_written() {
    for (std::size_t i = 0; i < op.length; ++i)
      for (std::size_t d = op.head_size; d < op.context_stride; ++d)
        if (!untouched(result(i, d))) return false;
    return projected.guards_intact() && context.guards_intact() && scratch.guards_intact();
  }

  std::size_t width;
  Guarded<float> projected, context;
  Guarded<std::uint8_t> scratch;
  kernels::Attention op;
};

/// One of the ways to attend.
struct Way {
  kernels::Slot<void(const kernels::Attention&)> kernels::Table::*slot;
  bool fine = false;

  void operator()(const kernels::Table& table, const Case& x) const {
    kernels::Attention op = x.op;
    op.fine = fine;
    (table.*slot)(op);
  }
  bool operator==(const Way&) const = default;
};

/// Biases of the distances between keys and queries of a sequence.
struct Biases {
  explicit Biases(std::size_t length) : numbers(2 * length - 1) {
    Random random(31);
    numbers.fill(random, 3.0f);
  }
  const float* zero() { return numbers.data() + numbers.size() / 2; }

  Guarded<float> numbers;
};

/// Relative keys and queries: rows for each of the distances up to `exact` on either side, further ones for three each.
struct RelativeTables {
  RelativeTables(std::size_t length, std::size_t head_size, std::size_t exact)
      : before(static_cast<std::ptrdiff_t>(length) - 1), stride(kernels::padded(head_size)) {
    const auto last = static_cast<std::ptrdiff_t>(kernels::round_up(length, 32)),
               near = static_cast<std::ptrdiff_t>(exact);
    std::ptrdiff_t row = 0;
    for (std::ptrdiff_t distance = -before; distance < last; ++distance) {
      row += distance > -before && ((distance > -near && distance <= near) || distance % 3 == 0);
      row_of.push_back(static_cast<std::uint32_t>(row));
    }
    Random random(47);
    for (std::vector<float>* table : {&key, &query})
      for (std::size_t i = 0; i < rows() * stride; ++i) table->push_back(random.number(2.0f));
  }
  std::size_t rows() const { return row_of.back() + std::size_t{1}; }
  std::size_t row(std::size_t from, std::size_t to) const {
    return row_of[static_cast<std::size_t>(static_cast<std::ptrdiff_t>(to) - static_cast<std::ptrdiff_t>(from) +
                                           before)];
  }
  void belong_to(Case& x, bool has_keys, bool has_queries) {
    x.op.relative_row = row_of.data() + before;
    x.op.relative_key = has_keys ? key.data() : nullptr;
    x.op.relative_query = has_queries ? query.data() : nullptr;
    x.op.relative_stride = stride;
  }

  std::ptrdiff_t before;
  std::size_t stride;
  std::vector<std::uint32_t> row_of;
  std::vector<float> key, query;  // [rows, head_size]
};

constexpr Way kF32{&kernels::Table::attention_f32}, kBf16{&kernels::Table::attention_bf16},
    kS8{&kernels::Table::attention_s8}, kFine{&kernels::Table::attention_s8, true};
constexpr Way kAll[] = {kF32, kBf16, kS8, kFine};

class Attention : public EveryLevel {};

TEST_P(Attention, GivesTheSameBitsAsScalarForEveryShapeAndWritesOnlyResults) {
  std::vector<std::size_t> lengths;
  for (std::size_t length = 1; length <= 70; ++length) lengths.push_back(length);
  lengths.push_back(300);
  for (std::size_t length : lengths) {
    Random random(static_cast<std::uint32_t>(length));
    for (std::size_t head_size : Sizes{random.between(1, 80), length % 3 == 0 ? std::size_t{12} : std::size_t{64}})
      for (const Way& attention : kAll) {
        if (attention == kBf16 && has_own_order(level())) continue;
        Case x(length, head_size, 1), y(length, head_size, 1);
        attention(scalar(), x);
        attention(level(), y);
        ASSERT_TRUE(
            same_rows(y.context.data(), y.op.context_stride, x.context.data(), x.op.context_stride, length, head_size))
            << length << ' ' << head_size;
        ASSERT_TRUE(y.only_results_written()) << length << ' ' << head_size;
      }
  }
}

TEST_P(Attention, GivesTheSameBitsAsScalarWithBiasesAndWindows) {
  for (std::size_t length : Sizes{1, 70, 161}) {
    Biases biases(length);
    for (std::size_t window : Sizes{0, 1, 16, 30, 1000})
      for (const bool biased : {false, true})
        for (const Way& attention : kAll) {
          if (attention == kBf16 && has_own_order(level())) continue;
          const std::size_t head_size = window % 3 == 0 ? 44 : 32;
          Case x(length, head_size, 1), y(length, head_size, 1);
          for (Case* one : {&x, &y}) {
            one->op.window = window;
            one->op.bias = biased ? biases.zero() : nullptr;
          }
          attention(scalar(), x);
          attention(level(), y);
          ASSERT_TRUE(same_rows(y.context.data(), y.op.context_stride, x.context.data(), x.op.context_stride, length,
                                head_size))
              << length << ' ' << window << ' ' << biased;
          ASSERT_TRUE(y.only_results_written()) << length << ' ' << window << ' ' << biased;
        }
  }
}

TEST_P(Attention, GivesTheSameBitsAsScalarWithRelativeKeysAndQueries) {
  for (std::size_t length : Sizes{1, 2, 31, 32, 33, 70, 161, 300})
    for (std::size_t exact : Sizes{0, 20, 1000}) {
      const std::size_t head_size = exact == 20 ? 44 : 32;
      RelativeTables tables(length, head_size, exact);
      for (const auto& [keys, queries] : {std::pair{true, true}, {true, false}, {false, true}})
        for (const std::size_t window : Sizes{0, 40})
          for (const Way& attention : kAll) {
            if (attention == kBf16 && has_own_order(level())) continue;
            Case x(length, head_size, 1, 2.0f, tables.rows()), y(length, head_size, 1, 2.0f, tables.rows());
            for (Case* one : {&x, &y}) {
              one->op.window = window;
              tables.belong_to(*one, keys, queries);
            }
            attention(scalar(), x);
            attention(level(), y);
            ASSERT_TRUE(same_rows(y.context.data(), y.op.context_stride, x.context.data(), x.op.context_stride, length,
                                  head_size))
                << length << ' ' << exact << ' ' << keys << queries << ' ' << window;
            ASSERT_TRUE(y.only_results_written() && x.only_results_written()) << length << ' ' << exact;
          }
    }
}

TEST_P(Attention, WeighsKeysByRelativeKeysAndQueriesOfTheirDistance) {
  for (std::size_t length : Sizes{1, 30, 75, 200}) {
    const std::size_t size = 24;
    RelativeTables tables(length, size, 20);
    for (const Way& attention : kAll) {
      Case x(length, size, 5, 1.0f, tables.rows());
      tables.belong_to(x, true, true);
      attention(level(), x);
      const double allowed = attention == kF32 ? 2e-6 : attention == kBf16 ? 0.04 : 0.06;
      for (std::size_t i = 0; i < length; ++i) {
        std::vector<double> scores(length);
        for (std::size_t j = 0; j < length; ++j) {
          const std::size_t row = tables.row(i, j) * tables.stride;
          double dot = 0, of_key = 0;
          for (std::size_t d = 0; d < size; ++d) {
            dot += double{x.query(i, d)} * (double{x.key(j, d)} + double{tables.key[row + d]});
            of_key += double{x.key(j, d)} * double{tables.query[row + d]};
          }
          scores[j] = dot * double{x.op.scale} + of_key;
        }
        const double most = *std::max_element(scores.begin(), scores.end());
        double total = 0;
        for (double& score : scores) total += score = std::exp(score - most);
        for (std::size_t d = 0; d < size; ++d) {
          double sum = 0;
          for (std::size_t j = 0; j < length; ++j) sum += scores[j] * double{x.value(j, d)};
          ASSERT_NEAR(double{x.result(i, d)}, sum / total, allowed) << length << ' ' << i << ' ' << d;
        }
      }
    }
  }
}

// What a query sees lies at the start of a sequence of its own, where no window is needed: integers, and chains of
// float32, don't depend on what else is computed. In int8 keys and values have the scales of the whole sequence.
TEST_P(Attention, IsThatOfTheKeysInTheWindow) {
  const std::size_t length = 150, size = 24, window = 20;
  Biases biases(length);
  for (const Way& attention : {kF32, kBf16}) {
    Case x(length, size, 13);
    x.op.window = window;
    x.op.bias = biases.zero();
    attention(level(), x);
    for (std::size_t i : Sizes{0, 1, 19, 20, 21, 47, 48, 75, 127, 130, 149}) {
      const std::size_t first = i < window ? 0 : i - window, last = std::min(length, i + window + 1);
      Case alone(last - first, size, 13);
      for (std::size_t j = first; j < last; ++j)
        for (std::size_t d = 0; d < size; ++d) {
          alone.query(j - first, d) = x.query(j, d);
          alone.key(j - first, d) = x.key(j, d);
          alone.value(j - first, d) = x.value(j, d);
        }
      alone.op.bias = biases.zero();
      attention(level(), alone);
      if (attention == kF32) {
        EXPECT_TRUE(same_rows(&x.result(i, 0), 1, &alone.result(i - first, 0), 1, size, 1)) << i;
        continue;
      }
      for (std::size_t d = 0; d < size; ++d) EXPECT_NEAR(x.result(i, d), alone.result(i - first, d), 1e-5f) << i;
    }
  }
}

TEST_P(Attention, WeighsKeysByTheBiasOfTheirDistance) {
  const std::size_t length = 90, size = 16;
  for (const Way& attention : kAll) {
    Case x(length, size, 3);
    Guarded<float> biases(2 * length - 1);
    for (std::size_t i = 0; i < biases.size(); ++i) biases[i] = i == length - 1 + 7 ? 60.0f : 0.0f;
    x.op.bias = biases.data() + length - 1;
    attention(level(), x);
    for (std::size_t i = 0; i + 7 < length; ++i)  // all weight is that of the seventh token behind
      for (std::size_t d = 0; d < size; ++d) EXPECT_NEAR(x.result(i, d), x.value(i + 7, d), 0.02f) << i;
  }
}

// A key that is not a number is NaN to those that see it, and nothing to blocks of queries that don't.
TEST_P(Attention, ComputesNoBlockOfKeysThatNoQueryOfABlockSees) {
  const std::size_t length = 300, size = 20;
  for (const Way& attention : {kF32, kBf16}) {
    Case x(length, size, 11);
    x.key(299, 4) = kNan;
    x.value(0, 4) = kNan;
    x.op.window = 16;
    attention(level(), x);
    for (std::size_t i = 0; i < length; ++i)
      for (std::size_t d = 0; d < size; ++d) {
        if (i > 80 && i < 283) {
          EXPECT_FALSE(std::isnan(x.result(i, d))) << i;
        }
        if (i >= 283 || (i <= 16 && d == 4)) {
          EXPECT_TRUE(std::isnan(x.result(i, d))) << i;
        }
      }
  }
}

TEST_P(Attention, IsTheChainOfTheContractInFloat32) {
  for (std::size_t length : Sizes{1, 5, 17, 30}) {
    const std::size_t size = 13;
    Case x(length, size, 3);
    level().attention_f32(x.op);
    for (std::size_t i = 0; i < length; ++i) {
      std::vector<float> e(length);
      float most = -kInfinity;
      for (std::size_t j = 0; j < length; ++j) {
        float dot = 0;
        for (std::size_t d = 0; d < size; ++d) dot = std::fma(x.query(i, d), x.key(j, d), dot);
        volatile float score = dot * x.op.scale;  // never fused with what follows
        e[j] = score;
        most = std::fmax(most, e[j]);
      }
      float lanes[16] = {};
      for (std::size_t j = 0; j < length; ++j) lanes[j % 16] += e[j] = kernels::scalar::exp_of(e[j] - most);
      for (std::size_t half = 8; half > 0; half /= 2)
        for (std::size_t j = 0; j < half; ++j) lanes[j] += lanes[j + half];
      for (std::size_t d = 0; d < size; ++d) {
        float sum = 0;
        for (std::size_t j = 0; j < length; ++j) sum = std::fma(e[j], x.value(j, d), sum);
        ASSERT_TRUE(same(x.result(i, d), sum * (1.0f / lanes[0]))) << length << ' ' << i << ' ' << d;
      }
    }
  }
}

TEST_P(Attention, IsMadeOfRoundedOperandsAndProductsOfTheLevelInBFloat16) {
  for (std::size_t length : Sizes{1, 5, 33, 70, 130}) {
    const std::size_t size = 45, depth = 64, keys = kernels::round_up(length, 32), width = kernels::padded(length);
    Case x(length, size, 3);
    const kernels::PanelLayout<float> key_layout(length, size), value_layout(size, length);
    Guarded<float> scaled(length * size), scores(length * width), sums(length * 48), key_panels(key_layout.size()),
        value_panels(value_layout.size());
    ProductScratch scratch(length);
    for (std::size_t i = 0; i < length; ++i)
      for (std::size_t d = 0; d < size; ++d) scaled[i * size + d] = x.query(i, d) * x.op.scale;
    for (std::size_t j = 0; j < width; ++j)
      for (std::size_t d = 0; d < size; ++d) key_panels[key_layout.at(j, d)] = j < length ? x.key(j, d) : 0.0f;
    for (std::size_t d = 0; d < 48; ++d)
      for (std::size_t j = 0; j < length; ++j) value_panels[value_layout.at(d, j)] = d < size ? x.value(j, d) : 0.0f;
    Guarded<bf16> q(kernels::round_up(length, 16) * depth), k(width * depth), v(48 * keys),
        p(kernels::round_up(length, 16) * keys);
    level().pack_rows(
        {.x = scaled.data(), .stride = size, .rows = length, .size = size, .y = q.data(), .y_stride = depth});
    level().round_panels({.panels = key_panels.data(), .n_panels = width / 16, .k = size, .out = k.data()});
    level().round_panels({.panels = value_panels.data(), .n_panels = 3, .k = length, .out = v.data()});
    level().gemm_bf16({.a = q.data(),
                       .a_stride = depth,
                       .panels = k.data(),
                       .out = scores.data(),
                       .out_stride = width,
                       .rows = length,
                       .k = depth,
                       .n_panels = width / 16,
                       .scratch = scratch.data()});
    std::vector<float> factor(length);
    for (std::size_t i = 0; i < length; ++i) {
      float most = -kInfinity, lanes[16] = {};
      for (std::size_t j = 0; j < length; ++j) most = std::fmax(most, scores[i * width + j]);
      for (std::size_t j = 0; j < length; ++j)
        lanes[j % 16] += scores[i * width + j] = kernels::scalar::exp_of(scores[i * width + j] - most);
      for (std::size_t half = 8; half > 0; half /= 2)
        for (std::size_t j = 0; j < half; ++j) lanes[j] += lanes[j + half];
      factor[i] = 1.0f / lanes[0];
    }
    level().pack_rows(
        {.x = scores.data(), .stride = width, .rows = length, .size = length, .y = p.data(), .y_stride = keys});
    level().gemm_bf16({.a = p.data(),
                       .a_stride = keys,
                       .panels = v.data(),
                       .out = sums.data(),
                       .out_stride = 48,
                       .rows = length,
                       .k = keys,
                       .n_panels = 3,
                       .scratch = scratch.data()});
    level().attention_bf16(x.op);
    for (std::size_t i = 0; i < length; ++i)
      for (std::size_t d = 0; d < size; ++d)
        ASSERT_TRUE(same(x.result(i, d), sums[i * 48 + d] * factor[i])) << length << ' ' << i << ' ' << d;
    ASSERT_TRUE(x.only_results_written());
  }
}

void expect_chain_in_int8(const kernels::Table& table, bool fine) {
  for (std::size_t length : Sizes{1, 5, 17, 30}) {
    const std::size_t size = 13;
    Case x(length, size, 3);
    std::vector<std::int8_t> q(length * 64), k(length * 64), v(size * 64);
    std::vector<float> q_scale(length), k_scale(length), v_scale(size), columns(size * length);
    for (std::size_t d = 0; d < size; ++d)
      for (std::size_t j = 0; j < length; ++j) columns[d * length + j] = x.value(j, d);
    scalar().quantise_rows({x.op.query, x.op.stride, length, size, q.data(), 64, q_scale.data()});
    scalar().quantise_rows({x.op.key, x.op.stride, length, size, k.data(), 64, k_scale.data()});
    scalar().quantise_rows({columns.data(), length, size, length, v.data(), 64, v_scale.data()});
    x.op.fine = fine;
    table.attention_s8(x.op);
    for (std::size_t i = 0; i < length; ++i) {
      std::vector<float> scores(length);
      float most = -kInfinity;
      for (std::size_t j = 0; j < length; ++j) {
        std::int32_t dot = 0;
        for (std::size_t d = 0; d < size; ++d) dot += q[i * 64 + d] * k[j * 64 + d];
        volatile float score = static_cast<float>(dot) * ((q_scale[i] * x.op.scale) * k_scale[j]);
        scores[j] = score;
        most = std::fmax(most, scores[j]);
      }
      std::vector<std::int32_t> p(length);
      std::int32_t total = 0;
      const float one = fine ? 32767.0f : 255.0f;
      for (std::size_t j = 0; j < length; ++j)
        total += p[j] = static_cast<std::int32_t>(std::nearbyint(kernels::scalar::exp_of(scores[j] - most) * one));
      const float factor = 1.0f / static_cast<float>(total);
      for (std::size_t d = 0; d < size; ++d) {
        std::int32_t sum = 0, low = 0;
        for (std::size_t j = 0; j < length; ++j) {
          sum += (fine ? p[j] / 256 : p[j]) * v[d * 64 + j];
          low += p[j] % 256 * v[d * 64 + j];
        }
        volatile float low_part = static_cast<float>(low) * (factor * v_scale[d]);  // never fused with what follows
        volatile float part = static_cast<float>(sum) * ((fine ? 256 * factor : factor) * v_scale[d]);
        ASSERT_TRUE(same(x.result(i, d), fine ? part + low_part : part)) << length << ' ' << i << ' ' << d;
      }
    }
  }
}

TEST_P(Attention, IsTheChainOfTheContractInInt8) { expect_chain_in_int8(level(), false); }
TEST_P(Attention, IsTheChainOfTheContractInInt8WithFineProbabilities) { expect_chain_in_int8(level(), true); }

TEST_P(Attention, CountsManySmallProbabilitiesOnlyWhereTheyAreFine) {
  const std::size_t length = 401, size = 16;  // one key of weight 1, and 400 of e^-6.5 each: 0.6 together
  Case x(length, size, 3);
  for (std::size_t j = 0; j < length; ++j)
    for (std::size_t d = 0; d < size; ++d) {
      x.query(j, d) = 1;
      x.key(j, d) = j == 200 ? 1.625f : 0.0f;
      x.value(j, d) = j == 200 ? 0.0f : 1.0f;
    }
  const float expected = 1 / (1 + std::exp(6.5f) / 400);
  for (const Way& attention : {kF32, kFine}) {
    attention(level(), x);
    EXPECT_NEAR(x.result(7, 3), expected, 3e-3f);
  }
  kS8(level(), x);
  EXPECT_EQ(x.result(7, 3), 0.0f);
}

TEST_P(Attention, StaysNearDoublePrecision) {
  const std::size_t length = 75, size = 64;
  for (const Way& attention : kAll) {
    Case x(length, size, 5);
    attention(level(), x);
    // int8: 1/127 of v's 2, and as much again of q and k. bfloat16: 1/256 of v's 2, and the same for e.
    const double allowed = attention == kF32 ? 1e-6 : attention == kBf16 ? 0.015 : 0.03;
    for (std::size_t i = 0; i < length; ++i) {
      std::vector<double> e(length);
      double total = 0;
      for (std::size_t j = 0; j < length; ++j) {
        double dot = 0;
        for (std::size_t d = 0; d < size; ++d) dot += double{x.query(i, d)} * double{x.key(j, d)};
        total += e[j] = std::exp(dot / 8.0);
      }
      for (std::size_t d = 0; d < size; ++d) {
        double sum = 0;
        for (std::size_t j = 0; j < length; ++j) sum += e[j] * double{x.value(j, d)};
        ASSERT_NEAR(double{x.result(i, d)}, sum / total, allowed);
      }
    }
  }
}

TEST_P(Attention, GivesAQueryTheSameBitsInAnyPlace) {
  const std::size_t length = 61, size = 24;
  for (const Way& attention : kAll) {
    Case x(length, size, 7), y(length, size, 7);
    for (std::size_t i = 0; i < length; ++i)
      for (std::size_t d = 0; d < size; ++d) y.query(i, d) = x.query(length - 1 - i, d);
    attention(level(), x);
    attention(level(), y);
    for (std::size_t i = 0; i < length; ++i)
      EXPECT_TRUE(same_rows(&y.result(i, 0), 1, &x.result(length - 1 - i, 0), 1, size, 1));
  }
}

TEST_P(Attention, OfEqualValuesIsThatValueAndOfZerosIsZero) {
  Case x(37, 20, 9), zeros(37, 20, 9, 0.0f);
  for (std::size_t j = 0; j < 37; ++j)
    for (std::size_t d = 0; d < 20; ++d) x.value(j, d) = 1.5f;
  for (const Way& attention : kAll) {
    attention(level(), x);
    attention(level(), zeros);
    for (std::size_t i = 0; i < 37; ++i)
      for (std::size_t d = 0; d < 20; ++d) {
        EXPECT_NEAR(x.result(i, d), 1.5f, attention == kBf16 ? 3e-3f : 1e-5f);
        EXPECT_EQ(zeros.result(i, d), 0.0f);
      }
  }
}

TEST_P(Attention, LetsNanAndInfinityOutWhereTheyBelong) {
  const std::size_t length = 30, size = 20;
  for (const Way& attention : kAll)
    for (float odd : {kNan, kInfinity}) {
      Case of_query(length, size, 11), of_key(length, size, 11), of_value(length, size, 11);
      of_query.query(26, 3) = odd;
      of_key.key(17, 4) = odd;
      of_value.value(29, 18) = odd;
      for (Case* x : {&of_query, &of_key, &of_value}) attention(level(), *x);
      for (std::size_t i = 0; i < length; ++i)
        for (std::size_t d = 0; d < size; ++d) {
          EXPECT_EQ(std::isnan(of_query.result(i, d)), i == 26);
          // An infinite product with a negative query is a weight of nothing in float32.
          if (std::isnan(odd) || attention == kS8 || attention == kFine) {
            EXPECT_TRUE(std::isnan(of_key.result(i, d)));
          }
          EXPECT_EQ(!std::isfinite(of_value.result(i, d)), d == 18);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Level, Attention, ::testing::ValuesIn(kernels::available_or_emulated()), level_name);

}  // namespace
}  // namespace bertha::testing
