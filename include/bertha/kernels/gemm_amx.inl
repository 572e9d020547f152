// The matrix products on AMX, written once on a few operations of tiles: the CPU's in amx.hpp, an emulation of them in
// tests/kernels. Included after gemm.inl.
//
//                      w 6: 32 k of a panel    w 7: of the next      a tile: 16 rows of 64 bytes
//     a 4: 16 rows     sums 0                  sums 1
//     a 5: 16 more     sums 2                  sums 3
//
// Rows of `a` lie in tiles too (operands_amx.inl): rows apart would cost a load of 16 lines in 16 pages.
//
// Two panels at a time, and of them as many k as stay in the first cache while all rows go over them: a `pass`, between
// which the sums wait in memory. Where `a` is too large for L2 and the caller gives room for all sums, k is first cut
// into `slices`, each for all panels. Meanwhile the vector units finish the two panels before, and what the next pass
// reads is fetched. One instruction sums the 16 products of even k and the 16 of odd k, each in a chain, adds both and
// then the tile's sum, and takes subnormal numbers for zero: so the bits are the level's own, and the same for a row
// alone and in any batch.

inline constexpr std::size_t kTileSums = kTileRows * kLanes;  // numbers of a tile of sums
inline constexpr std::size_t kRowTiles = 2;                   // that are multiplied at once
inline constexpr std::size_t kPassBytes = 24'576;             // of two panels: half of the first cache
// As kBlockBytes, for CPUs that have AMX and so 2 MB of L2.
inline constexpr std::size_t kBlockBytesAmx = 1'048'576;

/// Two panels whose sums are complete: what is left is to finish and store them, a few rows at a time.
struct Unfinished {
  const GemmBf16* op;
  const float* sums;  // [row tile][panel][16][16], from first_row
  std::size_t first_row, rows;
  std::size_t panel;
  std::size_t next;  // row from first_row
};

