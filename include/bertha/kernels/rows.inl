// Everything that works on rows of float32: exp, GELU and their like, LayerNorm, softmax, embeddings, quantising.
// Written once on sixteen lanes; each level includes it inside its region, after its lanes_*.hpp, in its namespace.
//
// A row's tail of n < 16 numbers is read as n numbers and zeros, and lanes past it never reach a sum or a maximum.
// Sums: lane j adds the elements j, j + 16, ..., then the lanes fold 8, 4, 2, 1. The polynomials are our own minimax
// fits (Remez exchange in 40 digits, coefficients then rounded to float32); their errors are those measured on every
// float32, against double precision.

/// e^x, relative error at most 2^-23.6, for x in [-87, 88]; past the ends it gives the value at the end. NaN stays.
/// x = n ln 2 + r, n by adding 2^23 1.5 (which rounds to an integer in the low bits), ln 2 in two parts; e^r by a
/// polynomial of degree 6 on |r| <= ln 2 / 2.
/// Of several vectors, step by step beside each other: the steps of one wait for each other.
template <std::size_t kVectors>
BERTHA_INLINE void exp(F32x16 (&x)[kVectors]) {
#define BERTHA_EACH_VECTOR BERTHA_UNROLL for (std::size_t v = 0; v < kVectors; ++v)
  const F32x16 magic = broadcast(12582912.0f);
  const F32x16 one = broadcast(1.0f);
  F32x16 shifted[kVectors], r[kVectors], p[kVectors];
  BERTHA_EACH_VECTOR x[v] = min(broadcast(88.0f), max(broadcast(-87.0f), x[v]));
  BERTHA_EACH_VECTOR shifted[v] = fma(x[v], broadcast(0x1.715476p+0f), magic);
  BERTHA_EACH_VECTOR p[v] = sub(shifted[v], magic);
  BERTHA_EACH_VECTOR r[v] = fma(p[v], broadcast(-0x1.63p-1f), x[v]);
  BERTHA_EACH_VECTOR r[v] = fma(p[v], broadcast(0x1.bd0106p-13f), r[v]);
  BERTHA_EACH_VECTOR p[v] = fma(broadcast(0x1.6a2396p-10f), r[v], broadcast(0x1.123a6cp-7f));
  BERTHA_EACH_VECTOR p[v] = fma(p[v], r[v], broadcast(0x1.5558f4p-5f));
  BERTHA_EACH_VECTOR p[v] = fma(p[v], r[v], broadcast(0x1.55549p-3f));
  BERTHA_EACH_VECTOR p[v] = fma(p[v], r[v], broadcast(0x1.fffffcp-2f));
  BERTHA_EACH_VECTOR p[v] = fma(p[v], r[v], one);
  BERTHA_EACH_VECTOR p[v] = fma(p[v], r[v], one);
  BERTHA_EACH_VECTOR x[v] = mul(p[v], power_of_two(shifted[v]));
#undef BERTHA_EACH_VECTOR
}
BERTHA_LANE_INLINE F32x16 exp(F32x16 x) {
  F32x16 one[] = {x};
  exp(one);
  return one[0];
}

/// x/2 (1 + erf(x / sqrt 2)), error at most 2^-22.5 max(|x|, 2^-20).
/// erf(x / sqrt 2) = x P(s) with s = 2 x^2 / 5.3^2 - 1 in [-1, 1], P of degree 14, for |x| <= 5.3; past that it is 1.
BERTHA_LANE_INLINE F32x16 gelu(F32x16 x) {
  const F32x16 limit = broadcast(0x1.533334p+2f);
  const F32x16 z = min(limit, max(sub(broadcast(0.0f), limit), x));
  const F32x16 s = fma(mul(z, z), broadcast(0x1.23a25p-4f), broadcast(-1.0f));
  F32x16 p = broadcast(0x1.35ce2cp-11f);
  p = fma(p, s, broadcast(-0x1.956e7cp-10f));
  p = fma(p, s, broadcast(0x1.6cfa8cp-10f));
  p = fma(p, s, broadcast(-0x1.18adc6p-9f));
  p = fma(p, s, broadcast(0x1.a0724ap-8f));
  p = fma(p, s, broadcast(-0x1.812d34p-7f));
  p = fma(p, s, broadcast(0x1.207c78p-6f));
  p = fma(p, s, broadcast(-0x1.af962ap-6f));
  p = fma(p, s, broadcast(0x1.36320cp-5f));
  p = fma(p, s, broadcast(-0x1.9e8bf8p-5f));
  p = fma(p, s, broadcast(0x1.06c9acp-4f));
  p = fma(p, s, broadcast(-0x1.444f34p-4f));
  p = fma(p, s, broadcast(0x1.939288p-4f));
  p = fma(p, s, broadcast(-0x1.1075b8p-3f));
  p = fma(p, s, broadcast(0x1.11302p-2f));
  const F32x16 erf = min(broadcast(1.0f), max(broadcast(-1.0f), mul(z, p)));
  const F32x16 half = mul(x, broadcast(0.5f));
  return fma(half, erf, half);
}

