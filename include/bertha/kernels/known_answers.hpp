// What every level must come to: one number for each operation, from all bits of a small result. A build whose
// compiler, flags or CPU break the arithmetic contract is found by it before it gives its first answer.

#pragma once

#include <atomic>
#include <bertha/error.hpp>
#include <bertha/kernels/table.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <memory>
#include <string_view>

BERTHA_NAMESPACE_BEGIN

namespace kernels {

namespace detail {

/// Inputs from a seed, and the bits of outputs as one number. Sizes are odd, so that every kernel has a ragged edge.
struct KnownAnswers {
  static constexpr std::size_t kRows = 13, kSize = 37, kWide = 64, kN = 32, kStride = 48;
  static constexpr std::size_t kRelative = 15;  // rows of relative keys and queries
  static constexpr std::size_t kManyRows = 32;  // more than any tile has, as those of int8 may be another product

  std::uint32_t state = 1;
  alignas(64) float x[kRows * 3 * kStride], y[kRows * 3 * kStride], out[kRows * 3 * kStride];
  alignas(64) float panels[kN * kSize], vector[kStride], other[kStride], row_scale[kManyRows];
  alignas(64) std::int8_t q[kRows * kWide], packed[kManyRows * kMostQuantisedBytes * kWide], q_panels[kN * kWide];
  alignas(64) bf16 rounded[padded(kRows) * 2 * kWide], rounded_panels[kN * 2 * kWide];
  alignas(64) std::int32_t sum[kN], zero[kRows + 3];
  alignas(64) std::byte scratch[attention_scratch(kRows, kSize, kRelative)], product[product_scratch(kManyRows)];

  template <std::size_t N>
  void fill(float (&numbers)[N]) {
    for (float& number : numbers) number = static_cast<float>(static_cast<std::int32_t>(next())) * 0x1p-30f;
  }
  /// Whole numbers from -largest to largest: no sum of their products is rounded, in whatever order.
  template <std::size_t N>
  void fill_whole(float (&numbers)[N], std::uint32_t largest) {
    for (float& number : numbers)
      number = static_cast<float>((next() >> 8) % (2 * largest + 1)) - static_cast<float>(largest);
  }
  std::uint32_t next() { return state = state * 1664525u + 1013904223u; }

