// The operations of an encoder, and the table of functions that computes them on one level of instruction set.
//
// Every operation is specified by the arithmetic contract (tools/format.md names it; the scalar level is its text in
// C++): binary32, one order of operations for each result, so that a result does not depend on the level, on the number
// of rows, on the batch or on the threads. Matrices are row-major; strides count elements; [N'] is N rounded up to 16,
// and what lies between N and N' is zero or ignored, as each operation says. No pointer may alias another but where
// said. Nothing here allocates, throws or synchronises: all functions may run concurrently on disjoint outputs.

#pragma once

#include <bertha/bf16.hpp>
#include <bertha/config.hpp>
#include <bertha/kernels/layout.hpp>
#include <bertha/version.hpp>
#include <cstddef>
#include <cstdint>
#include <string_view>

BERTHA_NAMESPACE_BEGIN

namespace kernels {

/// Up to here int32 sums of int8 numbers can't overflow: inputs of a linear layer (each product is at most 127 128),
/// and of an attention head, which has no more; keys of a sequence in attention (255 127). Whoever loads or calls
/// checks.
inline constexpr std::size_t kMostInputsS8 = 131'072, kMostKeysS8 = 65'536;
static_assert(kMostInputsS8 * 127 * 128 <= 0x7fffffff && kMostKeysS8 * 255 * 127 <= 0x7fffffff);
static_assert(kMostKeysS8 * 32767 <= 0x7fffffff);  // the sum of fine probabilities
/// The same for inputs with a zero point: q - zero is at most 254.
inline constexpr std::size_t kMostShiftedInputsS8 = 65'536;
static_assert(kMostShiftedInputsS8 * 254 * 128 <= 0x7fffffff);

/// In float32 a sum of products is made of the sums of so many at a time, each one chain of fma from 0, k ascending,
/// added up in their order: a rounding error of a chain grows with the root of its length.
inline constexpr std::size_t kPartF32 = 384;

/// out[r, n] = activation(sum_k a[r, k] w[n, k] + bias[n]) + residual[r, n], for the n of n_panels panels; gated, the
/// residual is a factor. In float32 k' is k. In bfloat16 k' is k rounded up to 32, rows are zero-filled, and sums are
/// float32: acc = fma(a[r, k + 1], w[n, k + 1], acc), then acc = fma(a[r, k], w[n, k], acc), for k = 0, 2, 4, ..., from
/// 0: what VDPBF16PS does, but that it flushes subnormal numbers to zero. So those bits are those of one level, in any
/// batch and at any number of threads; the level amx also sums in an order of its own (gemm_amx.inl).
template <class Element>
struct GemmRows {
  const Element* a = nullptr;  // [rows, k']; of bfloat16 as the level's pack_rows writes it
  std::size_t a_stride = 0;
  const Element* panels = nullptr;  // PanelLayout<Element>; 64-byte aligned
  const float* bias = nullptr;      // [N'] or null
  const float* residual = nullptr;  // [rows, N'] or null; may be `out`
  std::size_t residual_stride = 0;
  float* out = nullptr;  // [rows, N']: whole panels are written
  std::size_t out_stride = 0;
  std::size_t rows = 0;
  std::size_t k = 0;         // k'
  std::size_t n_panels = 0;  // of 16 outputs
  Activation activation = Activation::none;
  std::byte* scratch = nullptr;  // product_scratch(rows) bytes, 64-byte aligned
  bool gated = false;
  float* sums = nullptr;  // product_sums(rows, k, n_panels) numbers, 64-byte aligned, or null: for levels that cut k
};
using GemmF32 = GemmRows<float>;
using GemmBf16 = GemmRows<bf16>;

/// GemmBf16 of float32 numbers that are split into bfloat16 halves, x = high + low and a little: high times low, high
/// times high and low times high are summed in float32, in the level's own order. In a row of `a`, and in a panel,
/// every 32 k are 32 high halves followed by their 32 low halves, so `k` counts k' twice. An infinity gives NaN.
using GemmSplit = GemmBf16;

/// GemmF32 with acc = sum_k a[r, k] w[n, k] in int32 (so k <= kMostInputsS8) and fma(float(acc), a_scale[r] * scale[n],
/// bias[n]) before the activation. Exact for every int8 number on either side, -128 too. With zero points,
/// acc - a_zero[r] sum[n] in place of acc (so k <= kMostShiftedInputsS8): the sum of (a[r, k] - a_zero[r]) w[n, k].
/// Unsigned, `a` holds plain rows of bytes from 0 to 255 (so k <= kMostKeysS8), as attention's probabilities are.
struct GemmS8 {
  const std::int8_t* a = nullptr;       // [rows, k'], k' = k rounded up to 64, as the level's pack_quantised writes it
  std::size_t a_stride = 0;             // in bytes
  const float* a_scale = nullptr;       // [rows]
  const std::int8_t* panels = nullptr;  // PanelLayout<std::int8_t>; 64-byte aligned
  const float* scale = nullptr;         // [N']
  const std::int32_t* sum = nullptr;    // [N'], sum over k of w[n, k]; read where there are zero points
  const float* bias = nullptr;          // [N'] or null
  const float* residual = nullptr;      // [rows, N'] or null; may be `out`
  std::size_t residual_stride = 0;
  float* out = nullptr;  // [rows, N']
  std::size_t out_stride = 0;
  std::size_t rows = 0;
  std::size_t k = 0;  // k'
  std::size_t n_panels = 0;
  Activation activation = Activation::none;
  std::byte* scratch = nullptr;          // product_scratch(rows) bytes, 64-byte aligned
  const std::int32_t* a_zero = nullptr;  // [rows], or null: there are none
  bool a_unsigned = false;
  bool gated = false;
};

/// context[i, :] = softmax_j(q[i] . k[j] * scale + bias[j - i]) v[j], for all rows i of one sequence, one attention
/// head. Disentangled, with m = relative_row[j - i], there is no bias, and q[i] . relative_key[m] * scale + k[j] .
/// relative_query[m] are added, or one of the two. With a window, over the keys |j - i| <= window only: the sum of a
/// row begins with the first of them, a product has the probability 0 for the others, and blocks of keys that no row of
/// a block sees are not computed.
struct Attention {
  const float* query = nullptr;  // [length, head_size]
  const float* key = nullptr;    // [length, head_size]
  const float* value = nullptr;  // [length, head_size]
  std::size_t stride = 0;  // of all three; a multiple of 16, and rows are readable up to head_size rounded up to 16
  std::size_t length = 0;
  std::size_t head_size = 0;
  float scale = 0;           // BERT's is attention_scale(head_size)
  float* context = nullptr;  // [length, head_size]: nothing past head_size is written
  std::size_t context_stride = 0;
  std::byte* scratch = nullptr;  // attention_scratch(length, head_size, relative rows) bytes, 64-byte aligned
  bool fine = false;             // int8 only: probabilities in 15 bits, by one more product of bytes
  const float* bias = nullptr;   // of distance 0, between those of distances 1 - length and length - 1; null: none
  std::size_t window = 0;        // 0: every row sees every key
  // Of distance 0, between those of 1 - length and of length rounded up to 32, less 1: each is the one before or one
  // more. Null: there is neither of the two.
  const std::uint32_t* relative_row = nullptr;
  const float *relative_key = nullptr, *relative_query = nullptr;  // [relative rows, head_size] each, or null
  std::size_t relative_stride = 0;                                 // of both, as stride
};

/// Turns each pair (a, b) = (x[r, d], x[r, d + h]), d < h = size / 2, by an angle, in place:
/// x[r, d] = fma(a, cos[r, d], -(b * sin[r, d])), x[r, d + h] = fma(b, cos[r, d], a * sin[r, d]).
struct RotateRows {
  float* x = nullptr;  // [rows, size]
  std::size_t stride = 0;
  std::size_t rows = 0;
  std::size_t size = 0;                        // even
  const float *cos = nullptr, *sin = nullptr;  // [rows, h]
  std::size_t angle_stride = 0;                // of both
};

/// out[r, :] = word[ids[r]] + token_type[types[r]] + position[positions[r]], added in this order. Without types,
/// or without positions, there is no such table.
/// Tables are rows [V, H'], H' = stride, of float or of bfloat16; for int8 a row's value is float(q) * its
/// scale. out is [rows, size rounded up to 16], 0 past size.
template <class Element>
struct EmbedRows {
  const Element *word = nullptr, *token_type = nullptr, *position = nullptr;
  std::size_t table_stride = 0;
  const std::uint32_t *ids = nullptr, *types = nullptr, *positions = nullptr;  // [rows]; the last two may be null
  float* out = nullptr;
  std::size_t out_stride = 0;
  std::size_t rows = 0;
  std::size_t size = 0;
};
using EmbedF32 = EmbedRows<float>;
using EmbedBf16 = EmbedRows<bf16>;
struct EmbedS8 {
  const std::int8_t *word = nullptr, *token_type = nullptr, *position = nullptr;
  const float *word_scale = nullptr, *token_type_scale = nullptr, *position_scale = nullptr;  // [V] each
  std::size_t table_stride = 0;
  const std::uint32_t *ids = nullptr, *types = nullptr, *positions = nullptr;
  float* out = nullptr;
  std::size_t out_stride = 0;
  std::size_t rows = 0;
  std::size_t size = 0;
};

/// y = (x - mean) / sqrt(var + eps) * gamma + beta over the `size` elements of each row. Not centred, the mean is 0, so
/// that var is the mean of squares: RMSNorm. With a stride beta has a row for each row: what a block adds its result
/// to.
struct LayerNormRows {
  const float* x = nullptr;  // [rows, size]
  std::size_t stride = 0;
  std::size_t rows = 0;
  std::size_t size = 0;
  const float* gamma = nullptr;  // [size rounded up to 16]
  const float* beta = nullptr;
  float eps = 0;
  float* y = nullptr;  // [rows, size], writable up to size rounded up to 16, and 0 there afterwards; may be x or beta
  std::size_t y_stride = 0;
  bool centred = true;
  std::size_t beta_stride = 0;
};

/// q = round_even(x * (127 / m)) clamped to [-127, 127], scale = m / 127, m = max abs x of the row; what is past size
/// is 0. m < 2^-100: all 0, scale 0. A NaN or infinity in the row: all 0, scale NaN, so that NaN comes out of a
/// product. With a smoothing vector x is x * smoothing. With zero points, x is about scale * (q - zero): low and high
/// are the least and the largest of the row's numbers and 0, scale = (high - low) / 254, inverse = 254 / (high - low),
/// zero = round_even(fma(-low, inverse, -127)), q = round_even(fma(x, inverse, zero)), both clamped as above; m is as
/// above, zero is 0 where q is all 0, and a high - low that overflows is an infinity in the row.
/// pack_quantised writes what the level's product reads: Table::quantised_bytes for each number, and it may write rows
/// in tiles: then q has rows, and x may have any number, up to a multiple of 16.
struct QuantiseRows {
  const float* x = nullptr;  // [rows, size]
  std::size_t stride = 0;
  std::size_t rows = 0;
  std::size_t size = 0;
  std::int8_t* q = nullptr;          // [rows, size rounded up to 64]
  std::size_t q_stride = 0;          // in bytes
  float* scale = nullptr;            // [rows]
  const float* smoothing = nullptr;  // [size], or null
  std::int32_t* zero = nullptr;      // [rows], or null: the row is quantised without
};

/// y = x rounded to bfloat16, nearest even; NaN stays NaN. What is past size is 0. pack_rows and split_rows may write
/// rows in tiles, as the level's product reads them: then y has rows, and x may have any number, up to a multiple
/// of 16.
struct RoundRows {
  const float* x = nullptr;  // [rows, size]
  std::size_t stride = 0;
  std::size_t rows = 0;
  std::size_t size = 0;
  bf16* y = nullptr;  // [rows, size rounded up to 32]
  std::size_t y_stride = 0;
};

/// The same for weights in panels: what a float32 layer becomes when it is run in bfloat16.
struct RoundPanels {
  const float* panels = nullptr;  // [n_panels, k, 16], 64-byte aligned
  std::size_t n_panels = 0;
  std::size_t k = 0;
  bf16* out = nullptr;  // [n_panels, k'/2, 16, 2], k' = k rounded up to 32; 64-byte aligned
};

/// A function of a table, with the name of the level whose it is: levels inherit functions from each other.
template <class F>
struct Slot;
template <class... Operands>
struct Slot<void(Operands...)> {
  constexpr Slot() = default;
  constexpr Slot(void (*function)(Operands...), std::string_view level_name = {}) : run(function), level(level_name) {}