BERTHA_LANE_INLINE void finish(Unfinished& left, std::size_t rows) {
  const GemmBf16& op = *left.op;
  const std::size_t end = smaller(left.rows, left.next + rows);
  while (left.next < end) {
    const std::size_t row = left.next % kTileRows, count = smaller(kTileRows - row, end - left.next);
    for (std::size_t p = 0; p < 2 && left.panel + p < op.n_panels; ++p) {
      const float* sums = left.sums + (left.next / kTileRows * 2 + p) * kTileSums + row * kLanes;
      const F32x16 bias = op.bias ? load(op.bias + (left.panel + p) * kLanes) : broadcast(0.0f);
      write_rows(AddBias{sums, bias}, op.activation,
                 destination(op, left.panel + p, left.first_row + left.next, count));
    }
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
struct Beside {
  Unfinished left;
  Shares rows{0, 1};
  const bf16* fetch = nullptr;
  std::size_t panel_size = 0;
  Shares lines{0, 1};
  /// Returns itself: a loop that calls it needn't keep the address in a register, of which calls leave it six.
  BERTHA_NOINLINE Beside* work() {
    for (std::size_t n = lines.take(); n > 0; --n, fetch += 32) {
      __builtin_prefetch(fetch, 0, 2);
      __builtin_prefetch(fetch + panel_size, 0, 2);
    }
    finish(left, rows.take());
    return this;
  }
  BERTHA_NOINLINE void finish_all() { finish(left, left.rows); }
};

/// Steps of a pass: tiles of one or two row tiles of `a` and of two panels, in order of k. Each step adds to the sums
/// that lie in tiles.
struct Steps {
  const bf16* a;
  const bf16* second;  // the second row tile of `a`, or null: there is none
  const bf16 *w0, *w1;
  std::size_t left;
  /// Goes on to the next, whose tiles are `numbers` further.
  template <bool TwoRowTiles>
  BERTHA_INLINE void next(std::size_t numbers) {
    a += numbers;
    if constexpr (TwoRowTiles) second += numbers;
    w0 += numbers;
    w1 += numbers;
    --left;
  }
};

/// Products of bfloat16 numbers: a step is a tile of each operand.
struct StepBf16 {
  static constexpr std::size_t kTiles = 1, kWorks = 1;
  template <bool TwoRowTiles>
  static BERTHA_INLINE void run(Tiles& tiles, const Steps& at, Beside*& beside) {
    tiles.load<6>(at.w0, 64);
    tiles.load_once<4>(at.a, 64);
    tiles.dot<0, 4, 6>();
    tiles.load<7>(at.w1, 64);
    tiles.dot<1, 4, 7>();
    if constexpr (TwoRowTiles) {
      tiles.load_once<5>(at.second, 64);
      tiles.dot<2, 5, 6>();
      tiles.dot<3, 5, 7>();
    }
    beside = beside->work();
  }
};

/// Products of float32 numbers split into bfloat16 halves: high times low, high times high, low times high. What is
/// left out, low times low, is below 2^-16 of the product.
struct StepSplit {
  static constexpr std::size_t kTiles = 2, kWorks = 3;  // tiles of high halves, and of the low ones
  template <bool TwoRowTiles>
  static BERTHA_INLINE void run(Tiles& tiles, const Steps& at, Beside*& beside) {
    constexpr std::size_t kLow = kTileNumbers;
    tiles.load<6>(at.w0 + kLow, 64);
    tiles.load_once<4>(at.a, 64);
    tiles.dot<0, 4, 6>();
    tiles.load<7>(at.w1 + kLow, 64);
    tiles.dot<1, 4, 7>();
    if constexpr (TwoRowTiles) {
      tiles.load_once<5>(at.second, 64);
      tiles.dot<2, 5, 6>();
      tiles.dot<3, 5, 7>();
    }
    beside = beside->work();
    tiles.load<6>(at.w0, 64);
    tiles.dot<0, 4, 6>();
    tiles.load<7>(at.w1, 64);
    tiles.dot<1, 4, 7>();
    if constexpr (TwoRowTiles) {
      tiles.dot<2, 5, 6>();
      tiles.dot<3, 5, 7>();
    }
    beside = beside->work();
    tiles.load_once<4>(at.a + kLow, 64);
    tiles.dot<0, 4, 6>();
    tiles.dot<1, 4, 7>();
    if constexpr (TwoRowTiles) {
      tiles.load_once<5>(at.second + kLow, 64);
      tiles.dot<2, 5, 6>();
      tiles.dot<3, 5, 7>();
    }
    beside = beside->work();
  }
};

template <class Step, bool TwoRowTiles>
BERTHA_INLINE void add_steps(Tiles& tiles, Steps steps, Beside* beside) {
  for (; steps.left > 0; steps.next<TwoRowTiles>(Step::kTiles * kTileNumbers))
    Step::template run<TwoRowTiles>(tiles, steps, beside);
}
template <class Step>
BERTHA_INLINE void add_steps(Tiles& tiles, const Steps& steps, Beside* beside) {
  if (steps.second)
    add_steps<Step, true>(tiles, steps, beside);
  else
    add_steps<Step, false>(tiles, steps, beside);
}
// Out of line, so that tests/package/inner_loops.py can look at them.
BERTHA_NOINLINE void tiles_bf16(Tiles& tiles, const Steps& steps, Beside* beside) {
  add_steps<StepBf16>(tiles, steps, beside);
}
BERTHA_NOINLINE void tiles_split(Tiles& tiles, const Steps& steps, Beside* beside) {
  add_steps<StepSplit>(tiles, steps, beside);
}

BERTHA_LANE_INLINE void load_sums(Tiles& tiles, const float* sums, bool two_row_tiles) {
  tiles.load<0>(sums, 64);
  tiles.load<1>(sums + kTileSums, 64);
  if (!two_row_tiles) return;
  tiles.load<2>(sums + 2 * kTileSums, 64);
  tiles.load<3>(sums + 3 * kTileSums, 64);
}
BERTHA_LANE_INLINE void store_sums(Tiles& tiles, float* sums, bool two_row_tiles) {
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
struct Pass {
  const bf16* a;
  std::size_t row_tile;  // numbers from a row tile to the next
  std::size_t rows;
  const bf16 *w0, *w1;
  std::size_t steps;
  bool first;   // there are no sums to go on from
  float* sums;  // [rows/32][two row tiles][two panels][16][16]
};

template <auto AddSteps>
BERTHA_INLINE void add_pass(Tiles& tiles, Pass pass, Beside& beside) {
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

/// The product whose steps `AddSteps` adds.
template <class Step, auto AddSteps>
BERTHA_INLINE void gemm_amx(const GemmBf16& op) {
  constexpr std::size_t kStep = Step::kTiles * kTileNumbers, kBlock = kRowTiles * kTileRows;
  Tiles tiles;
  tiles.configure();
  float* scratch = reinterpret_cast<float*>(op.scratch);  // two panels' sums, and those of the two before
  const std::size_t steps = op.k * kLanes / kStep, panel_size = op.k * kLanes, row_bytes = op.k * sizeof(bf16);
  for (std::size_t row = 0, rows; row < op.rows; row += rows) {
    rows = block_rows<kBlock, kWaitingRows, kBlockBytesAmx>(op.rows - row, op.sums ? 0 : row_bytes);
    const std::size_t blocks = (rows + kBlock - 1) / kBlock, block_sums = blocks * 2 * kRowTiles * kTileSums;
    const std::size_t slices = op.sums ? (rows * row_bytes + kBlockBytesAmx - 1) / kBlockBytesAmx : 1;
    const std::size_t slice = (steps + slices - 1) / slices;
    const std::size_t pass = blocks == 1 ? slice : kPassBytes / (2 * kStep * sizeof(bf16));
    Beside beside{.left = {&op, nullptr, row, 0, 0, 0}, .panel_size = panel_size};
    for (std::size_t from = 0; from < steps; from += slice) {
      const std::size_t until = smaller(steps, from + slice);
      for (std::size_t panel = 0; panel < op.n_panels; panel += 2) {
        const bf16* w0 = op.panels + panel * panel_size;
        const bf16* w1 = panel + 1 < op.n_panels ? w0 + panel_size : w0;  // the last of an odd number: twice
        float* sums = slices > 1 ? op.sums + panel / 2 * block_sums : scratch + panel / 2 % 2 * block_sums;
        for (std::size_t begin = from; begin < until; begin += pass) {
          const std::size_t end = smaller(until, begin + pass);
          // What comes next: of these panels, of the two after them, or of the first two again.
          beside.fetch = end < until                                 ? w0 + end * kStep
                         : until < steps && panel + 2 >= op.n_panels ? op.panels + until * kStep
                                                                     : w0 + 2 * panel_size + from * kStep;
          beside.lines = Shares((end - begin) * kStep / kTileInputs, (end - begin) * blocks * Step::kWorks);
          add_pass<AddSteps>(tiles,
                             {.a = op.a + row * op.a_stride + begin * kStep,
                              .row_tile = kTileRows * op.a_stride,
                              .rows = rows,
                              .w0 = w0 + begin * kStep,
                              .w1 = w1 + begin * kStep,
                              .steps = end - begin,
                              .first = begin == 0,
                              .sums = sums},
                             beside);
        }
        if (until < steps) continue;
        beside.finish_all();
        beside.left = {&op, sums, row, rows, panel, 0};
        beside.rows = Shares(rows, blocks * (until - from) * Step::kWorks);
      }
    }
    beside.finish_all();
  }
  tiles.release();
}

inline void gemm_bf16(const GemmBf16& op) { gemm_amx<StepBf16, tiles_bf16>(op); }
inline void gemm_split(const GemmSplit& op) { gemm_amx<StepSplit, tiles_split>(op); }