  /// FNV-1a over the columns of rows.
  template <class Element>
  static std::uint64_t hash(const Element* rows, std::size_t count, std::size_t stride, std::size_t columns) {
    std::uint64_t value = 14695981039346656037u;
    for (std::size_t r = 0; r < count; ++r)
      for (std::size_t c = 0; c < columns * sizeof(Element); ++c) {
        unsigned char byte;
        std::memcpy(&byte, reinterpret_cast<const unsigned char*>(rows + r * stride) + c, 1);
        value = (value ^ byte) * 1099511628211u;
      }
    return value;
  }
};

}  // namespace detail

/// Calls check(operation, number) for each operation of `table` whose bits every level shares.
template <class Check>
void known_answers(const Table& table, const Check& check) {
  using Known = detail::KnownAnswers;
  constexpr std::size_t rows = Known::kRows, size = Known::kSize, wide = Known::kWide, n = Known::kN;
  constexpr std::size_t stride = Known::kStride;
  const auto k = std::make_unique<Known>();
  k->fill(k->x);
  k->fill(k->y);
  k->fill(k->panels);
  k->fill(k->vector);
  k->fill(k->other);
  for (std::int8_t& value : k->q_panels) value = static_cast<std::int8_t>(k->next() >> 24);
  for (std::size_t c = 0; c < n; ++c) {
    k->sum[c] = 0;
    for (std::size_t i = 0; i < wide; ++i) k->sum[c] += k->q_panels[PanelLayout<std::int8_t>(n, wide).at(c, i)];
  }
  table.gemm_f32({.a = k->x,
                  .a_stride = stride,
                  .panels = k->panels,
                  .bias = k->vector,
                  .residual = k->y,
                  .residual_stride = stride,
                  .out = k->out,
                  .out_stride = stride,
                  .rows = rows,
                  .k = size,
                  .n_panels = n / 16,
                  .activation = Activation::gelu,
                  .scratch = k->product});
  check("gemm_f32", Known::hash(k->out, rows, stride, n));
  const auto pack_quantised = [&](QuantiseRows op) {
    op.q = k->packed;
    op.q_stride = wide * table.quantised_bytes;
    table.pack_quantised(op);
  };
  QuantiseRows quantise = {
      .x = k->x, .stride = stride, .rows = rows, .size = size, .q = k->q, .q_stride = wide, .scale = k->row_scale};
  table.quantise_rows(quantise);
  check("quantise_rows", Known::hash(k->q, rows, wide, wide));
  pack_quantised(quantise);
  GemmS8 multiply = {.a = k->packed,
                     .a_stride = wide * table.quantised_bytes,
                     .a_scale = k->row_scale,
                     .panels = k->q_panels,
                     .scale = k->other,
                     .sum = k->sum,
                     .bias = k->vector,
                     .residual = k->y,
                     .residual_stride = stride,
                     .out = k->out,
                     .out_stride = stride,
                     .rows = rows,
                     .k = wide,
                     .n_panels = n / 16,
                     .activation = Activation::tanh,
                     .scratch = k->product};
  table.gemm_s8(multiply);
  check("gemm_s8", Known::hash(k->out, rows, stride, n));
  Attention attention = {.query = k->x,
                         .key = k->x + stride,
                         .value = k->x + 2 * stride,
                         .stride = 3 * stride,
                         .length = rows,
                         .head_size = size,
                         .scale = 0.16f,
                         .context = k->out,
                         .context_stride = stride,
                         .scratch = k->scratch};
  table.attention_f32(attention);
  check("attention_f32", Known::hash(k->out, rows, stride, size));
  table.attention_s8(attention);
  check("attention_s8", Known::hash(k->out, rows, stride, size));
  attention.fine = true;
  table.attention_s8(attention);
  check("attention_s8", Known::hash(k->out, rows, stride, size));
  Attention windowed = attention;
  windowed.bias = k->y + rows;
  windowed.window = 3;
  table.attention_f32(windowed);
  check("attention_f32", Known::hash(k->out, rows, stride, size));
  table.attention_s8(windowed);
  check("attention_s8", Known::hash(k->out, rows, stride, size));
  std::memcpy(k->out, k->y, sizeof k->y);
  table.rotate_rows({.x = k->out,
                     .stride = stride,
                     .rows = rows,
                     .size = size - 1,
                     .cos = k->x,
                     .sin = k->x + stride / 2,
                     .angle_stride = stride});
  check("rotate_rows", Known::hash(k->out, rows, stride, size));
  std::memcpy(k->out, k->y, sizeof k->y);
  table.layer_norm({.x = k->out,
                    .stride = stride,
                    .rows = rows,
                    .size = size,
                    .gamma = k->vector,
                    .beta = k->other,
                    .eps = 1e-12f,
                    .y = k->out,
                    .y_stride = stride});
  check("layer_norm", Known::hash(k->out, rows, stride, size));
  table.softmax(k->x, size);
  table.sigmoid(k->x + stride, size);
  check("softmax", Known::hash(k->x, 1, stride, size));
  check("sigmoid", Known::hash(k->x + stride, 1, stride, size));
  // bfloat16, whose products levels may sum in orders of their own, on whole numbers. Those of x have low halves, so a
  // product of halves is that of float32.
  k->fill_whole(k->x, 300);
  k->fill_whole(k->panels, 100);
  const auto product_of = [&](const auto& make_rows, const auto& make_panels, const auto& product, std::size_t depth) {
    make_rows({.x = k->x, .stride = stride, .rows = rows, .size = size, .y = k->rounded, .y_stride = depth});
    make_panels({.panels = k->panels, .n_panels = n / 16, .k = size, .out = k->rounded_panels});
    product({.a = k->rounded,
             .a_stride = depth,
             .panels = k->rounded_panels,
             .out = k->out,
             .out_stride = stride,
             .rows = rows,
             .k = depth,
             .n_panels = n / 16,
             .scratch = k->product});
  };
  product_of(table.pack_rows, table.round_panels, table.gemm_bf16, wide);
  check("gemm_bf16", Known::hash(k->out, rows, stride, n));
  if (table.gemm_split)
    product_of(table.split_rows, table.split_panels, table.gemm_split, 2 * wide);
  else
    table.gemm_f32({.a = k->x,
                    .a_stride = stride,
                    .panels = k->panels,
                    .out = k->out,
                    .out_stride = stride,
                    .rows = rows,
                    .k = size,
                    .n_panels = n / 16,
                    .scratch = k->product});
  check("gemm_split", Known::hash(k->out, rows, stride, n));
  // Scores of whole numbers are so far apart that all weight is one key's: then neither sum depends on its order.
  Attention apart = attention;
  apart.scale = 1;
  k->fill_whole(k->x, 300);
  table.attention_bf16(apart);
  check("attention_bf16", Known::hash(k->out, rows, stride, size));
  for (std::size_t i = 0; i < std::size(k->x); ++i) k->x[i] = attention_scale(i + 1);
  check("attention_scale", Known::hash(k->x, 1, 0, std::size(k->x)));
  // Embeddings, from what is there: rows of x, y and the panels' numbers as tables.
  std::uint32_t ids[rows], positions[rows], types[rows];
  for (std::size_t i = 0; i < rows; ++i) {
    ids[i] = k->next() >> 16 & 7;
    positions[i] = static_cast<std::uint32_t>(i);
    types[i] = i % 2;
  }
  const auto embedding = [&](auto operation) {
    operation.ids = ids;
    operation.types = types;
    operation.positions = positions;
    operation.out = k->out;
    operation.out_stride = stride;
    operation.rows = rows;
    operation.size = size;
    return operation;
  };
  k->fill(k->x);
  table.embed_f32(
      embedding(EmbedF32{.word = k->x, .token_type = k->y, .position = k->x + rows, .table_stride = stride}));
  check("embed_f32", Known::hash(k->out, rows, stride, size));
  table.embed_s8(embedding(EmbedS8{.word = k->q_panels,
                                   .token_type = k->q,
                                   .position = k->q_panels + 8 * wide,
                                   .word_scale = k->vector,
                                   .token_type_scale = k->other,
                                   .position_scale = k->vector + rows,
                                   .table_stride = wide}));
  check("embed_s8", Known::hash(k->out, rows, stride, size));
  table.round_rows({.x = k->x, .stride = stride, .rows = rows, .size = size, .y = k->rounded, .y_stride = wide});
  check("round_rows", Known::hash(k->rounded, rows, wide, wide));
  table.embed_bf16(
      embedding(EmbedBf16{.word = k->rounded, .token_type = k->rounded, .position = k->rounded, .table_stride = wide}));
  check("embed_bf16", Known::hash(k->out, rows, stride, size));
  // What calibrated int8 files have: smoothed rows with zero points, and their product.
  quantise.x = k->y;
  quantise.smoothing = k->vector;
  quantise.zero = k->zero;
  table.quantise_rows(quantise);
  check("quantise_rows", Known::hash(k->q, rows, wide, wide) ^ Known::hash(k->zero, 1, 0, rows));
  pack_quantised(quantise);
  multiply.residual = nullptr;
  multiply.activation = Activation::none;
  multiply.a_zero = k->zero;
  table.gemm_s8(multiply);
  check("gemm_s8", Known::hash(k->out, rows, stride, n));
  quantise.x = k->x;
  quantise.smoothing = nullptr;
  quantise.zero = nullptr;
  multiply.a_zero = nullptr;
  for (const std::size_t number : {Known::kManyRows, std::size_t{1}}) {
    quantise.rows = multiply.rows = number;
    pack_quantised(quantise);
    table.gemm_s8(multiply);
    check("gemm_s8", Known::hash(k->out, number, stride, n));
  }
  // Three distances share a row of relative keys and queries.
  std::uint32_t relative_rows[3 * Known::kRelative];
  for (std::uint32_t i = 0; i < std::size(relative_rows); ++i) relative_rows[i] = i / 3;
  attention.fine = false;
  attention.relative_row = relative_rows + rows - 1;
  attention.relative_key = k->y;
  attention.relative_query = k->y + stride;
  attention.relative_stride = 2 * stride;
  table.attention_f32(attention);
  check("attention_f32", Known::hash(k->out, rows, stride, size));
  table.attention_s8(attention);
  check("attention_s8", Known::hash(k->out, rows, stride, size));
  std::memcpy(k->out, k->y, sizeof k->y);
  table.layer_norm({.x = k->x,
                    .stride = stride,
                    .rows = rows,
                    .size = size,
                    .gamma = k->vector,
                    .beta = k->out,
                    .eps = 1e-6f,
                    .y = k->out,
                    .y_stride = stride,
                    .centred = false,
                    .beta_stride = stride});
  check("layer_norm", Known::hash(k->out, rows, stride, size));
}

/// Throws Error{self_test} naming the operation of `table` whose bits are not those that every build must come to. The
/// caller has set the FloatEnvironment. Takes a fraction of a millisecond. Thread-safe.
inline void require_known_answers(const Table& table) {
  struct Answer {
    std::string_view operation;
    std::uint64_t number;
  };
  static constexpr Answer kAnswers[] = {
      {"gemm_f32", 364760413683791548u},         {"quantise_rows", 758397406513572878u},
      {"gemm_s8", 7310611525431732370u},         {"attention_f32", 5587004983086325823u},
      {"attention_s8", 12506961876928970397u},   {"attention_s8", 5385974021919014621u},
      {"attention_f32", 12213142992100474516u},  {"attention_s8", 17971911523761169053u},
      {"rotate_rows", 3381946488253873156u},     {"layer_norm", 13684477137751244655u},
      {"softmax", 3505937367269179318u},         {"sigmoid", 2978801089750089721u},
      {"gemm_bf16", 16985043051143565511u},      {"gemm_split", 3571076674059719530u},
      {"attention_bf16", 12211537341093542655u}, {"attention_scale", 11289490784947642546u},
      {"embed_f32", 15926492453797610520u},      {"embed_s8", 10223466795203778925u},
      {"round_rows", 5819441580727689750u},      {"embed_bf16", 10650807531880031481u},
      {"quantise_rows", 827875724416552598u},    {"gemm_s8", 182748915995643002u},
      {"gemm_s8", 1221596285220251952u},         {"gemm_s8", 9058994619276973115u},
      {"attention_f32", 173238127765133458u},    {"attention_s8", 8298485859087628002u},
      {"layer_norm", 8327588901499975633u}};
  const Answer* next = kAnswers;
  known_answers(table, [&](std::string_view operation, std::uint64_t number) {
    if (next->operation != operation || next->number != number)
      throw_error(ErrorCode::self_test,
                  {"kernels: ", operation, " of the level '", table.level,
                   "' does not give the bits that it must; expected what every build computes; the compiler or its "
                   "flags change results: link bertha::compiled, or set BERTHA_ISA=scalar, and report it"});
    ++next;
  });
}

/// The same of the table that this process uses: costs nothing once it was found to be right. Thread-safe, without a
/// lock that a child of fork() could wait for: threads that come first at the same time all look.
inline void require_known_answers() {
  static constinit std::atomic<bool> known{false};
  if (known.load(std::memory_order_acquire)) return;
  require_known_answers(table());
  known.store(true, std::memory_order_release);
}

}  // namespace kernels

BERTHA_NAMESPACE_END
