// The matrix products on AMX, written once on a few operations of tiles: the CPU's in amx.hpp, an emulation of them in
// tests/kernels. Included after gemm.inl.
//
//                      w 6: 64 bytes of each    w 7: of the next      a tile: 16 rows of 64 bytes
//                           output of a panel
//     a 4: 16 rows     sums 0                   sums 1
//     a 5: 16 more     sums 2                   sums 3
//
// Rows of `a` lie in tiles too (operands_amx.inl): rows apart would cost a load of 16 lines in 16 pages. Here a tile is
// bytes: what they are, 32 k of bfloat16 numbers or 64 of int8, only the instruction knows.
//
// Two panels at a time, and of them as many k as stay in the first cache while all rows go over them: a `pass`, between
// which the sums wait in memory. Where `a` is too large for L2 and the caller gives room for all sums, k is first cut
// into `slices`, each for all panels. Meanwhile the vector units finish the two panels before, and what the next pass
// reads is fetched. Of bfloat16 numbers one instruction sums the 16 products of even k and the 16 of odd k, each in a
// chain, adds both and then the tile's sum, and takes subnormal numbers for zero: so the bits are the level's own, and
// the same for a row alone and in any batch. Sums of int8 numbers are exact.

inline constexpr std::size_t kTileSums = kTileRows * kLanes;  // numbers of a tile of sums
inline constexpr std::size_t kRowTiles = 2;                   // that are multiplied at once
inline constexpr std::size_t kPassBytes = 24'576;             // of two panels: half of the first cache
// As kBlockBytes, for CPUs that have AMX and so 2 MB of L2.
inline constexpr std::size_t kBlockBytesAmx = 1'048'576;

// What the products differ in beside their steps: where sums of all panels may wait, and how a panel's are finished.
BERTHA_LANE_INLINE float* room_for_sums(const GemmBf16& op) { return op.sums; }
BERTHA_LANE_INLINE std::int32_t* room_for_sums(const GemmS8&) { return nullptr; }

BERTHA_LANE_INLINE void finish_rows(const GemmBf16& op, const float* sums, std::size_t panel, std::size_t row,
                                    std::size_t rows) {
  const F32x16 bias = op.bias ? load(op.bias + panel * kLanes) : broadcast(0.0f);
  write_rows(AddBias{sums, bias}, op.activation, destination(op, panel, row, rows));
}
BERTHA_LANE_INLINE void finish_rows(const GemmS8& op, std::int32_t* sums, std::size_t panel, std::size_t row,
                                    std::size_t rows) {
  if (op.a_zero) subtract_zero_points(sums, rows, op.a_zero + row, op.sum + panel * kLanes);
  const F32x16 bias = op.bias ? load(op.bias + panel * kLanes) : broadcast(0.0f);
  write(Dequantise{sums, op.a_scale + row, load(op.scale + panel * kLanes), bias}, op.activation,
        destination(op, panel, row, rows));
}

/// Two panels whose sums are complete: what is left is to finish and store them, a few rows at a time.
template <class Op, class Sum>
struct Unfinished {
  const Op* op;
  Sum* sums;  // [row tile][panel][16][16], from first_row
  std::size_t first_row, rows;
  std::size_t panel;
  std::size_t next;  // row from first_row
};

template <class Op, class Sum>
BERTHA_INLINE void finish(Unfinished<Op, Sum>& left, std::size_t rows) {
  const std::size_t end = smaller(left.rows, left.next + rows);
  while (left.next < end) {
    const std::size_t row = left.next % kTileRows, count = smaller(kTileRows - row, end - left.next);
    for (std::size_t p = 0; p < 2 && left.panel + p < left.op->n_panels; ++p)
      finish_rows(*left.op, left.sums + (left.next / kTileRows * 2 + p) * kTileSums + row * kLanes, left.panel + p,
                  left.first_row + left.next, count);
    left.next += count;
  }
}

