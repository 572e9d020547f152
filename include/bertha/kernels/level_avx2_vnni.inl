// What the `avx2_vnni` level has beside `avx2`, on one operation, dot_unsigned: the CPU's in avx2_vnni.hpp, an
// emulation of it in tests/kernels. Included in its region, where avx2's names are visible, with BERTHA_LANE_INLINE
// defined.
//
//     sum a w = sum a (w + 128) - 128 sum a
//
// The weights become unsigned in a register, once for all rows of a tile, and sums begin at -128 sum a: so they are
// exact for every int8 number, -128 too.

/// For 16 registers: 12 accumulators, 2 of weights, one of a, one for the exclusive or.
inline constexpr std::size_t kTileRowsS8 = 6, kPairRowsS8 = 0, kTileRowsU8 = 6, kPairRowsU8 = 0;

using QuadNumber = std::int8_t;
struct Quad {
  __m256i v;
};
struct QuadRow {
  __m256i lo, hi;  // unsigned: w + 128
};
struct UnsignedQuad {
  __m256i v;
};
using UnsignedQuadRow = I32x16;

BERTHA_INLINE __m256i made_unsigned(__m256i bytes) { return _mm256_xor_si256(bytes, _mm256_set1_epi8(-128)); }

BERTHA_INLINE std::int32_t quads_start(const QuadNumber* a, std::size_t k) {
  I32x16 sum = zero_s32();
  for (std::size_t i = 0; i < k; i += kLanes) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a + i));
    sum.lo = dot_unsigned(sum.lo, _mm256_set1_epi8(1), _mm256_zextsi128_si256(bytes));
  }
  return -128 * fold_add(sum);
}
BERTHA_INLINE Quad quad(const QuadNumber* a) { return {broadcast_4_bytes(a)}; }
BERTHA_INLINE QuadRow quad_row(const std::int8_t* w) {
  return {made_unsigned(load_256(w)), made_unsigned(load_256(w + 32))};
}
BERTHA_INLINE I32x16 dot_quads(I32x16 acc, Quad a, QuadRow w) {
  return {dot_unsigned(acc.lo, w.lo, a.v), dot_unsigned(acc.hi, w.hi, a.v)};
}
BERTHA_INLINE UnsignedQuad unsigned_quad(const std::uint8_t* a) { return {broadcast_4_bytes(a)}; }
BERTHA_INLINE UnsignedQuadRow unsigned_quad_row(const std::int8_t* w) { return {load_256(w), load_256(w + 32)}; }
BERTHA_INLINE I32x16 dot_quads(I32x16 acc, UnsignedQuad a, UnsignedQuadRow w) {
  return {dot_unsigned(acc.lo, a.v, w.lo), dot_unsigned(acc.hi, a.v, w.hi)};
}

#include <bertha/kernels/tiles.inl>

#include <bertha/kernels/gemm_s8.inl>

inline void attention_s8(const Attention& op) { attend_s8(op, quantise_rows, gemm_s8, sizeof(QuadNumber)); }

/// `base` with them, as `level`.
constexpr Table table_over(const Table& base, std::string_view level) {
  return level_over(
      base, {.level = level, .gemm_s8 = {gemm_s8}, .attention_s8 = {attention_s8}, .pack_quantised = {quantise_rows}});
}
