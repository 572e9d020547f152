// Matrix products on tiles, written once on sixteen lanes; each level includes it inside its region, after rows.inl and
// tiles.inl, in its namespace.
//
// A panel's sums wait in the caller's scratch until its last tile is done; then the epilogue goes over them. Rows are
// cut, so that what a block reads of `a` stays in L2.

inline constexpr std::size_t kRowBlock = 192;        // rows whose sums wait
inline constexpr std::size_t kBlockBytes = 524'288;  // of `a` in a block of rows: what stays in L2 beside the weights
static_assert(kRowBlock <= kWaitingRows);

/// float32 weights.
struct ProductF32 {
  using Element = float;
  using Weight = float;
  using Accumulator = F32x16;
  using Stored = float;
  static constexpr std::size_t kGroup = PanelRow<Weight>::kGroup, kRows = kTileRowsF32, kPairRows = kPairRowsF32;
  static constexpr std::size_t kPart = kPartF32;
  static BERTHA_LANE_INLINE Accumulator start(const std::int32_t*, std::size_t) { return broadcast(0.0f); }
  static BERTHA_LANE_INLINE F32x16 operand(const Element* a) { return broadcast(*a); }
  static BERTHA_LANE_INLINE F32x16 row(const Weight* w) { return load(w); }
  static BERTHA_LANE_INLINE Accumulator step(Accumulator acc, F32x16 a, F32x16 w) { return fma(a, w, acc); }
};

// One function for each product, so that the tiles are compiled once. tests/package/inner_loops.py looks at them.
BERTHA_NOINLINE void tiles_part_f32(const TileWork<ProductF32>& work) { tiles(work); }
BERTHA_NOINLINE void tiles_f32(const TileWork<ProductF32>& work) {
  TileWork<ProductF32> part = work;
  part.panel_k = work.k;
  for (std::size_t left = work.k;; left -= part.k) {
    part.k = left < ProductF32::kPart ? left : ProductF32::kPart;
    part.ahead = work.w + work.panels * (2 * work.k - left) * kLanes;
    tiles_part_f32(part);
    if (part.k == left) return;
    part.adds = true;
    part.a += part.k;
    part.w += part.k * kLanes;
  }
}

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

/// Where a panel's results go, and what is added last, or, gated, multiplied by.
struct Destination {
  float* out;
  std::size_t out_stride;
  const float* residual;  // or null; may be out
  std::size_t residual_stride;
  std::size_t rows;
  bool gated;
};

/// The sixteen columns of a panel in rows of an operation's output.
template <class Operation>
BERTHA_INLINE Destination destination(const Operation& op, std::size_t panel, std::size_t first_row, std::size_t rows) {
  const std::size_t column = panel * kLanes;
  return {op.out + first_row * op.out_stride + column,
          op.out_stride,
          op.residual ? op.residual + first_row * op.residual_stride + column : nullptr,
          op.residual_stride,
          rows,
          op.gated};
}

// What happens to a row's sixteen sums before the activation.
struct AddBias {
  const float* sums;  // [rows, 16]
  F32x16 bias;
  BERTHA_LANE_INLINE F32x16 operator()(std::size_t row) const { return add(load(sums + row * kLanes), bias); }
};
struct Dequantise {
  const std::int32_t* sums;  // [rows, 16]
  const float* row_scale;
  F32x16 scale, bias;
  BERTHA_LANE_INLINE F32x16 operator()(std::size_t row) const {
    return fma(to_f32(load(sums + row * kLanes)), mul(broadcast(row_scale[row]), scale), bias);
  }
};
template <class Apply, class Value>
BERTHA_INLINE void write_activated(Value value, Destination to) {
  for (std::size_t row = 0; row < to.rows; ++row) {
    F32x16 y = Apply::of(value(row));
    if (to.residual) {
      const F32x16 residual = load(to.residual + row * to.residual_stride);
      y = to.gated ? mul(y, residual) : add(y, residual);
    }
    store(to.out + row * to.out_stride, y);
  }
}

