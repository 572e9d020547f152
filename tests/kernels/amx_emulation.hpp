// The `amx` level for CPUs that lack it: the same texts, on tiles in memory that do what Intel's manual says of each
// instruction (Software Developer's Manual, volume 2, LDTILECFG, TDPBF16PS, TDPBSSD and their neighbours), but that
// subnormal numbers are kept. Where a CPU would raise an exception, this ends the program. All else is the avx2
// level's.

#pragma once

#include <bertha/kernels/table.hpp>
#if defined(__x86_64__)
#include <bertha/kernels/avx2.hpp>
#endif
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

BERTHA_NAMESPACE_BEGIN

#if defined(__x86_64__)

namespace kernels::emulated_amx {

inline void require(bool condition, const char* otherwise) {
  if (condition) return;
  std::fprintf(stderr, "emulated AMX: %s\n", otherwise);
  std::abort();
}

struct Memory {
  const void* begin;
  std::size_t bytes;
};

/// What a test lets tiles be loaded from and stored to; where there is none, all memory.
inline std::vector<Memory> allowed_memory;

inline void require_allowed(const void* row, std::size_t bytes) {
  bool inside = allowed_memory.empty();
  for (const Memory& memory : allowed_memory) {
    const auto from = reinterpret_cast<std::uintptr_t>(memory.begin), at = reinterpret_cast<std::uintptr_t>(row);
    inside = inside || (at >= from && at + bytes <= from + memory.bytes);
  }
  require(inside, "a row of a tile is outside of the operands");
}

}  // namespace kernels::emulated_amx

BERTHA_AVX2_BEGIN

namespace kernels::emulated_amx {

using namespace avx2;

class Tiles {
 public:
  /// Threads that have configured tiles and not yet released them, which a system would save at every switch.
  static std::ptrdiff_t in_use() { return __atomic_load_n(&in_use_, __ATOMIC_RELAXED); }

  Tiles() { release_all(); }
  void configure(const TileConfig& config) {
    static_assert(sizeof config == 64);
    unsigned char bytes[64];
    std::memcpy(bytes, &config, sizeof bytes);
    require(bytes[0] == 1, "no palette but 1 has tiles");
    require(bytes[1] == 0, "an interrupted load is not gone on with");
    for (std::size_t i = 2; i < 16; ++i) require(bytes[i] == 0, "a reserved byte of the configuration is not zero");
    for (std::size_t tile = 0; tile < 16; ++tile) {
      std::uint16_t row_bytes;
      std::memcpy(&row_bytes, bytes + 16 + 2 * tile, sizeof row_bytes);
      const std::size_t rows = bytes[48 + tile];
      require(tile < 8 || (row_bytes == 0 && rows == 0), "there are eight tiles");
      require(row_bytes <= 64 && rows <= 16, "a tile is larger than its register");
      require((row_bytes == 0) == (rows == 0), "a tile has rows of no bytes, or no rows");
      if (tile < 8) tiles_[tile] = {row_bytes, rows, {}};
    }
    __atomic_fetch_add(&in_use_, 1, __ATOMIC_RELAXED);
  }
  void release() {
    release_all();
    __atomic_fetch_sub(&in_use_, 1, __ATOMIC_RELAXED);
  }
  template <int Index>
  void zero() {
    std::memset(configured(Index).bytes, 0, sizeof(Tile::bytes));
  }
  template <int Index>
  void load(const void* p, std::size_t stride) {
    Tile& tile = configured(Index);
    for (std::size_t r = 0; r < tile.rows; ++r) {
      require_allowed(static_cast<const char*>(p) + r * stride, tile.row_bytes);
      std::memcpy(tile.bytes[r], static_cast<const char*>(p) + r * stride, tile.row_bytes);
    }
  }
  template <int Index>
  void load_once(const void* p, std::size_t stride) {
    load<Index>(p, stride);
  }
  template <int Index>
  void store(void* p, std::size_t stride) {
    const Tile& tile = configured(Index);
    for (std::size_t r = 0; r < tile.rows; ++r) {
      require_allowed(static_cast<const char*>(p) + r * stride, tile.row_bytes);
      std::memcpy(static_cast<char*>(p) + r * stride, tile.bytes[r], tile.row_bytes);
    }
  }
  template <int Sums, int A, int W>
  void dot_bf16() {
    require_shapes<Sums, A, W>();
    float w[2][16][16];  // of even k, and of odd k
    for (std::size_t k = 0; k < 32; ++k)
      for (std::size_t column = 0; column < 16; ++column)
        w[k % 2][k / 2][column] = number(tiles_[W].bytes[k / 2] + 4 * column + k % 2 * 2);
    for (std::size_t r = 0; r < 16; ++r) {
      float halves[2][16] = {}, sums[16];
      for (std::size_t k = 0; k < 32; ++k) {
        const float a = number(tiles_[A].bytes[r] + 2 * k);
        for (std::size_t column = 0; column < 16; ++column)
          halves[k % 2][column] = __builtin_fmaf(a, w[k % 2][k / 2][column], halves[k % 2][column]);
      }
      std::memcpy(sums, tiles_[Sums].bytes[r], sizeof sums);
      for (std::size_t column = 0; column < 16; ++column) sums[column] += halves[0][column] + halves[1][column];
      std::memcpy(tiles_[Sums].bytes[r], sums, sizeof sums);
    }
  }
  template <int Sums, int A, int W>
  void dot_s8() {
    require_shapes<Sums, A, W>();
    for (std::size_t r = 0; r < 16; ++r) {
      std::uint32_t sums[16];  // they wrap
      std::memcpy(sums, tiles_[Sums].bytes[r], sizeof sums);
      for (std::size_t k = 0; k < 64; ++k)
        for (std::size_t column = 0; column < 16; ++column)
          sums[column] +=
              static_cast<std::uint32_t>(static_cast<std::int8_t>(tiles_[A].bytes[r][k]) *
                                         static_cast<std::int8_t>(tiles_[W].bytes[k / 4][4 * column + k % 4]));
      std::memcpy(tiles_[Sums].bytes[r], sums, sizeof sums);
    }
  }

