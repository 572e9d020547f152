// The matrix products on AMX, written once on a few operations of tiles: the CPU's in amx.hpp, an emulation of them in
// tests/kernels. Included after gemm.inl.
//
//                      w 6: 32 k of a panel    w 7: of the next      a tile: 16 rows of 64 bytes
//     a 4: 16 rows     sums 0                  sums 1
//     a 5: 16 more     sums 2                  sums 3
//
// Rows of `a` lie in tiles too (row_tile.inl): rows apart would cost a load of 16 lines in 16 pages.
//
// Two panels at a time, and of them as many k as stay in the first cache while all rows go over them: a `pass`, between
// which the sums wait in memory. Meanwhile the vector units finish the two panels before, and what the next pass reads
// is fetched. One instruction sums the 16 products of even k and the 16 of odd k, each in a chain, adds both and then
// the tile's sum, and takes subnormal numbers for zero: so the bits are the level's own, and the same for a row alone
// and in any batch.

inline constexpr std::size_t kTileSide = 16;       // rows of a tile, and of a panel's outputs
inline constexpr std::size_t kTileFloats = 256;    // of a tile of sums
inline constexpr std::size_t kTileHalves = 512;    // of a tile of operands
inline constexpr std::size_t kPassBytes = 24'576;  // of two panels: half of the first cache
// As kRowBlock and kBlockBytes, for CPUs that have AMX and so 2 MB of L2.
inline constexpr std::size_t kRowBlockAmx = 256;
inline constexpr std::size_t kBlockBytesAmx = 1'048'576;

/// Products of bfloat16 numbers: a step is a tile of each operand.
struct StepBf16 {
  static constexpr std::size_t kTiles = 1;
  static constexpr std::size_t kTogether = 1;  // steps between which vector units get work, which then runs beside them
  static BERTHA_LANE_INLINE void run(Tiles& tiles, const std::uint16_t* a, std::size_t row_tile, bool two_row_tiles,
                                     const std::uint16_t* w0, const std::uint16_t* w1) {
    tiles.load<6>(w0, 64);
    tiles.load_once<4>(a, 64);
    tiles.dot<0, 4, 6>();
    tiles.load<7>(w1, 64);
    tiles.dot<1, 4, 7>();
    if (!two_row_tiles) return;
    tiles.load_once<5>(a + row_tile, 64);
    tiles.dot<2, 5, 6>();
    tiles.dot<3, 5, 7>();
  }
};

/// Products of float32 numbers split into bfloat16 halves: high times low, high times high, low times high. What is
/// left out, low times low, is below 2^-16 of the product.
struct StepSplit {
  static constexpr std::size_t kTiles = 2;  // of high halves, and of the low ones
  static constexpr std::size_t kTogether = 1;
  static BERTHA_LANE_INLINE void run(Tiles& tiles, const std::uint16_t* a, std::size_t row_tile, bool two_row_tiles,
                                     const std::uint16_t* w0, const std::uint16_t* w1) {
    constexpr std::size_t kLow = kTileHalves;
    const std::uint16_t* second = a + row_tile;
    tiles.load<6>(w0 + kLow, 64);
    tiles.load_once<4>(a, 64);
    tiles.dot<0, 4, 6>();
    tiles.load<7>(w1 + kLow, 64);
    tiles.dot<1, 4, 7>();
    if (two_row_tiles) {
      tiles.load_once<5>(second, 64);
      tiles.dot<2, 5, 6>();
      tiles.dot<3, 5, 7>();
    }
    tiles.load<6>(w0, 64);
    tiles.dot<0, 4, 6>();
    tiles.load<7>(w1, 64);
    tiles.dot<1, 4, 7>();
    if (two_row_tiles) {
      tiles.dot<2, 5, 6>();
      tiles.dot<3, 5, 7>();
    }
    tiles.load_once<4>(a + kLow, 64);
    tiles.dot<0, 4, 6>();
    tiles.dot<1, 4, 7>();
    if (two_row_tiles) {
      tiles.load_once<5>(second + kLow, 64);
      tiles.dot<2, 5, 6>();
      tiles.dot<3, 5, 7>();
    }
  }
};

/// Two panels whose sums are complete: what is left is to finish and store them, a few rows at a time.
struct Unfinished {
  const GemmBf16* op;
  const float* sums;  // [row tile][panel][16][16], from first_row
  std::size_t first_row, rows;
  std::size_t panel;
  std::size_t next;  // row from first_row
};

BERTHA_NOINLINE void finish(Unfinished& left, std::size_t rows) {
  const GemmBf16& op = *left.op;
  const std::size_t end = smaller(left.rows, left.next + rows);
  while (left.next < end) {
    const std::size_t row = left.next % kTileSide, count = smaller(kTileSide - row, end - left.next);
    for (std::size_t p = 0; p < 2 && left.panel + p < op.n_panels; ++p) {
      const std::size_t column = (left.panel + p) * kLanes;
      const float* sums = left.sums + (left.next / kTileSide * 2 + p) * kTileFloats + row * kLanes;
      write(AddBias{sums, op.bias ? load(op.bias + column) : broadcast(0.0f)}, count, op.activation,
            destination(op.residual, op.residual_stride, op.out, op.out_stride, left.first_row + left.next, column));
    }
    left.next += count;
  }
}