/// `n` things in even shares, one for each of so many calls.
struct Shares {
  std::size_t share, sum = 0;  // in 1/65536
  Shares(std::size_t n, std::size_t calls) : share((n * 65'536 + calls - 1) / calls) {}
  BERTHA_LANE_INLINE std::size_t take() {
    sum += share;
    const std::size_t whole = sum / 65'536;
    sum %= 65'536;
    return whole;
  }
};

/// What the core does beside its products, a little at each call, because it looks ahead no further than that: it
/// finishes the two panels before, and fetches into L2 what the next pass reads of two panels.
template <class Op, class Sum>
struct Beside {
  Unfinished<Op, Sum> left;
  Shares rows{0, 1};
  const std::byte* fetch = nullptr;
  std::size_t panel_bytes = 0;
  Shares lines{0, 1};
};
using BesideFloats = Beside<GemmBf16, float>;
using BesideBytes = Beside<GemmS8, std::int32_t>;

template <class Op, class Sum>
BERTHA_INLINE Beside<Op, Sum>* work_beside(Beside<Op, Sum>* beside) {
  for (std::size_t n = beside->lines.take(); n > 0; --n, beside->fetch += kTileRowBytes) {
    __builtin_prefetch(beside->fetch, 0, 2);
    __builtin_prefetch(beside->fetch + beside->panel_bytes, 0, 2);
  }
  finish(beside->left, beside->rows.take());
  return beside;
}
/// Returns what it is given: a loop that calls it needn't keep the address in a register, of which calls leave it six.
BERTHA_NOINLINE BesideFloats* work(BesideFloats* beside) { return work_beside(beside); }
BERTHA_NOINLINE BesideBytes* work(BesideBytes* beside) { return work_beside(beside); }
BERTHA_NOINLINE void finish_all(BesideFloats& beside) { finish(beside.left, beside.left.rows); }
BERTHA_NOINLINE void finish_all(BesideBytes& beside) { finish(beside.left, beside.left.rows); }

/// Steps of a pass: tiles of one or two row tiles of `a` and of two panels, in order of k. Each step adds to the sums
/// that lie in tiles.
struct Steps {
  const std::byte* a;
  const std::byte* second;  // the second row tile of `a`, or null: there is none
  const std::byte *w0, *w1;
  std::size_t left;
  /// Goes on to the next, whose tiles are so many bytes further.
  template <bool TwoRowTiles>
  BERTHA_INLINE void next(std::size_t bytes) {
    a += bytes;
    if constexpr (TwoRowTiles) second += bytes;
    w0 += bytes;
    w1 += bytes;
    --left;
  }
};

struct MultiplyBf16 {
  template <int Sums, int A, int W>
  static BERTHA_INLINE void dot(Tiles& tiles) {
    tiles.dot_bf16<Sums, A, W>();
  }
};
struct MultiplyS8 {
  template <int Sums, int A, int W>
  static BERTHA_INLINE void dot(Tiles& tiles) {
    tiles.dot_s8<Sums, A, W>();
  }
};

/// A step that is a tile of each operand.
template <class Multiply>
struct StepOnce {
  static constexpr std::size_t kTiles = 1, kWorks = 1;
  template <bool TwoRowTiles, class Side>
  static BERTHA_INLINE void run(Tiles& tiles, const Steps& at, Side*& beside) {
    tiles.load<6>(at.w0, 64);
    tiles.load_once<4>(at.a, 64);
    Multiply::template dot<0, 4, 6>(tiles);
    tiles.load<7>(at.w1, 64);
    Multiply::template dot<1, 4, 7>(tiles);
    if constexpr (TwoRowTiles) {
      tiles.load_once<5>(at.second, 64);
      Multiply::template dot<2, 5, 6>(tiles);
      Multiply::template dot<3, 5, 7>(tiles);
    }
    beside = work(beside);
  }
};

/// Products of float32 numbers split into bfloat16 halves: high times low, high times high, low times high. What is
/// left out, low times low, is below 2^-16 of the product.
struct StepSplit {
  static constexpr std::size_t kTiles = 2, kWorks = 3;  // tiles of high halves, and of the low ones
  template <bool TwoRowTiles, class Side>
  static BERTHA_INLINE void run(Tiles& tiles, const Steps& at, Side*& beside) {
    constexpr std::size_t kLow = kTileBytes;
    tiles.load<6>(at.w0 + kLow, 64);
    tiles.load_once<4>(at.a, 64);
    tiles.dot_bf16<0, 4, 6>();
    tiles.load<7>(at.w1 + kLow, 64);
    tiles.dot_bf16<1, 4, 7>();
    if constexpr (TwoRowTiles) {
      tiles.load_once<5>(at.second, 64);
      tiles.dot_bf16<2, 5, 6>();
      tiles.dot_bf16<3, 5, 7>();
    }
    beside = work(beside);
    tiles.load<6>(at.w0, 64);
    tiles.dot_bf16<0, 4, 6>();
    tiles.load<7>(at.w1, 64);
    tiles.dot_bf16<1, 4, 7>();
    if constexpr (TwoRowTiles) {
      tiles.dot_bf16<2, 5, 6>();
      tiles.dot_bf16<3, 5, 7>();
    }
    beside = work(beside);
    tiles.load_once<4>(at.a + kLow, 64);
    tiles.dot_bf16<0, 4, 6>();
    tiles.dot_bf16<1, 4, 7>();
    if constexpr (TwoRowTiles) {
      tiles.load_once<5>(at.second + kLow, 64);
      tiles.dot_bf16<2, 5, 6>();
      tiles.dot_bf16<3, 5, 7>();
    }
    beside = work(beside);
  }
};

template <class Step, bool TwoRowTiles, class Side>
BERTHA_INLINE void add_steps(Tiles& tiles, Steps steps, Side* beside) {
  for (; steps.left > 0; steps.next<TwoRowTiles>(Step::kTiles * kTileBytes))
    Step::template run<TwoRowTiles>(tiles, steps, beside);
}
template <class Step, class Side>
BERTHA_INLINE void add_steps(Tiles& tiles, const Steps& steps, Side* beside) {
  if (steps.second)
    add_steps<Step, true>(tiles, steps, beside);
  else
    add_steps<Step, false>(tiles, steps, beside);
}
// Out of line, so that tests/package/inner_loops.py can look at them.
BERTHA_NOINLINE void tiles_bf16(Tiles& tiles, const Steps& steps, BesideFloats* beside) {
  add_steps<StepOnce<MultiplyBf16>>(tiles, steps, beside);
}
BERTHA_NOINLINE void tiles_split(Tiles& tiles, const Steps& steps, BesideFloats* beside) {
  add_steps<StepSplit>(tiles, steps, beside);
}
BERTHA_NOINLINE void tiles_s8(Tiles& tiles, const Steps& steps, BesideBytes* beside) {
  add_steps<StepOnce<MultiplyS8>>(tiles, steps, beside);
}

template <class Sum>
BERTHA_INLINE void load_sums(Tiles& tiles, const Sum* sums, bool two_row_tiles) {
  tiles.load<0>(sums, 64);
  tiles.load<1>(sums + kTileSums, 64);
  if (!two_row_tiles) return;
  tiles.load<2>(sums + 2 * kTileSums, 64);
  tiles.load<3>(sums + 3 * kTileSums, 64);
}
template <class Sum>
BERTHA_INLINE void store_sums(Tiles& tiles, Sum* sums, bool two_row_tiles) {
  tiles.store<0>(sums, 64);
  tiles.store<1>(sums + kTileSums, 64);
  if (!two_row_tiles) return;
  tiles.store<2>(sums + 2 * kTileSums, 64);
  tiles.store<3>(sums + 3 * kTileSums, 64);
}
BERTHA_LANE_INLINE void zero_sums(Tiles& tiles) {
  tiles.zero<0>();
  tiles.zero<1>();
  tiles.zero<2>();
  tiles.zero<3>();
}

/// Some steps of two panels, for all rows of a block.
template <class Sum>
struct Pass {
  const std::byte* a;
  std::size_t row_tile;  // bytes from a row tile to the next
  std::size_t rows;
  const std::byte *w0, *w1;
  std::size_t steps;
  bool first;  // there are no sums to go on from
  Sum* sums;   // [rows/32][two row tiles][two panels][16][16]
};

template <auto AddSteps, class Op, class Sum>
BERTHA_INLINE void add_pass(Tiles& tiles, Pass<Sum> pass, Beside<Op, Sum>& beside) {
  for (std::size_t row = 0; row < pass.rows; row += kRowTiles * kTileRows) {
    const bool two = pass.rows - row > kTileRows;
    if (pass.first)
      zero_sums(tiles);
    else
      load_sums(tiles, pass.sums, two);
    AddSteps(tiles, {pass.a, two ? pass.a + pass.row_tile : nullptr, pass.w0, pass.w1, pass.steps}, &beside);
    store_sums(tiles, pass.sums, two);
    pass.a += kRowTiles * pass.row_tile;
    pass.sums += 2 * kRowTiles * kTileSums;
  }
}

/// The product whose steps of kTiles tiles `AddSteps` adds, and which takes kWorks calls of work for each.
template <class Sum, std::size_t kTiles, std::size_t kWorks, auto AddSteps, class Op>
BERTHA_INLINE void gemm_amx(const Op& op) {
  constexpr std::size_t kStep = kTiles * kTileBytes, kBlock = kRowTiles * kTileRows;
  Tiles tiles;
  tiles.configure(kTileConfig);
  Sum* scratch = reinterpret_cast<Sum*>(op.scratch);  // two panels' sums, and those of the two before
  Sum* all_sums = room_for_sums(op);
  const std::byte *a = reinterpret_cast<const std::byte*>(op.a), *w = reinterpret_cast<const std::byte*>(op.panels);
  const std::size_t row_bytes = op.k * sizeof(*op.a), panel_bytes = row_bytes * kLanes, steps = panel_bytes / kStep;
  for (std::size_t row = 0, rows; row < op.rows; row += rows) {
    rows = block_rows<kBlock, kWaitingRows, kBlockBytesAmx>(op.rows - row, all_sums ? 0 : row_bytes);
    const std::size_t blocks = (rows + kBlock - 1) / kBlock, block_sums = blocks * 2 * kRowTiles * kTileSums;
    const std::size_t slices = all_sums ? (rows * row_bytes + kBlockBytesAmx - 1) / kBlockBytesAmx : 1;
    const std::size_t slice = (steps + slices - 1) / slices;
    const std::size_t pass = blocks == 1 ? slice : kPassBytes / (2 * kStep);
    Beside<Op, Sum> beside{.left = {&op, nullptr, row, 0, 0, 0}, .panel_bytes = panel_bytes};
    for (std::size_t from = 0; from < steps; from += slice) {
      const std::size_t until = smaller(steps, from + slice);
      for (std::size_t panel = 0; panel < op.n_panels; panel += 2) {
        const std::byte* w0 = w + panel * panel_bytes;
        const std::byte* w1 = panel + 1 < op.n_panels ? w0 + panel_bytes : w0;  // the last of an odd number: twice
        Sum* sums = slices > 1 ? all_sums + panel / 2 * block_sums : scratch + panel / 2 % 2 * block_sums;
        for (std::size_t begin = from; begin < until; begin += pass) {
          const std::size_t end = smaller(until, begin + pass);
          // What comes next: of these panels, of the two after them, or of the first two again.
          beside.fetch = end < until                                 ? w0 + end * kStep
                         : until < steps && panel + 2 >= op.n_panels ? w + until * kStep
                                                                     : w0 + 2 * panel_bytes + from * kStep;
          beside.lines = Shares((end - begin) * kStep / kTileRowBytes, (end - begin) * blocks * kWorks);
          add_pass<AddSteps>(tiles,
                             Pass<Sum>{.a = a + row * op.a_stride * sizeof(*op.a) + begin * kStep,
                                       .row_tile = kTileRows * op.a_stride * sizeof(*op.a),
                                       .rows = rows,
                                       .w0 = w0 + begin * kStep,
                                       .w1 = w1 + begin * kStep,
                                       .steps = end - begin,
                                       .first = begin == 0,
                                       .sums = sums},
                             beside);
        }
        if (until < steps) continue;
        finish_all(beside);
        beside.left = {&op, sums, row, rows, panel, 0};
        beside.rows = Shares(rows, blocks * (until - from) * kWorks);
      }
    }
    finish_all(beside);
  }
  tiles.release();
}

inline void gemm_bf16(const GemmBf16& op) { gemm_amx<float, 1, 1, tiles_bf16>(op); }
inline void gemm_split(const GemmSplit& op) { gemm_amx<float, 2, 3, tiles_split>(op); }
/// Rows of probabilities lie as they are, and are left to vectors.
inline void gemm_s8(const GemmS8& op) {
  if (op.a_unsigned) return gemm_u8(op);
  gemm_amx<std::int32_t, 1, 1, tiles_s8>(op);
}
