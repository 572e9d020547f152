// The matrix product of bytes, written once on sixteen lanes; each region that multiplies them includes it after
// gemm.inl and tiles.inl, in its namespace. Sums of integers are exact in any order.

/// int8 weights.
struct ProductS8 {
  using Element = QuadNumber;
  using Weight = std::int8_t;
  using Accumulator = QuadSums;
  using Stored = std::int32_t;
  static constexpr std::size_t kGroup = PanelRow<Weight>::kGroup, kRows = kTileRowsS8, kPairRows = kPairRowsS8;
  static BERTHA_LANE_INLINE Accumulator start(const std::int32_t* starts, std::size_t row) {
    return quad_sums(starts[row]);
  }
  static BERTHA_LANE_INLINE Quad operand(const Element* a) { return quad(a); }
  static BERTHA_LANE_INLINE QuadRow row(const Weight* w) { return quad_row(w); }
  static BERTHA_LANE_INLINE Accumulator step(Accumulator acc, Quad a, QuadRow w) { return dot_quads(acc, a, w); }
};

/// The same by bytes from 0 to 255.
struct ProductU8 {
  using Element = std::uint8_t;
  using Weight = std::int8_t;
  using Accumulator = I32x16;
  using Stored = std::int32_t;
  static constexpr std::size_t kGroup = PanelRow<Weight>::kGroup, kRows = kTileRowsU8, kPairRows = kPairRowsU8;
  static BERTHA_LANE_INLINE Accumulator start(const std::int32_t*, std::size_t) { return zero_s32(); }
  static BERTHA_LANE_INLINE UnsignedQuad operand(const Element* a) { return unsigned_quad(a); }
  static BERTHA_LANE_INLINE UnsignedQuadRow row(const Weight* w) { return unsigned_quad_row(w); }
  static BERTHA_LANE_INLINE Accumulator step(Accumulator acc, UnsignedQuad a, UnsignedQuadRow w) {
    return dot_quads(acc, a, w);
  }
};

BERTHA_NOINLINE void tiles_s8(const TileWork<ProductS8>& work) { tiles(work); }
BERTHA_NOINLINE void tiles_u8(const TileWork<ProductU8>& work) { tiles(work); }

/// The product of `op`, whose `a` is Elements; sums begin at `starts` [kRowBlock].
template <class Product, auto Tiles>
BERTHA_INLINE void gemm_quads(const GemmS8& op, std::int32_t* starts) {
  using Element = typename Product::Element;
  std::int32_t* sums = reinterpret_cast<std::int32_t*>(op.scratch);
  for (std::size_t row = 0, rows; row < op.rows; row += rows) {
    rows = block_rows<Product::kRows>(op.rows - row, op.k * sizeof(Element));
    const std::int8_t* a = op.a + row * op.a_stride;
    if (starts)
      for (std::size_t r = 0; r < rows; ++r)
        starts[r] = quads_start(reinterpret_cast<const QuadNumber*>(a + r * op.a_stride), op.k);
    for (std::size_t panel = 0, panels; panel < op.n_panels; panel += panels) {
      panels = panels_at_once<Product>(rows, op.n_panels - panel);
      Tiles({.a = reinterpret_cast<const Element*>(a),
             .a_stride = op.a_stride / sizeof(Element),
             .rows = rows,
             .w = op.panels + panel * op.k * kLanes,
             .k = op.k,
             .panels = panels,
             .sums = sums,
             .sums_rows = rows,
             .starts = starts});
      for (std::size_t p = panel; p < panel + panels; ++p)
        write_dequantised(op, sums + (p - panel) * rows * kLanes, p, row, rows);
    }
  }
}

inline void gemm_u8(const GemmS8& op) { gemm_quads<ProductU8, tiles_u8>(op, nullptr); }

inline void gemm_s8(const GemmS8& op) {
  if (op.a_unsigned) return gemm_u8(op);
  std::int32_t starts[kRowBlock];
  gemm_quads<ProductS8, tiles_s8>(op, starts);
}