/// Adds `steps` steps to the sums in the tiles. Out of line, so that tests/package/inner_loops.py can look at it.
template <class Step>
BERTHA_INLINE void add_steps(Tiles& tiles, const std::uint16_t* a, std::size_t row_tile, bool two_row_tiles,
                             const std::uint16_t* w0, const std::uint16_t* w1, std::size_t steps) {
  constexpr std::size_t kStep = Step::kTiles * kTileHalves;
  for (; steps > 0; --steps, a += kStep, w0 += kStep, w1 += kStep) Step::run(tiles, a, row_tile, two_row_tiles, w0, w1);
}
BERTHA_NOINLINE void tiles_bf16(Tiles& tiles, const std::uint16_t* a, std::size_t row_tile, bool two_row_tiles,
                                const std::uint16_t* w0, const std::uint16_t* w1, std::size_t steps) {
  add_steps<StepBf16>(tiles, a, row_tile, two_row_tiles, w0, w1, steps);
}
BERTHA_NOINLINE void tiles_split(Tiles& tiles, const std::uint16_t* a, std::size_t row_tile, bool two_row_tiles,
                                 const std::uint16_t* w0, const std::uint16_t* w1, std::size_t steps) {
  add_steps<StepSplit>(tiles, a, row_tile, two_row_tiles, w0, w1, steps);
}

BERTHA_LANE_INLINE void load_sums(Tiles& tiles, const float* sums, bool two_row_tiles) {
  tiles.load<0>(sums, 64);
  tiles.load<1>(sums + kTileFloats, 64);
  if (!two_row_tiles) return;
  tiles.load<2>(sums + 2 * kTileFloats, 64);
  tiles.load<3>(sums + 3 * kTileFloats, 64);
}
BERTHA_LANE_INLINE void store_sums(Tiles& tiles, float* sums, bool two_row_tiles) {
  tiles.store<0>(sums, 64);
  tiles.store<1>(sums + kTileFloats, 64);
  if (!two_row_tiles) return;
  tiles.store<2>(sums + 2 * kTileFloats, 64);
  tiles.store<3>(sums + 3 * kTileFloats, 64);
}
BERTHA_LANE_INLINE void zero_sums(Tiles& tiles) {
  tiles.zero<0>();
  tiles.zero<1>();
  tiles.zero<2>();
  tiles.zero<3>();
}

/// Fetches into L2, of `size` numbers of two panels, the part that falls to one of `parts`.
BERTHA_LANE_INLINE void fetch_share(const std::uint16_t* panel, std::size_t panel_size, std::size_t size,
                                    std::size_t part, std::size_t parts) {
  const std::size_t share = round_up((size + parts - 1) / parts, 32), end = smaller(size, (part + 1) * share);
  for (std::size_t i = part * share; i < end; i += 32) {
    __builtin_prefetch(panel + i, 0, 2);
    __builtin_prefetch(panel + panel_size + i, 0, 2);
  }
}

/// The product whose steps `AddSteps` adds.
template <class Step, auto AddSteps>
BERTHA_INLINE void gemm_amx(const GemmBf16& op) {
  constexpr std::size_t kStep = Step::kTiles * kTileHalves;
  Tiles tiles;
  tiles.configure();
  alignas(64) float sums[2][kRowBlockAmx * 2 * kLanes];
  const std::size_t steps = op.k * kLanes / kStep, panel_size = op.k * kLanes;
  const std::size_t row_tile = kTileSide * op.a_stride;
  for (std::size_t row = 0, rows; row < op.rows; row += rows) {
    rows = block_rows(op.rows - row, op.k * sizeof(std::uint16_t), 2 * kTileSide, kRowBlockAmx, kBlockBytesAmx);
    const std::size_t blocks = (rows + 2 * kTileSide - 1) / (2 * kTileSide);
    const std::size_t pass = blocks == 1 ? steps : kPassBytes / (2 * kStep * sizeof(std::uint16_t));
    const std::size_t rows_for_a_step = (rows + blocks * steps - 1) / (blocks * steps);
    Unfinished left{&op, nullptr, row, 0, 0, 0};  // nothing
    for (std::size_t panel = 0; panel < op.n_panels; panel += 2) {
      const std::uint16_t* w0 = op.panels + panel * panel_size;
      const std::uint16_t* w1 = panel + 1 < op.n_panels ? w0 + panel_size : w0;  // the last of an odd number: twice
      float* to = sums[panel / 2 % 2];
      for (std::size_t begin = 0; begin < steps; begin += pass) {
        const std::size_t end = smaller(steps, begin + pass);
        // What comes next: of these panels, or of the two after them.
        const std::uint16_t* next = (end < steps ? w0 : w0 + 2 * panel_size) + end % steps * kStep;
        for (std::size_t block = 0; block < blocks; ++block) {
          const bool two = rows - block * 2 * kTileSide > kTileSide;
          const std::uint16_t* a = op.a + row * op.a_stride + block * 2 * row_tile;
          float* block_sums = to + block * 4 * kTileFloats;
          if (begin == 0)
            zero_sums(tiles);
          else
            load_sums(tiles, block_sums, two);
          for (std::size_t step = begin; step < end; step += Step::kTogether) {
            const std::size_t k = step * kStep, together = smaller(Step::kTogether, end - step);
            fetch_share(next + k - begin * kStep, panel_size, kStep * together, block, blocks);
            AddSteps(tiles, a + k, row_tile, two, w0 + k, w1 + k, together);
            finish(left, together * rows_for_a_step);
          }
          store_sums(tiles, block_sums, two);
        }
      }
      finish(left, rows);
      left = {&op, to, row, rows, panel, 0};
    }
    finish(left, rows);
  }
  tiles.release();
}

inline void gemm_bf16(const GemmBf16& op) { gemm_amx<StepBf16, tiles_bf16>(op); }
inline void gemm_split(const GemmSplit& op) { gemm_amx<StepSplit, tiles_split>(op); }
