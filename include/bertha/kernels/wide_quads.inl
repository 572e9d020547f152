// For levels whose int8 products multiply words: included after level.inl, in its region and namespace.
//
// Where weights are for more rows than a tile has, they are widened once for all of them, as many inputs at a time as
// stay in the first cache beside what a tile reads of `a`, and half of the multiplications become additions, of which a
// CPU does more at a time:
//
//     a0 w0 + a1 w1 = (a0 + w1) (a1 + w0) - a0 a1 - w0 w1
//
// (S. Winograd's inner product, 1968). What is to be taken off belongs to a row or to an output alone, so it is
// computed once. Sums of two bytes are words, and those of int32 may pass its ends on their way, and come back.

/// What is widened at a time: inputs of a panel, and numbers of `a`, where it is bytes (48 rows of 256).
inline constexpr std::size_t kWideInputs = 256, kWideNumbers = 12'288;

/// What lies in the scratch of a product of words.
struct WideScratch {
  WideNumber panel[kWideInputs * kLanes];
  QuadNumber rows[kWideNumbers];
  BERTHA_INLINE std::int32_t* sums() { return reinterpret_cast<std::int32_t*>(this + 1); }  // [rows, 16]
};
static_assert(sizeof(WideScratch) <= kWideningScratch && sizeof(WideScratch) % 64 == 0);

/// int8 weights, widened; sums go on from those that are stored.
struct ProductWide {
  using Element = QuadNumber;
  using Weight = WideNumber;
  using Accumulator = I32x16;
  using Stored = std::int32_t;
  static constexpr std::size_t kGroup = PanelRow<std::int8_t>::kGroup, kRows = kTileRowsS8;
  static constexpr bool kFetchesNext = true;
  static BERTHA_LANE_INLINE Accumulator start(const std::int32_t* sums, std::size_t row) {
    return load(sums + row * kLanes);
  }
  static BERTHA_LANE_INLINE Quad operand(const Element* a) { return quad(a); }
  static BERTHA_LANE_INLINE WideRow row(const Weight* w) { return wide_row(w); }
  static BERTHA_LANE_INLINE Accumulator step(Accumulator acc, Quad a, WideRow w) { return dot_quads(acc, a, w); }
};

/// Of more rows than a tile has.
BERTHA_NOINLINE void tiles_wide(const TileWork<ProductWide>& work) {
  tiles_of<ProductWide, ProductWide::kRows, least_height(ProductWide::kRows, ProductWide::kRows), 1>(work);
}

/// Widens the weights of `inputs`, and takes what they make by themselves off the sums [rows, 16], which begin at
/// `starts` [rows], or go on where that is null.
BERTHA_NOINLINE void widen_weights(const std::int8_t* w, std::size_t inputs, WideNumber* wide,
                                   const std::int32_t* starts, std::int32_t* sums, std::size_t rows) {
  I32x16 own = zero_s32();
  for (std::size_t i = 0; i < inputs * kLanes; i += kLineBytes) {
    const QuadRow row = quad_row(w + i);
    store(wide + i, row);
    own = add(own, own_products(row));
  }
  for (std::size_t r = 0; r < rows; ++r, sums += kLanes)
    store(sums, sub(starts ? broadcast_s32(starts[r]) : load(sums), own));
}

