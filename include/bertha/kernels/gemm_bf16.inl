// The matrix product in bfloat16, written once on sixteen lanes; each region that multiplies bfloat16 numbers includes
// it after gemm.inl and tiles.inl, in its namespace.

/// bfloat16 weights.
struct ProductBf16 {
  using Element = bf16;
  using Weight = bf16;
  using Accumulator = F32x16;
  using Stored = float;
  static constexpr std::size_t kGroup = PanelRow<Weight>::kGroup, kRows = kTileRowsBf16, kPairRows = kPairRowsBf16;
  static BERTHA_LANE_INLINE Accumulator start(const std::int32_t*, std::size_t) { return broadcast(0.0f); }
  static BERTHA_LANE_INLINE PairBf16 operand(const Element* a) { return pair_bf16(a); }
  static BERTHA_LANE_INLINE PairRowBf16 row(const Weight* w) { return pair_row_bf16(w); }
  static BERTHA_LANE_INLINE Accumulator step(Accumulator acc, PairBf16 a, PairRowBf16 w) {
    return dot_pairs(acc, a, w);
  }
};

BERTHA_NOINLINE void tiles_bf16(const TileWork<ProductBf16>& work) { tiles(work); }

inline void gemm_bf16(const GemmBf16& op) { gemm_rows<ProductBf16, tiles_bf16>(op); }