 private:
  struct Tile {
    std::size_t row_bytes, rows;  // 0 where it is not configured
    alignas(64) unsigned char bytes[16][64];
  };

  inline static std::ptrdiff_t in_use_ = 0;
  Tile tiles_[8];

  void release_all() {
    for (Tile& tile : tiles_) tile.row_bytes = tile.rows = 0;
  }
  Tile& configured(int index) {
    require(tiles_[index].rows > 0, "a tile is used that is not configured");
    return tiles_[index];
  }
  /// What makes the instruction one that is not defined; and that the tiles are full, which the loops here take them
  /// for.
  template <int Sums, int A, int W>
  void require_shapes() {
    static_assert(Sums != A && Sums != W && A != W, "one tile is two operands");
    for (const int index : {Sums, A, W})
      require(configured(index).rows == 16 && tiles_[index].row_bytes == 64, "a tile of a product is not full");
  }
  static float number(const unsigned char* bf16) {
    const unsigned char float32[4] = {0, 0, bf16[0], bf16[1]};
    float x;
    std::memcpy(&x, float32, sizeof x);
    return x;
  }
};

#define BERTHA_LANE_INLINE BERTHA_INLINE
#include <bertha/kernels/level_amx.inl>
#undef BERTHA_LANE_INLINE

inline constexpr Table kTable = table_over(avx2::kTable, "emulated_amx");

}  // namespace kernels::emulated_amx

BERTHA_AVX2_END

#endif

namespace kernels {

/// Makes this process run on a level that splits float32 numbers, its CPU's or the emulation. False where it can't:
/// then it lacks even AVX2. To be called before anything asks for the table.
inline bool use_level_that_splits() {
  if (preferred_table().gemm_split) return true;
#if defined(__x86_64__)
  if (cpu_features().avx2) return table(&emulated_amx::kTable).gemm_split.run != nullptr;
#endif
  return false;
}

}  // namespace kernels

BERTHA_NAMESPACE_END