/// tanh x, relative error at most 2^-22.7. |x| < 0.625: x + x^3 P(x^2), P of degree 4; else 1 - 2 / (e^(2 |x|) + 1)
/// with x's sign.
BERTHA_LANE_INLINE F32x16 tanh(F32x16 x) {
  const F32x16 one = broadcast(1.0f);
  const F32x16 a = abs(x);
  const F32x16 t = mul(a, a);
  F32x16 p = broadcast(-0x1.76f95ep-8f);
  p = fma(p, t, broadcast(0x1.526a5ap-6f));
  p = fma(p, t, broadcast(-0x1.b847cp-5f));
  p = fma(p, t, broadcast(0x1.110788p-3f));
  p = fma(p, t, broadcast(-0x1.555534p-2f));
  const F32x16 inner = fma(mul(a, t), p, a);
  const F32x16 outer = sub(one, div(broadcast(2.0f), add(exp(add(a, a)), one)));
  return with_sign(select(less(a, broadcast(0.625f)), inner, outer), x);
}

/// x/2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), error at most 2^-23.3 max(|x|, 2^-20).
BERTHA_LANE_INLINE F32x16 gelu_tanh(F32x16 x) {
  const F32x16 inner = mul(x, fma(mul(x, x), broadcast(0x1.2444f2p-5f), broadcast(0x1.988454p-1f)));
  const F32x16 half = mul(x, broadcast(0.5f));
  return fma(half, tanh(inner), half);
}

/// 1 / (1 + e^-x), relative error at most 2^-22.6 for x >= -87. Below -88 it stays at the value of -88.
BERTHA_LANE_INLINE F32x16 sigmoid(F32x16 x) {
  const F32x16 one = broadcast(1.0f);
  return div(one, add(exp(sub(broadcast(0.0f), x)), one));
}

/// x / (1 + e^-x), relative error at most 2^-22.4 for x >= -87.
BERTHA_LANE_INLINE F32x16 silu(F32x16 x) { return div(x, add(exp(sub(broadcast(0.0f), x)), broadcast(1.0f))); }

BERTHA_LANE_INLINE F32x16 relu(F32x16 x) { return max(broadcast(0.0f), x); }

/// Calls `each(F32x16 values, std::size_t first)` for the whole vectors of n numbers, and `tail(values, first, count)`
/// for what is left. Bodies are structs of this region, without initialisers: those run in constructors outside it.
template <class Body>
BERTHA_INLINE void over_row(const float* x, std::size_t n, Body& body) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(load(x + i), i);
  if (i < n) body.tail(load_first(x + i, n - i), i, n - i);
}

struct Largest {
  F32x16 most;
  BERTHA_LANE_INLINE void operator()(F32x16 x, std::size_t) { most = max(most, x); }
  BERTHA_LANE_INLINE void tail(F32x16 x, std::size_t, std::size_t count) {
    most = max(most, select(lanes_below(count), x, broadcast(-__builtin_inff())));
  }
};

struct LargestMagnitude {
  I32x16 most;
  BERTHA_LANE_INLINE void operator()(F32x16 x, std::size_t) { most = max(most, magnitude_bits(x)); }
  BERTHA_LANE_INLINE void tail(F32x16 x, std::size_t i, std::size_t) { (*this)(x, i); }
};

