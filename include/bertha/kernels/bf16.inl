// bfloat16: products, embeddings and rounding, written once on sixteen lanes; each level includes it inside its region,
// after gemm.inl, in its namespace. A number travels as its 16 bits, which are the upper half of the float32 number that
// it is.

/// bfloat16 weights: w[k/2][16][2].
struct ProductBf16 {
  using Element = std::uint16_t;
  using Weight = std::uint16_t;
  using Accumulator = F32x16;
  using Stored = float;
  static constexpr std::size_t kGroup = 2;
  static BERTHA_LANE_INLINE Accumulator zero() { return broadcast(0.0f); }
  static BERTHA_LANE_INLINE Accumulator step(Accumulator acc, const Element* a, const Weight* w) {
    return dot_pairs(acc, a, w);
  }
};

inline void tiles_bf16(const std::uint16_t* a, std::size_t a_stride, std::size_t rows, const std::uint16_t* w,
                       std::size_t k, float* partial) {
  tiles<ProductBf16, kTileRowsBf16>(a, a_stride, rows, w, k, partial);
}

inline void gemm_bf16(const GemmBf16& op) {
  alignas(64) float partial[kRowBlock * kLanes];
  for (std::size_t row = 0, rows; row < op.rows; row += rows) {
    rows = block_rows(op.rows - row);
    for (std::size_t panel = 0; panel < op.n_panels; ++panel) {
      tiles_bf16(op.a + row * op.a_stride, op.a_stride, rows, op.panels + panel * op.k * kLanes, op.k, partial);
      const std::size_t column = panel * kLanes;
      write(AddBias{partial, load(op.bias + column)}, rows, op.activation,
            destination(op.residual, op.residual_stride, op.out, op.out_stride, row, column));
    }
  }
}

inline void embed_bf16(const EmbedBf16& op) { embed(op); }

/// store_s16 and store_pairs on the bits of bfloat16 numbers.
BERTHA_LANE_INLINE std::int16_t* as_s16(std::uint16_t* p) { return reinterpret_cast<std::int16_t*>(p); }

inline void round_rows(const RoundRows& op) {
  for (std::size_t row = 0; row < op.rows; ++row) {
    const float* x = op.x + row * op.stride;
    std::uint16_t* y = op.y + row * op.y_stride;
    for (std::size_t i = 0; i < op.size; i += kLanes)
      store_s16(as_s16(y + i), to_bf16(op.size - i < kLanes ? load_first(x + i, op.size - i) : load(x + i)));
    if (padded(op.size) < round_up(op.size, 32)) store_s16(as_s16(y + padded(op.size)), zero_s32());
  }
}

inline void round_panels(const RoundPanels& op) {
  const std::size_t depth = round_up(op.k, 32);
  for (std::size_t panel = 0; panel < op.n_panels; ++panel) {
    const float* from = op.panels + panel * op.k * kLanes;
    std::uint16_t* to = op.out + panel * depth * kLanes;
    for (std::size_t k = 0; k < depth; k += 2)
      store_pairs(as_s16(to + k * kLanes), k < op.k ? to_bf16(load(from + k * kLanes)) : zero_s32(),
                  k + 1 < op.k ? to_bf16(load(from + (k + 1) * kLanes)) : zero_s32());
  }
}