  void (*run)(Operands...) = nullptr;  ///< null where the level lacks the operation
  std::string_view level = kNoLevel;

  void operator()(Operands... operands) const { run(operands...); }
  // By the name: with -fsanitize=undefined, g++ takes the comparison of a function with null for no constant.
  explicit constexpr operator bool() const { return level != kNoLevel; }

 private:
  static constexpr std::string_view kNoLevel = "none";
};

inline constexpr std::size_t kMostQuantisedBytes = 2;

/// The functions of one level.
struct Table {
  std::string_view level = {};
  std::size_t quantised_bytes = 1;  ///< of each number that pack_quantised writes; at most kMostQuantisedBytes
  Slot<void(const GemmF32&)> gemm_f32 = {};
  Slot<void(const GemmS8&)> gemm_s8 = {};
  Slot<void(const GemmBf16&)> gemm_bf16 = {};
  Slot<void(const Attention&)> attention_f32 = {};   ///< products in float32
  Slot<void(const Attention&)> attention_bf16 = {};  ///< products in bfloat16
  /// q, k and v quantised per row, row and column; probabilities in 8 bits, or in 15. Of at most kMostKeysS8 keys.
  Slot<void(const Attention&)> attention_s8 = {};
  Slot<void(const EmbedF32&)> embed_f32 = {};
  Slot<void(const EmbedS8&)> embed_s8 = {};
  Slot<void(const EmbedBf16&)> embed_bf16 = {};
  Slot<void(const LayerNormRows&)> layer_norm = {};
  Slot<void(const RotateRows&)> rotate_rows = {};
  Slot<void(const QuantiseRows&)> quantise_rows = {};
  Slot<void(const QuantiseRows&)> pack_quantised = {};  ///< quantised rows as the level's gemm_s8 reads `a`
  Slot<void(const RoundRows&)> round_rows = {};
  Slot<void(const RoundRows&)> pack_rows = {};  ///< rounded rows as the level's gemm_bf16 reads `a`
  Slot<void(const RoundPanels&)> round_panels = {};
  Slot<void(float* x, std::size_t n)> softmax = {};  ///< in place, over n numbers; nothing past them is touched
  Slot<void(float* x, std::size_t n)> sigmoid = {};  ///< in place; nothing past the n numbers is touched
  // Where splitting float32 numbers makes a product faster; else null. Operands as for bfloat16, but with low halves.
  Slot<void(const GemmSplit&)> gemm_split = {};
  Slot<void(const RoundRows&)> split_rows = {};      ///< to y [rows, 2 k']; in tiles, as in_row_tiles says
  Slot<void(const RoundPanels&)> split_panels = {};  ///< as in_split_panels says
};

/// visit.operator()<&Table::operation>("operation") for every operation.
template <class Visit>
constexpr void for_each_slot(Visit&& visit) {
#define BERTHA_SLOT(operation) visit.template operator()<&Table::operation>(#operation)
  BERTHA_SLOT(gemm_f32);
  BERTHA_SLOT(gemm_s8);
  BERTHA_SLOT(gemm_bf16);
  BERTHA_SLOT(attention_f32);
  BERTHA_SLOT(attention_bf16);
  BERTHA_SLOT(attention_s8);
  BERTHA_SLOT(embed_f32);
  BERTHA_SLOT(embed_s8);
  BERTHA_SLOT(embed_bf16);
  BERTHA_SLOT(layer_norm);
  BERTHA_SLOT(rotate_rows);
  BERTHA_SLOT(quantise_rows);
  BERTHA_SLOT(pack_quantised);
  BERTHA_SLOT(round_rows);
  BERTHA_SLOT(pack_rows);
  BERTHA_SLOT(round_panels);
  BERTHA_SLOT(softmax);
  BERTHA_SLOT(sigmoid);
  BERTHA_SLOT(gemm_split);
  BERTHA_SLOT(split_rows);
  BERTHA_SLOT(split_panels);
#undef BERTHA_SLOT
}

/// The number of operations; for_each_slot visits them all.
inline constexpr std::size_t kOperations = (sizeof(Table) - offsetof(Table, gemm_f32)) / sizeof(Table::gemm_f32);
static_assert([] {
  std::size_t visited = 0;
  for_each_slot([&]<auto>(std::string_view) { ++visited; });
  return visited == kOperations;
}());

/// A level: the functions of `own`, whose slots need no name of a level, and for the others those of `base`.
constexpr Table level_over(Table base, const Table& own) {
  base.level = own.level;
  if (own.pack_quantised) base.quantised_bytes = own.quantised_bytes;
  for_each_slot([&]<auto slot>(std::string_view) {
    if (own.*slot) base.*slot = {(own.*slot).run, own.level};
  });
  return base;
}

/// Rows of a product whose sums may wait at a time.
inline constexpr std::size_t kWaitingRows = 384;

/// Numbers for the sums of a product of bfloat16 numbers that wait while the rest of k is multiplied; 0 where k is so
/// short that no level cuts it.
constexpr std::size_t product_sums(std::size_t rows, std::size_t k, std::size_t n_panels) {
  constexpr std::size_t kLongK = 2048;
  return k < kLongK ? 0 : round_up(rows < kWaitingRows ? rows : kWaitingRows, 32) * round_up(n_panels, 2) * kLanes;
}

/// Bytes of scratch that int8 products have beside their sums: where words are multiplied, numbers become such there.
inline constexpr std::size_t kWideningScratch = 32'768;

/// Bytes of scratch of a product of so many rows, the same on every level: the sums of two panels, or, on AMX, of two
/// pairs of panels, while they wait for their activation. More than kWaitingRows rows take no more.
constexpr std::size_t product_scratch(std::size_t rows) {
  return kWideningScratch + sizeof(float) * 4 * kLanes * round_up(rows < kWaitingRows ? rows : kWaitingRows, 32);
}

/// Rows of queries that attention works on at a time; a constant, so that results don't depend on the length.
inline constexpr std::size_t kQueryBlock = 48;

inline constexpr std::size_t kQueryBlockBf16 = 64;  // whole tiles of AMX

/// Relative queries that the keys of a panel are multiplied with for a block, and those of a tile before them.
inline constexpr std::size_t kRelativeRows = kQueryBlockBf16 + 32;

/// Bytes of scratch that any attention needs for a sequence of `length`; the same on every level.
/// Keys and values in panels, a block's score rows and rounded or quantised probabilities, queries, scales, and what
/// the products take. Where there are relative rows, those that the length reaches, in panels and packed, and what they
/// are multiplied to.
constexpr std::size_t attention_scratch(std::size_t length, std::size_t head_size, std::size_t relative_rows = 0) {
  const std::size_t keys = round_up(length, 32), size = round_up(head_size, 32);
  const std::size_t reached = padded(relative_rows < 2 * keys ? relative_rows : 2 * keys);
  const std::size_t relative =
      reached * (2 * size + 2 + kQueryBlockBf16) + kLanes * (kQueryBlockBf16 + 3 * kRelativeRows);
  return sizeof(float) * (2 * keys * size + kQueryBlockBf16 * (2 * keys + kLanes + 2 * size) + keys + 3 * size +
                          (reached > 0 ? relative : 0)) +
         product_scratch(reached > 0 ? kRelativeRows : kQueryBlockBf16);
}

BERTHA_STRICT_BEGIN
/// 1 / sqrt(head_size), the same bits whatever the flags of the caller's source.
BERTHA_NOINLINE float attention_scale(std::size_t head_size) {
  return 1.0f / __builtin_sqrtf(static_cast<float>(head_size));
}
BERTHA_STRICT_END

}  // namespace kernels

BERTHA_NAMESPACE_END