struct Sum {
  F32x16 sum;
  BERTHA_LANE_INLINE void operator()(F32x16 x, std::size_t) { sum = add(sum, x); }
  BERTHA_LANE_INLINE void tail(F32x16 x, std::size_t i, std::size_t) { (*this)(x, i); }
};

struct SquaresAbout {
  F32x16 mean;
  F32x16 sum;
  BERTHA_LANE_INLINE void operator()(F32x16 x, std::size_t) {
    const F32x16 d = sub(x, mean);
    sum = fma(d, d, sum);
  }
  BERTHA_LANE_INLINE void tail(F32x16 x, std::size_t, std::size_t count) {
    const F32x16 d = select(lanes_below(count), sub(x, mean), broadcast(0.0f));
    sum = fma(d, d, sum);
  }
};

struct Exponentials {
  float* out;
  F32x16 most;
  F32x16 sum;
  BERTHA_LANE_INLINE void operator()(F32x16 x, std::size_t i) {
    const F32x16 e = exp(sub(x, most));
    store(out + i, e);
    sum = add(sum, e);
  }
  BERTHA_LANE_INLINE void tail(F32x16 x, std::size_t i, std::size_t count) {
    const F32x16 e = exp(sub(x, most));
    store_first(out + i, e, count);
    sum = add(sum, select(lanes_below(count), e, broadcast(0.0f)));
  }
};

/// x[j] = e^(x[j] - max x), and returns their sum: the softmax before its division. A NaN, +inf, or a row of nothing
/// but -inf makes the sum NaN; a single -inf counts as e^-87.
BERTHA_LANE_INLINE float exponentials(float* x, std::size_t n) {
  Largest largest{broadcast(-__builtin_inff())};
  over_row(x, n, largest);
  Exponentials result{x, broadcast(fold_max(largest.most)), broadcast(0.0f)};
  over_row(x, n, result);
  return fold_add(result.sum);
}

struct Scaled {
  float* out;
  F32x16 factor;
  BERTHA_LANE_INLINE void operator()(F32x16 x, std::size_t i) { store(out + i, mul(x, factor)); }
  BERTHA_LANE_INLINE void tail(F32x16 x, std::size_t i, std::size_t count) {
    store_first(out + i, mul(x, factor), count);
  }
};

inline void softmax(float* x, std::size_t n) {
  if (n == 0) return;
  Scaled scaled{x, broadcast(1.0f / exponentials(x, n))};
  over_row(x, n, scaled);
}

struct Sigmoids {
  float* out;
  BERTHA_LANE_INLINE void operator()(F32x16 x, std::size_t i) { store(out + i, sigmoid(x)); }
  BERTHA_LANE_INLINE void tail(F32x16 x, std::size_t i, std::size_t count) { store_first(out + i, sigmoid(x), count); }
};

inline void sigmoid(float* x, std::size_t n) {
  Sigmoids body{x};
  over_row(x, n, body);
}

struct Normalised {
  float* out;
  const float *gamma, *beta;
  F32x16 mean, factor;
  BERTHA_LANE_INLINE F32x16 of(F32x16 x, std::size_t i) const {
    return fma(mul(sub(x, mean), factor), load(gamma + i), load(beta + i));
  }
  BERTHA_LANE_INLINE void operator()(F32x16 x, std::size_t i) { store(out + i, of(x, i)); }
  BERTHA_LANE_INLINE void tail(F32x16 x, std::size_t i, std::size_t count) {
    store(out + i, select(lanes_below(count), of(x, i), broadcast(0.0f)));
  }
};

inline void layer_norm(const LayerNormRows& op) {
  const float count = static_cast<float>(op.size);
  for (std::size_t row = 0; row < op.rows; ++row) {
    const float* x = op.x + row * op.stride;
    float* y = op.y + row * op.y_stride;
    F32x16 mean = broadcast(0.0f);
    if (op.centred) {
      Sum total{broadcast(0.0f)};
      over_row(x, op.size, total);
      mean = broadcast(fold_add(total.sum) / count);
    }
    SquaresAbout squares{mean, broadcast(0.0f)};
    over_row(x, op.size, squares);
    const float variance = fold_add(squares.sum) / count;
    Normalised normalised{y, op.gamma, op.beta + row * op.beta_stride, mean,
                          broadcast(1.0f / __builtin_sqrtf(variance + op.eps))};
    over_row(x, op.size, normalised);
  }
}

