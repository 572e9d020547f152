// Matrix products on tiles, written once on sixteen lanes; each level includes it inside its region, after rows.inl and
// tiles.inl, in its namespace.
//
// A panel's sums wait in `partial` until its last tile is done; then the epilogue goes over them. k is not cut: rows
// are, so that what a block reads of `a` stays in L2. Sums of integers are exact in any order; they can't overflow up
// to k = 2^17.

inline constexpr std::size_t kRowBlock = 192;        // rows whose sums wait in `partial`
inline constexpr std::size_t kBlockBytes = 524'288;  // of `a` in a block of rows: what stays in L2 beside the weights

/// float32 weights: w[k][16].
struct ProductF32 {
  using Element = float;
  using Weight = float;
  using Accumulator = F32x16;
  using Stored = float;
  static constexpr std::size_t kGroup = 1, kRows = kTileRowsF32, kPairRows = kPairRowsF32;
  static BERTHA_LANE_INLINE Accumulator zero() { return broadcast(0.0f); }
  static BERTHA_LANE_INLINE F32x16 operand(const Element* a) { return broadcast(*a); }
  static BERTHA_LANE_INLINE F32x16 row(const Weight* w) { return load(w); }
  static BERTHA_LANE_INLINE Accumulator step(Accumulator acc, F32x16 a, F32x16 w) { return fma(a, w, acc); }
};

/// int8 weights: w[k/4][16][4].
struct ProductS8 {
  using Element = std::int8_t;
  using Weight = std::int8_t;
  using Accumulator = I32x16;
  using Stored = std::int32_t;
  static constexpr std::size_t kGroup = 4, kRows = kTileRowsS8, kPairRows = 0;
  static BERTHA_LANE_INLINE Accumulator zero() { return zero_s32(); }
  static BERTHA_LANE_INLINE Quad operand(const Element* a) { return quad(a); }
  static BERTHA_LANE_INLINE QuadRow row(const Weight* w) { return quad_row(w); }
  static BERTHA_LANE_INLINE Accumulator step(Accumulator acc, Quad a, QuadRow w) { return dot_quads(acc, a, w); }
};

/// int16 weights: w[k/2][16][2].
struct ProductS16 {
  using Element = std::int16_t;
  using Weight = std::int16_t;
  using Accumulator = I32x16;
  using Stored = std::int32_t;
  static constexpr std::size_t kGroup = 2, kRows = kTileRowsS16, kPairRows = 0;
  static BERTHA_LANE_INLINE Accumulator zero() { return zero_s32(); }
  static BERTHA_LANE_INLINE Pair operand(const Element* a) { return pair(a); }
  static BERTHA_LANE_INLINE PairRow row(const Weight* w) { return pair_row(w); }
  static BERTHA_LANE_INLINE Accumulator step(Accumulator acc, Pair a, PairRow w) { return dot_pairs(acc, a, w); }
};

// One function for each product, so that the tiles are compiled once. tests/package/inner_loops.py looks at them.
BERTHA_NOINLINE void tiles_f32(const float* a, std::size_t a_stride, std::size_t rows, const float* w, std::size_t k,
                               std::size_t panels, float* partial, std::size_t partial_stride) {
  tiles<ProductF32>(a, a_stride, rows, w, k, panels, partial, partial_stride);
}
BERTHA_NOINLINE void tiles_s8(const std::int8_t* a, std::size_t a_stride, std::size_t rows, const std::int8_t* w,
                              std::size_t k, std::int32_t* partial) {
  tiles<ProductS8>(a, a_stride, rows, w, k, 1, partial, 0);
}
BERTHA_NOINLINE void tiles_s16(const std::int16_t* a, std::size_t a_stride, std::size_t rows, const std::int16_t* w,
                               std::size_t k, std::int32_t* partial) {
  tiles<ProductS16>(a, a_stride, rows, w, k, 1, partial, 0);
}

// What happens to a row's sixteen sums before the activation.
struct AddBias {
  const float* partial;  // [rows, 16]
  F32x16 bias;
  BERTHA_LANE_INLINE F32x16 operator()(std::size_t row) const { return add(load(partial + row * kLanes), bias); }
};
struct Dequantise {
  const std::int32_t* partial;  // [rows, 16]
  const float* row_scale;
  F32x16 scale, bias;
  BERTHA_LANE_INLINE F32x16 operator()(std::size_t row) const {
    return fma(to_f32(load(partial + row * kLanes)), mul(broadcast(row_scale[row]), scale), bias);
  }
};

