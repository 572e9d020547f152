// The matrix product in bfloat16, written once on sixteen lanes; each region that multiplies bfloat16 numbers includes
// it after gemm.inl and tiles.inl, in its namespace. A number travels as its 16 bits.

/// bfloat16 weights: w[k/2][16][2].
struct ProductBf16 {
  using Element = std::uint16_t;
  using Weight = std::uint16_t;
  using Accumulator = F32x16;
  using Stored = float;
  static constexpr std::size_t kGroup = 2, kRows = kTileBf16.rows, kPanels = kTileBf16.panels;
  static BERTHA_LANE_INLINE Accumulator zero() { return broadcast(0.0f); }
  static BERTHA_LANE_INLINE PairBf16 operand(const Element* a) { return pair_bf16(a); }
  static BERTHA_LANE_INLINE PairRowBf16 row(const Weight* w) { return pair_row_bf16(w); }
  static BERTHA_LANE_INLINE Accumulator step(Accumulator acc, PairBf16 a, PairRowBf16 w) {
    return dot_pairs(acc, a, w);
  }
};

BERTHA_NOINLINE void tiles_bf16(const std::uint16_t* a, std::size_t a_stride, std::size_t rows, std::size_t k,
                                std::size_t n_panels, const Panels<ProductBf16>& to) {
  panel_tiles(a, a_stride, rows, k, n_panels, to);
}

inline void gemm_bf16(const GemmBf16& op) {
  constexpr std::size_t kPanels = ProductBf16::kPanels;
  alignas(64) float partial[kPanels * kRowBlock * kLanes];
  for (std::size_t row = 0, rows; row < op.rows; row += rows) {
    rows = block_rows(op.rows - row, op.k * sizeof(std::uint16_t), ProductBf16::kRows);
    for (std::size_t panel = 0, panels; panel < op.n_panels; panel += panels) {
      panels = smaller(kPanels, op.n_panels - panel);
      tiles_bf16(op.a + row * op.a_stride, op.a_stride, rows, op.k, panels,
                 {op.panels + panel * op.k * kLanes, op.k * kLanes, partial, kRowBlock * kLanes});
      for (std::size_t p = 0; p < panels; ++p) {
        const std::size_t column = (panel + p) * kLanes;
        write(AddBias{partial + p * kRowBlock * kLanes, load(op.bias + column)}, rows, op.activation,
              destination(op.residual, op.residual_stride, op.out, op.out_stride, row, column));
      }
    }
  }
}