BERTHA_LANE_INLINE F32x16 widened(const float* p) { return load(p); }
BERTHA_LANE_INLINE F32x16 widened(const bf16* p) { return load_bf16(p); }

inline void rotate_rows(const RotateRows& op) {
  const std::size_t half = op.size / 2;
  for (std::size_t row = 0; row < op.rows; ++row)
    for (std::size_t d = 0; d < half; d += kLanes) {
      float* x = op.x + row * op.stride + d;
      const std::size_t angle = row * op.angle_stride + d, count = half - d < kLanes ? half - d : kLanes;
      const F32x16 a = load_first(x, count), b = load_first(x + half, count);
      const F32x16 cos = load_first(op.cos + angle, count), sin = load_first(op.sin + angle, count);
      store_first(x, fma(a, cos, sub(broadcast(0.0f), mul(b, sin))), count);
      store_first(x + half, fma(b, cos, mul(a, sin)), count);
    }
}

template <class Element>
BERTHA_INLINE void embed(const EmbedRows<Element>& op) {
  for (std::size_t row = 0; row < op.rows; ++row) {
    const Element* word = op.word + op.ids[row] * op.table_stride;
    const Element* position = op.positions ? op.position + op.positions[row] * op.table_stride : nullptr;
    const Element* type = op.types ? op.token_type + op.types[row] * op.table_stride : nullptr;
    float* out = op.out + row * op.out_stride;
    for (std::size_t i = 0; i < op.size; i += kLanes) {
      F32x16 x = widened(word + i);
      if (type) x = add(x, widened(type + i));
      if (position) x = add(x, widened(position + i));
      const std::size_t left = op.size - i;
      store(out + i, left < kLanes ? select(lanes_below(left), x, broadcast(0.0f)) : x);
    }
  }
}

inline void embed_f32(const EmbedF32& op) { embed(op); }

inline void embed_s8(const EmbedS8& op) {
  for (std::size_t row = 0; row < op.rows; ++row) {
    const std::int8_t* word = op.word + op.ids[row] * op.table_stride;
    const std::int8_t* position = op.positions ? op.position + op.positions[row] * op.table_stride : nullptr;
    const std::int8_t* type = op.types ? op.token_type + op.types[row] * op.table_stride : nullptr;
    const F32x16 word_scale = broadcast(op.word_scale[op.ids[row]]);
    const F32x16 position_scale = broadcast(position ? op.position_scale[op.positions[row]] : 0.0f);
    const F32x16 type_scale = broadcast(type ? op.token_type_scale[op.types[row]] : 0.0f);
    float* out = op.out + row * op.out_stride;
    for (std::size_t i = 0; i < op.size; i += kLanes) {
      F32x16 x = mul(load_s8(word + i), word_scale);
      if (type) x = add(x, mul(load_s8(type + i), type_scale));
      if (position) x = add(x, mul(load_s8(position + i), position_scale));
      const std::size_t left = op.size - i;
      store(out + i, left < kLanes ? select(lanes_below(left), x, broadcast(0.0f)) : x);
    }
  }
}

/// How a row, or a column of values, is quantised: q = round_even(x * inverse), x is about q * scale.
struct Quantiser {
  float scale;
  float inverse;  // 0: every q is 0
};

/// From the largest bit pattern of |x|: below 2^-100 a zero row, scale 0; an infinity or NaN gives scale NaN and q = 0,
/// so that NaN comes out of what is multiplied by the scale.
BERTHA_LANE_INLINE Quantiser quantiser(std::int32_t largest_magnitude_bits) {
  if (largest_magnitude_bits >= 0x7f800000) return {__builtin_nanf(""), 0.0f};
  if (largest_magnitude_bits < 0x0d800000) return {0.0f, 0.0f};
  float most;
  __builtin_memcpy(&most, &largest_magnitude_bits, sizeof most);
  return {most / 127.0f, 127.0f / most};
}

BERTHA_LANE_INLINE I32x16 quantised(F32x16 x, F32x16 inverse) {
  return to_s32(min(broadcast(127.0f), max(broadcast(-127.0f), mul(x, inverse))));
}

