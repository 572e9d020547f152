// Matrix products and the two attentions, written once on sixteen lanes; each level includes it inside its region,
// after rows.inl, in its namespace.
//
//     one panel (16 outputs, k rows of 64 bytes)        a tile: 1 to kTileRows rows of a
//     w[0][0..15]                                       acc[r][0..15] += a[r][0] * w[0][0..15]
//     w[1][0..15]                                       acc[r][0..15] += a[r][1] * w[1][0..15]
//     ...                                               ...
//
// A level's kTileRows is what its registers hold. Every output has one accumulator and k ascends, whatever the tile, so
// a row's bits don't depend on the rows around it. A panel's sums wait in `partial` until its last tile is done;
// then the epilogue goes over them. k is not cut (measured: slower). Sums of integers are exact in any order; they
// can't overflow up to k = 2^17.

inline constexpr std::size_t kRowBlock = 192;   // rows whose sums wait in `partial`
inline constexpr std::size_t kPrefetch = 1024;  // bytes of weights ahead: hardware stops at the end of a page

/// float32 weights: w[k][16].
struct ProductF32 {
  using Element = float;
  using Weight = float;
  using Accumulator = F32x16;
  using Stored = float;
  static constexpr std::size_t kGroup = 1;  // numbers of k that lie side by side for one output
  static BERTHA_LANE_INLINE Accumulator zero() { return broadcast(0.0f); }
  static BERTHA_LANE_INLINE Accumulator step(Accumulator acc, const Element* a, const Weight* w) {
    return fma(broadcast(*a), load(w), acc);
  }
};

/// int8 weights: w[k/4][16][4].
struct ProductS8 {
  using Element = std::int8_t;
  using Weight = std::int8_t;
  using Accumulator = I32x16;
  using Stored = std::int32_t;
  static constexpr std::size_t kGroup = 4;
  static BERTHA_LANE_INLINE Accumulator zero() { return zero_s32(); }
  static BERTHA_LANE_INLINE Accumulator step(Accumulator acc, const Element* a, const Weight* w) {
    return dot_quads(acc, a, w);
  }
};

/// int16 weights: w[k/2][16][2].
struct ProductS16 {
  using Element = std::int16_t;
  using Weight = std::int16_t;
  using Accumulator = I32x16;
  using Stored = std::int32_t;
  static constexpr std::size_t kGroup = 2;
  static BERTHA_LANE_INLINE Accumulator zero() { return zero_s32(); }
  static BERTHA_LANE_INLINE Accumulator step(Accumulator acc, const Element* a, const Weight* w) {
    return dot_pairs(acc, a, w);
  }
};

/// partial[Rows][16] = a[Rows, k] times one panel; k a multiple of the product's group.
template <class Product, std::size_t Rows>
BERTHA_INLINE void tile(const typename Product::Element* a, std::size_t a_stride, const typename Product::Weight* w,
                        std::size_t k, typename Product::Stored* partial) {
  typename Product::Accumulator acc[Rows];
  BERTHA_UNROLL
  for (std::size_t r = 0; r < Rows; ++r) acc[r] = Product::zero();
  for (std::size_t i = 0; i < k; i += Product::kGroup, w += Product::kGroup * kLanes) {
    __builtin_prefetch(reinterpret_cast<const char*>(w) + kPrefetch);
    BERTHA_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) acc[r] = Product::step(acc[r], a + r * a_stride + i, w);
  }
  BERTHA_UNROLL
  for (std::size_t r = 0; r < Rows; ++r) store(partial + r * kLanes, acc[r]);
}

/// `tile` of a height from 1 to Rows.
template <class Product, std::size_t Rows>
BERTHA_INLINE void tile_of_height(std::size_t height, const typename Product::Element* a, std::size_t a_stride,
                                  const typename Product::Weight* w, std::size_t k, typename Product::Stored* partial) {
  if constexpr (Rows > 1)
    if (height < Rows) return tile_of_height<Product, Rows - 1>(height, a, a_stride, w, k, partial);
  tile<Product, Rows>(a, a_stride, w, k, partial);
}

