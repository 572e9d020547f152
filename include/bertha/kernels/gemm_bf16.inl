// The matrix product in bfloat16, written once on sixteen lanes; each region that multiplies bfloat16 numbers includes
// it after gemm.inl and tiles.inl, in its namespace. A number travels as its 16 bits.

/// bfloat16 weights: w[k/2][16][2].
struct ProductBf16 {
  using Element = bf16;
  using Weight = bf16;
  using Accumulator = F32x16;
  using Stored = float;
  static constexpr std::size_t kGroup = 2, kRows = kTileRowsBf16, kPairRows = kPairRowsBf16;
  static BERTHA_LANE_INLINE Accumulator zero() { return broadcast(0.0f); }
  static BERTHA_LANE_INLINE PairBf16 operand(const Element* a) { return pair_bf16(a); }
  static BERTHA_LANE_INLINE PairRowBf16 row(const Weight* w) { return pair_row_bf16(w); }
  static BERTHA_LANE_INLINE Accumulator step(Accumulator acc, PairBf16 a, PairRowBf16 w) {
    return dot_pairs(acc, a, w);
  }
};

BERTHA_NOINLINE void tiles_bf16(const bf16* a, std::size_t a_stride, std::size_t rows, const bf16* w, std::size_t k,
                                std::size_t panels, float* partial, std::size_t partial_stride) {
  tiles<ProductBf16>(a, a_stride, rows, w, k, panels, partial, partial_stride);
}

inline void gemm_bf16(const GemmBf16& op) { gemm_rows<ProductBf16, tiles_bf16>(op); }