/// Where number i of a quantised row is, whose pieces of 64 numbers begin `piece` numbers apart.
BERTHA_LANE_INLINE std::size_t in_pieces(std::size_t i, std::size_t piece) { return i / 64 * piece + i % 64; }

/// Writes `padded(n)` integers, of which those past n are 0, and returns the scale.
BERTHA_LANE_INLINE float quantise_row(const float* x, std::size_t n, std::int8_t* q, std::size_t piece = 64) {
  LargestMagnitude largest{zero_s32()};
  over_row(x, n, largest);
  const Quantiser row = quantiser(fold_max(largest.most));
  const F32x16 inverse = broadcast(row.inverse);
  for (std::size_t i = 0; i < n; i += kLanes) {
    const F32x16 values = n - i < kLanes ? load_first(x + i, n - i) : load(x + i);
    store_s8(q + in_pieces(i, piece), row.inverse == 0.0f ? zero_s32() : quantised(values, inverse));
  }
  return row.scale;
}

/// Sixteen numbers of a row of n from i on, times the smoothing vector where there is one; 0 past the row.
BERTHA_LANE_INLINE F32x16 smoothed(const float* x, const float* smoothing, std::size_t n, std::size_t i) {
  const std::size_t left = n - i;
  const F32x16 values = left < kLanes ? load_first(x + i, left) : load(x + i);
  if (!smoothing) return values;
  return mul(values, left < kLanes ? load_first(smoothing + i, left) : load(smoothing + i));
}

/// quantise_row of a row that is smoothed or has a zero point, which goes to `zero` unless that is null.
inline float quantise_calibrated_row(const float* x, const float* smoothing, std::size_t n, std::int8_t* q,
                                     std::size_t piece, std::int32_t* zero) {
  I32x16 most = zero_s32();
  F32x16 high = broadcast(0.0f), low = broadcast(0.0f);
  for (std::size_t i = 0; i < n; i += kLanes) {
    const F32x16 values = smoothed(x, smoothing, n, i);
    most = max(most, magnitude_bits(values));
    high = max(high, values);
    low = min(low, values);
  }
  const F32x16 least = broadcast(-127.0f), largest = broadcast(127.0f);
  Quantiser row = quantiser(fold_max(most));
  F32x16 shift = broadcast(0.0f);
  if (zero && row.inverse != 0.0f) {
    const float below = fold_max(sub(broadcast(0.0f), low));
    const float range = fold_max(high) + below;
    row = range < __builtin_inff() ? Quantiser{range / 254.0f, 254.0f / range} : Quantiser{__builtin_nanf(""), 0.0f};
    shift = to_f32(to_s32(min(largest, max(least, fma(broadcast(below), broadcast(row.inverse), least)))));
  }
  if (row.inverse == 0.0f) shift = broadcast(0.0f);
  const F32x16 inverse = broadcast(row.inverse);
  for (std::size_t i = 0; i < n; i += kLanes) {
    F32x16 values = min(largest, max(least, fma(smoothed(x, smoothing, n, i), inverse, shift)));
    if (n - i < kLanes) values = select(lanes_below(n - i), values, broadcast(0.0f));
    store_s8(q + in_pieces(i, piece), row.inverse == 0.0f ? zero_s32() : to_s32(values));
  }
  if (zero) *zero = fold_max(to_s32(shift));
  return row.scale;
}

/// One row of `op`, to q, in pieces.
BERTHA_NOINLINE void quantise(const QuantiseRows& op, std::size_t row, std::int8_t* q, std::size_t piece) {
  const float* x = op.x + row * op.stride;
  std::int32_t* zero = op.zero ? op.zero + row : nullptr;
  op.scale[row] = op.smoothing || zero ? quantise_calibrated_row(x, op.smoothing, op.size, q, piece, zero)
                                       : quantise_row(x, op.size, q, piece);
  for (std::size_t i = padded(op.size); i < round_up(op.size, 64); i += kLanes)
    store_s8(q + in_pieces(i, piece), zero_s32());
}

inline void quantise_rows(const QuantiseRows& op) {
  for (std::size_t row = 0; row < op.rows; ++row) quantise(op, row, op.q + row * op.q_stride, 64);
}

/// Products on vectors read rows as they lie.
inline void pack_quantised(const QuantiseRows& op) { quantise_rows(op); }