/// The same for up to kRowBlock rows, cut into tiles of nearly equal height.
template <class Product, std::size_t Rows = kTileRows>
BERTHA_INLINE void tiles(const typename Product::Element* a, std::size_t a_stride, std::size_t rows,
                         const typename Product::Weight* w, std::size_t k, typename Product::Stored* partial) {
  std::size_t left = (rows + Rows - 1) / Rows;
  for (std::size_t row = 0; row < rows; --left) {
    const std::size_t height = (rows - row + left - 1) / left;
    const typename Product::Element* tile_a = a + row * a_stride;
    typename Product::Stored* sums = partial + row * kLanes;
    tile_of_height<Product, Rows>(height, tile_a, a_stride, w, k, sums);
    row += height;
  }
}

// One function for each product, so that the tiles are compiled once.
inline void tiles_f32(const float* a, std::size_t a_stride, std::size_t rows, const float* w, std::size_t k,
                      float* partial) {
  tiles<ProductF32>(a, a_stride, rows, w, k, partial);
}
inline void tiles_s8(const std::int8_t* a, std::size_t a_stride, std::size_t rows, const std::int8_t* w, std::size_t k,
                     std::int32_t* partial) {
  tiles<ProductS8>(a, a_stride, rows, w, k, partial);
}
inline void tiles_s16(const std::int16_t* a, std::size_t a_stride, std::size_t rows, const std::int16_t* w,
                      std::size_t k, std::int32_t* partial) {
  tiles<ProductS16>(a, a_stride, rows, w, k, partial);
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

/// Rows of the next block when `rows` are left: nearly equal blocks, so that none is left with a row or two.
BERTHA_LANE_INLINE std::size_t block_rows(std::size_t rows) {
  const std::size_t blocks = (rows + kRowBlock - 1) / kRowBlock;
  return (rows + blocks - 1) / blocks;
}

BERTHA_LANE_INLINE Destination destination(const float* residual, std::size_t residual_stride, float* out,
                                           std::size_t out_stride, std::size_t row, std::size_t column) {
  return {out + row * out_stride + column, out_stride, residual ? residual + row * residual_stride + column : nullptr,
          residual_stride};
}

inline void gemm_f32(const GemmF32& op) {
  alignas(64) float partial[kRowBlock * kLanes];
  for (std::size_t row = 0, rows; row < op.rows; row += rows) {
    rows = block_rows(op.rows - row);
    for (std::size_t panel = 0; panel < op.n_panels; ++panel) {
      tiles_f32(op.a + row * op.a_stride, op.a_stride, rows, op.panels + panel * op.k * kLanes, op.k, partial);
      const std::size_t column = panel * kLanes;
      write(AddBias{partial, op.bias ? load(op.bias + column) : broadcast(0.0f)}, rows, op.activation,
            destination(op.residual, op.residual_stride, op.out, op.out_stride, row, column));
    }
  }
}

inline void gemm_s8(const GemmS8& op) {
  alignas(64) std::int32_t partial[kRowBlock * kLanes];
  for (std::size_t row = 0, rows; row < op.rows; row += rows) {
    rows = block_rows(op.rows - row);
    for (std::size_t panel = 0; panel < op.n_panels; ++panel) {
      tiles_s8(op.a + row * op.a_stride, op.a_stride, rows, op.panels + panel * op.k * kLanes, op.k, partial);
      const std::size_t column = panel * kLanes;
      write(Dequantise{partial, op.a_scale + row, load(op.scale + column), load(op.bias + column)}, rows, op.activation,
            destination(op.residual, op.residual_stride, op.out, op.out_stride, row, column));
    }
  }
}

/// Hands out pieces of attention's scratch; every piece is a multiple of 64 bytes.
struct Pieces {
  std::byte* next;
  BERTHA_LANE_INLINE std::byte* take(std::size_t bytes) {
    std::byte* piece = next;
    next += round_up(bytes, 64);
    return piece;
  }
  BERTHA_LANE_INLINE float* floats(std::size_t n) { return reinterpret_cast<float*>(take(n * sizeof(float))); }
  BERTHA_LANE_INLINE std::int16_t* words(std::size_t n) {
    return reinterpret_cast<std::int16_t*>(take(n * sizeof(std::int16_t)));
  }
};

/// Writes sixteen numbers of a context row, or the `count` that are left of it.
BERTHA_LANE_INLINE void store_context(float* p, F32x16 x, std::size_t count) {
  if (count < kLanes)
    store_first(p, x, count);
  else
    store(p, x);
}

/// scores[i, j] = (q[i] . k[j], one chain of fma, d ascending) * scale; e = exp(score - max of the row), stored;
/// context[i, d] = (one chain of fma(e[j], v[j, d]), j ascending) * (1 / sum of e).
/// NaN and +inf among the scores give a row of NaN. Keys and values lie in panels, like weights.
inline void attention_f32(const Attention& op) {
  const std::size_t keys = padded(op.length), size = op.head_size;
  Pieces pieces{op.scratch};
  float* key_panels = pieces.floats(keys * size);                 // [keys/16][size][16]
  float* value_panels = pieces.floats(op.length * padded(size));  // [size'/16][length][16]
  float* scores = pieces.floats(kQueryBlock * keys);              // [kQueryBlock, keys]
  alignas(64) float partial[kQueryBlock * kLanes];
  float factor[kQueryBlock];

  for (std::size_t j = 0; j < keys; ++j) {
    float* to = key_panels + j / kLanes * size * kLanes + j % kLanes;
    for (std::size_t d = 0; d < size; ++d) to[d * kLanes] = j < op.length ? op.key[j * op.stride + d] : 0.0f;
  }
  for (std::size_t d = 0; d < size; d += kLanes)
    for (std::size_t j = 0; j < op.length; ++j)
      store(value_panels + d * op.length + j * kLanes, load(op.value + j * op.stride + d));

  for (std::size_t i = 0; i < op.length; i += kQueryBlock) {
    const std::size_t rows = smaller(kQueryBlock, op.length - i);
    const F32x16 scale = broadcast(op.scale);
    for (std::size_t j = 0; j < keys; j += kLanes) {
      tiles_f32(op.query + i * op.stride, op.stride, rows, key_panels + j * size, size, partial);
      for (std::size_t r = 0; r < rows; ++r) store(scores + r * keys + j, mul(load(partial + r * kLanes), scale));
    }
    for (std::size_t r = 0; r < rows; ++r) factor[r] = 1.0f / exponentials(scores + r * keys, op.length);
    for (std::size_t d = 0; d < size; d += kLanes) {
      tiles_f32(scores, keys, rows, value_panels + d * op.length, op.length, partial);
      for (std::size_t r = 0; r < rows; ++r)
        store_context(op.context + (i + r) * op.context_stride + d,
                      mul(load(partial + r * kLanes), broadcast(factor[r])), size - d);
    }
  }
}

/// Turns a row of e = exp(score - max) in (0, 1] into p = round_even(255 e), and sums them; a NaN gives 0 and is seen.
struct Probabilities {
  std::int16_t* out;
  I32x16 sum;
  LargestMagnitude largest;
  BERTHA_LANE_INLINE void operator()(F32x16 e, std::size_t i) {
    const I32x16 p = to_s32(max(mul(e, broadcast(255.0f)), broadcast(0.0f)));
    store_s16(out + i, p);
    sum = add(sum, p);
    largest(e, i);
  }
  BERTHA_LANE_INLINE void tail(F32x16 e, std::size_t i, std::size_t) { (*this)(e, i); }
};

/// Quantises sixteen columns over `length` rows, each by its own largest magnitude, into a panel [length'/2][16][2].
/// A column with a NaN or infinity is 0 and has scale NaN.
BERTHA_LANE_INLINE void quantise_columns(const float* x, std::size_t stride, std::size_t length, std::int16_t* panel,
                                         float* scale) {
  LargestMagnitude largest{zero_s32()};
  for (std::size_t j = 0; j < length; ++j) largest(load(x + j * stride), j);
  alignas(64) std::int32_t most[kLanes];
  alignas(64) float lane_inverse[kLanes];
  store(most, largest.most);
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const Quantiser column = quantiser(most[lane]);
    scale[lane] = column.scale;
    lane_inverse[lane] = column.inverse;
  }
  const F32x16 inverse = load(lane_inverse);
  const F32x16 zero = broadcast(0.0f);
  const Mask16 kept = less(zero, inverse);
  for (std::size_t j = 0; j < length; j += 2, panel += 2 * kLanes) {
    const F32x16 even = select(kept, load(x + j * stride), zero);
    const F32x16 odd = j + 1 < length ? select(kept, load(x + (j + 1) * stride), zero) : zero;
    store_pairs(panel, quantised(even, inverse), quantised(odd, inverse));
  }
}