struct Identity {
  static BERTHA_LANE_INLINE F32x16 of(F32x16 x) { return x; }
};
struct Gelu {
  static BERTHA_LANE_INLINE F32x16 of(F32x16 x) { return gelu(x); }
};
struct GeluTanh {
  static BERTHA_LANE_INLINE F32x16 of(F32x16 x) { return gelu_tanh(x); }
};
struct Relu {
  static BERTHA_LANE_INLINE F32x16 of(F32x16 x) { return relu(x); }
};
struct Silu {
  static BERTHA_LANE_INLINE F32x16 of(F32x16 x) { return silu(x); }
};
struct Tanh {
  static BERTHA_LANE_INLINE F32x16 of(F32x16 x) { return tanh(x); }
};

/// Where a panel's results go, and what is added last.
struct Destination {
  float* out;
  std::size_t out_stride;
  const float* residual;  // or null; may be out
  std::size_t residual_stride;
};

template <class Apply, class Value>
BERTHA_INLINE void write_activated(const Value& value, std::size_t rows, const Destination& to) {
  for (std::size_t row = 0; row < rows; ++row) {
    F32x16 y = Apply::of(value(row));
    if (to.residual) y = add(y, load(to.residual + row * to.residual_stride));
    store(to.out + row * to.out_stride, y);
  }
}

template <class Value>
BERTHA_INLINE void write(const Value& value, std::size_t rows, Activation activation, const Destination& to) {
  switch (activation) {
    case Activation::none: write_activated<Identity>(value, rows, to); break;
    case Activation::gelu: write_activated<Gelu>(value, rows, to); break;
    case Activation::gelu_tanh: write_activated<GeluTanh>(value, rows, to); break;
    case Activation::relu: write_activated<Relu>(value, rows, to); break;
    case Activation::silu: write_activated<Silu>(value, rows, to); break;
    case Activation::tanh: write_activated<Tanh>(value, rows, to); break;
  }
}

BERTHA_LANE_INLINE std::size_t smaller(std::size_t a, std::size_t b) { return a < b ? a : b; }

/// Rows of the next block when `rows` of `row_bytes` (which may be 0) are left: nearly equal blocks of whole tiles, so
/// that none is left with a row or two.
BERTHA_LANE_INLINE std::size_t block_rows(std::size_t rows, std::size_t row_bytes, std::size_t tile_rows,
                                          std::size_t most_rows = kRowBlock, std::size_t most_bytes = kBlockBytes) {
  const std::size_t fit = smaller(most_rows, round_up(most_bytes / (row_bytes + 1) + 1, tile_rows));
  const std::size_t blocks = (rows + fit - 1) / fit;
  return smaller(rows, round_up((rows + blocks - 1) / blocks, tile_rows));
}

BERTHA_LANE_INLINE Destination destination(const float* residual, std::size_t residual_stride, float* out,
                                           std::size_t out_stride, std::size_t row, std::size_t column) {
  return {out + row * out_stride + column, out_stride, residual ? residual + row * residual_stride + column : nullptr,
          residual_stride};
}

/// A product whose sums are float32; `Tiles` is the function of its tiles.
template <class Product, auto Tiles>
BERTHA_INLINE void gemm_rows(const GemmRows<typename Product::Element>& op) {
  alignas(64) float partial[2][kRowBlock * kLanes];
  for (std::size_t row = 0, rows; row < op.rows; row += rows) {
    rows = block_rows(op.rows - row, op.k * sizeof(typename Product::Element), Product::kRows);
    for (std::size_t panel = 0, panels; panel < op.n_panels; panel += panels) {
      panels = panels_at_once<Product>(rows, op.n_panels - panel);
      Tiles(op.a + row * op.a_stride, op.a_stride, rows, op.panels + panel * op.k * kLanes, op.k, panels, partial[0],
            kRowBlock * kLanes);
      for (std::size_t p = 0; p < panels; ++p) {
        const std::size_t column = (panel + p) * kLanes;
        write(AddBias{partial[p], op.bias ? load(op.bias + column) : broadcast(0.0f)}, rows, op.activation,
              destination(op.residual, op.residual_stride, op.out, op.out_stride, row, column));
      }
    }
  }
}

inline void gemm_f32(const GemmF32& op) { gemm_rows<ProductF32, tiles_f32>(op); }

inline void gemm_s8(const GemmS8& op) {
  alignas(64) std::int32_t partial[kRowBlock * kLanes];
  for (std::size_t row = 0, rows; row < op.rows; row += rows) {
    rows = block_rows(op.rows - row, op.k * sizeof(std::int8_t), ProductS8::kRows);
    for (std::size_t panel = 0; panel < op.n_panels; ++panel) {
      tiles_s8(op.a + row * op.a_stride, op.a_stride, rows, op.panels + panel * op.k * kLanes, op.k, partial);
      const std::size_t column = panel * kLanes;
      write(Dequantise{partial, op.a_scale + row, load(op.scale + column), load(op.bias + column)}, rows, op.activation,
            destination(op.residual, op.residual_stride, op.out, op.out_stride, row, column));
    }
  }
}