// By value: what is behind a reference would be read again after every number that is stored.
template <class Value>
BERTHA_INLINE void write_rows(Value value, Activation activation, Destination to) {
  switch (activation) {
    case Activation::none: write_activated<Identity>(value, to); break;
    case Activation::gelu: write_activated<Gelu>(value, to); break;
    case Activation::gelu_tanh: write_activated<GeluTanh>(value, to); break;
    case Activation::relu: write_activated<Relu>(value, to); break;
    case Activation::silu: write_activated<Silu>(value, to); break;
    case Activation::tanh: write_activated<Tanh>(value, to); break;
  }
}

// The epilogues of a panel, compiled once for all products of the level and of those that inherit from it.
BERTHA_NOINLINE void write(const AddBias& value, Activation activation, const Destination& to) {
  write_rows(value, activation, to);
}
BERTHA_NOINLINE void write(const Dequantise& value, Activation activation, const Destination& to) {
  write_rows(value, activation, to);
}

BERTHA_LANE_INLINE std::size_t smaller(std::size_t a, std::size_t b) { return a < b ? a : b; }

/// Rows of the next block when `rows` of `row_bytes` (which may be 0) are left: nearly equal blocks of whole tiles, so
/// that none is left with a row or two. At most kMostRows.
template <std::size_t kTileHeight, std::size_t kMostRows = kRowBlock, std::size_t kMostBytes = kBlockBytes>
BERTHA_INLINE std::size_t block_rows(std::size_t rows, std::size_t row_bytes) {
  static_assert(kMostRows % kTileHeight == 0, "a block that is rounded up to whole tiles must fit where its sums wait");
  const std::size_t fit = smaller(kMostRows, round_up(kMostBytes / (row_bytes + 1) + 1, kTileHeight));
  const std::size_t blocks = (rows + fit - 1) / fit;
  return smaller(rows, round_up((rows + blocks - 1) / blocks, kTileHeight));
}

/// A product whose sums are float32; `Tiles` is the function of its tiles.
template <class Product, auto Tiles>
BERTHA_INLINE void gemm_rows(const GemmRows<typename Product::Element>& op) {
  float* sums = reinterpret_cast<float*>(op.scratch);
  for (std::size_t row = 0, rows; row < op.rows; row += rows) {
    rows = block_rows<Product::kRows>(op.rows - row, op.k * sizeof(typename Product::Element));
    for (std::size_t panel = 0, panels; panel < op.n_panels; panel += panels) {
      panels = panels_at_once<Product>(rows, op.n_panels - panel);
      Tiles({.a = op.a + row * op.a_stride,
             .a_stride = op.a_stride,
             .rows = rows,
             .w = op.panels + panel * op.k * kLanes,
             .k = op.k,
             .panels = panels,
             .sums = sums,
             .sums_rows = rows});
      for (std::size_t p = panel; p < panel + panels; ++p) {
        const F32x16 bias = op.bias ? load(op.bias + p * kLanes) : broadcast(0.0f);
        write(AddBias{sums + (p - panel) * rows * kLanes, bias}, op.activation, destination(op, p, row, rows));
      }
    }
  }
}

inline void gemm_f32(const GemmF32& op) { gemm_rows<ProductF32, tiles_f32>(op); }

/// The sums of products of `a` become those of products of a - zero; weight_sums [16] are those of the panel's weights.
BERTHA_NOINLINE void subtract_zero_points(std::int32_t* sums, std::size_t rows, const std::int32_t* zero,
                                          const std::int32_t* weight_sums) {
  const I32x16 weights = load(weight_sums);
  for (std::size_t row = 0; row < rows; ++row)
    store(sums + row * kLanes, subtract_product(load(sums + row * kLanes), zero[row], weights));
}

/// Writes a panel's rows of an int8 product, whose sums [rows, 16] are complete.
BERTHA_INLINE void write_dequantised(const GemmS8& op, std::int32_t* sums, std::size_t panel, std::size_t first_row,
                                     std::size_t rows) {
  const std::size_t column = panel * kLanes;
  if (op.a_zero) subtract_zero_points(sums, rows, op.a_zero + first_row, op.sum + column);
  const F32x16 bias = op.bias ? load(op.bias + column) : broadcast(0.0f);
  write(Dequantise{sums, op.a_scale + first_row, load(op.scale + column), bias}, op.activation,
        destination(op, panel, first_row, rows));
}