/// Attention in integers, exact on every level: rows of q and k quantised over head_size, columns of v over the keys.
/// score = float(q . k) * ((q_scale * scale) * k_scale[j]); e = exp(score - max); p = round_even(255 e), 0 to 255;
/// context = float(sum p v) * (v_scale[d] * (1 / float(sum p))). A row of q, or a column of v, with a NaN or infinity
/// gives NaN there; one of k gives NaN everywhere. Sums can't overflow up to a length of 2^16.
inline void attention_s8(const Attention& op) {
  const std::size_t keys = padded(op.length), size = padded(op.head_size);
  Pieces pieces{op.scratch};
  std::int16_t* key_panels = pieces.words(keys * size);    // [keys/16][size/2][16][2]
  std::int16_t* value_panels = pieces.words(keys * size);  // [size/16][keys/2][16][2]
  float* key_scale = pieces.floats(keys);
  float* value_scale = pieces.floats(size);
  float* scores = pieces.floats(kQueryBlock * keys);               // [kQueryBlock, keys]
  std::int16_t* probabilities = pieces.words(kQueryBlock * keys);  // [kQueryBlock, keys]
  std::int16_t* query = pieces.words(kQueryBlock * size);          // [kQueryBlock, size]
  std::int16_t* key_row = pieces.words(size);
  alignas(64) std::int32_t partial[kQueryBlock * kLanes];
  float factor[kQueryBlock];

  for (std::size_t j = 0; j < keys; ++j) {
    key_scale[j] = j < op.length ? quantise_row(op.key + j * op.stride, op.head_size, key_row) : 0.0f;
    std::int16_t* to = key_panels + j / kLanes * size * kLanes + j % kLanes * 2;
    for (std::size_t d = 0; d < size; d += 2, to += 2 * kLanes) {
      to[0] = j < op.length ? key_row[d] : std::int16_t{0};
      to[1] = j < op.length ? key_row[d + 1] : std::int16_t{0};
    }
  }
  for (std::size_t d = 0; d < size; d += kLanes)
    quantise_columns(op.value + d, op.stride, op.length, value_panels + d * keys, value_scale + d);

  for (std::size_t i = 0; i < op.length; i += kQueryBlock) {
    const std::size_t rows = smaller(kQueryBlock, op.length - i);
    for (std::size_t r = 0; r < rows; ++r)
      factor[r] = quantise_row(op.query + (i + r) * op.stride, op.head_size, query + r * size) * op.scale;
    for (std::size_t j = 0; j < keys; j += kLanes) {
      tiles_s16(query, size, rows, key_panels + j * size, size, partial);
      for (std::size_t r = 0; r < rows; ++r)
        store(scores + r * keys + j,
              mul(to_f32(load(partial + r * kLanes)), mul(broadcast(factor[r]), load(key_scale + j))));
    }
    for (std::size_t r = 0; r < rows; ++r) {
      exponentials(scores + r * keys, op.length);
      Probabilities row{probabilities + r * keys, zero_s32(), {zero_s32()}};
      over_row(scores + r * keys, op.length, row);
      const bool finite = fold_max(row.largest.most) < 0x7f800000;
      factor[r] = finite ? 1.0f / static_cast<float>(fold_add(row.sum)) : __builtin_nanf("");
    }
    for (std::size_t d = 0; d < size; d += kLanes) {
      tiles_s16(probabilities, keys, rows, value_panels + d * keys, round_up(op.length, 2), partial);
      for (std::size_t r = 0; r < rows; ++r)
        store_context(op.context + (i + r) * op.context_stride + d,
                      mul(to_f32(load(partial + r * kLanes)), mul(load(value_scale + d), broadcast(factor[r]))),
                      op.head_size - d);
    }
  }
}