/// The product of one block of rows, more than a tile has.
inline void gemm_wide(const GemmS8& op) {
  WideScratch& scratch = *reinterpret_cast<WideScratch*>(op.scratch);
  std::int32_t* sums = scratch.sums();
  std::int32_t starts[kRowBlock];
  const QuadNumber* a = reinterpret_cast<const QuadNumber*>(op.a);
  const std::size_t a_stride = op.a_stride / sizeof(QuadNumber);
  for (std::size_t r = 0; r < op.rows; ++r) {
    I32x16 own = zero_s32();
    for (std::size_t i = 0; i < op.k; i += kLanes) own = add(own, own_products(a + r * a_stride + i));
    starts[r] = -fold_add(own);
  }
  for (std::size_t panel = 0; panel < op.n_panels; ++panel) {
    for (std::size_t k = 0, inputs; k < op.k; k += inputs) {
      inputs = smaller(kWideInputs, op.k - k);
      const std::int8_t* w = op.panels + (panel * op.k + k) * kLanes;
      widen_weights(w, inputs, scratch.panel, k == 0 ? starts : nullptr, sums, op.rows);
      tiles_wide({.a = a + k,
                  .a_stride = a_stride,
                  .rows = op.rows,
                  .w = scratch.panel,
                  .k = inputs,
                  .panels = 1,
                  .sums = sums,
                  .sums_rows = op.rows,
                  .starts = sums,
                  .next = w + inputs * kLanes});
    }
    write_dequantised(op, sums, panel, 0, op.rows);
  }
}

/// `op` of `rows` of its rows, from `first` on.
BERTHA_INLINE GemmS8 rows_of(GemmS8 op, std::size_t first, std::size_t rows) {
  op.a += first * op.a_stride;
  op.a_scale += first;
  if (op.a_zero) op.a_zero += first;
  if (op.residual) op.residual += first * op.residual_stride;
  op.out += first * op.out_stride;
  op.rows = rows;
  return op;
}

/// Of bytes from 0 to 255, which are widened as well; of rows that are too long for that, as they are.
inline void gemm_wide_u8(const GemmS8& op) {
  const std::size_t fit = kWideNumbers / op.k;
  if (fit <= kTileRowsS8) return gemm_u8(op);
  QuadNumber* words = reinterpret_cast<WideScratch*>(op.scratch)->rows;
  for (std::size_t row = 0; row < op.rows; row += fit) {
    GemmS8 block = rows_of(op, row, smaller(fit, op.rows - row));
    if (block.rows <= kTileRowsS8) return gemm_u8(block);  // the last
    const std::uint8_t* bytes = reinterpret_cast<const std::uint8_t*>(block.a);
    for (std::size_t r = 0; r < block.rows; ++r)
      for (std::size_t i = 0; i < op.k; i += kLanes) widen_quads(bytes + r * op.a_stride + i, words + r * op.k + i);
    block.a = reinterpret_cast<const std::int8_t*>(words);
    block.a_stride = op.k * sizeof(QuadNumber);
    gemm_wide(block);
  }
}

inline void gemm_wide_or_quads(const GemmS8& op) {
  if (op.a_unsigned) return gemm_wide_u8(op);
  for (std::size_t row = 0, rows; row < op.rows; row += rows) {
    rows = block_rows<kTileRowsS8>(op.rows - row, op.k * sizeof(QuadNumber));
    const GemmS8 block = rows_of(op, row, rows);
    rows > kTileRowsS8 ? gemm_wide(block) : gemm_s8(block);
  }
}

/// Rows of quads in words. They are quantised into the second half of their memory, which the words that are written so
/// far never reach.
inline void pack_quads(const QuantiseRows& op) {
  const std::size_t depth = round_up(op.size, PanelRow<std::int8_t>::kUnit);
  for (std::size_t row = 0; row < op.rows; ++row) {
    std::int8_t *q = op.q + row * op.q_stride, *bytes = q + depth * (sizeof(QuadNumber) - 1);
    quantise(op, row, bytes, 64);
    for (std::size_t i = 0; i < depth; i += kLanes) widen_quads(bytes + i, reinterpret_cast<QuadNumber*>(q) + i);
  }
}

inline void attention_of_wide_quads(const Attention& op) {
  attend_s8(op, pack_quads, gemm_wide_or_quads, sizeof(QuadNumber));
}

constexpr Table table_with_wide_quads(std::string_view level) {
  return level_over(own_table(level), {.level = level,
                                       .quantised_bytes = sizeof(QuadNumber),
                                       .gemm_s8 = {gemm_wide_or_quads},
                                       .attention_s8 = {attention_of_wide_quads},
                                       .pack_quantised = {pack_quads}});
}
