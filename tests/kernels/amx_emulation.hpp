// The `amx` level for CPUs that lack it: the same texts, on tiles in memory that do what Intel's manual says of each
// instruction (Software Developer's Manual, volume 2, TDPBF16PS and its neighbours), but that subnormal numbers are
// kept. All else is the avx2 level's.

#pragma once

#include <bertha/kernels/table.hpp>
#if defined(__x86_64__)
#include <bertha/kernels/avx2.hpp>
#endif
#include <cstring>
#include <vector>

BERTHA_NAMESPACE_BEGIN

#if defined(__x86_64__)

BERTHA_AVX2_BEGIN

namespace kernels::emulated_amx {

using namespace avx2;

struct Tiles {
  static constexpr std::size_t kBytes = 64;
  alignas(64) unsigned char bytes[8][16][kBytes];

  /// Threads that have configured tiles and not yet released them, which a system would save at every switch.
  static std::ptrdiff_t in_use() { return __atomic_load_n(&in_use_, __ATOMIC_RELAXED); }

  Tiles() { std::memset(bytes, 0xff, sizeof bytes); }
  void configure() { __atomic_fetch_add(&in_use_, 1, __ATOMIC_RELAXED); }
  void release() {
    std::memset(bytes, 0xff, sizeof bytes);
    __atomic_fetch_sub(&in_use_, 1, __ATOMIC_RELAXED);
  }
  template <int Tile>
  void zero() {
    std::memset(bytes[Tile], 0, sizeof bytes[Tile]);
  }
  template <int Tile>
  void load(const void* p, std::size_t stride) {
    for (std::size_t r = 0; r < 16; ++r) std::memcpy(bytes[Tile][r], static_cast<const char*>(p) + r * stride, kBytes);
  }
  template <int Tile>
  void load_once(const void* p, std::size_t stride) {
    load<Tile>(p, stride);
  }
  template <int Tile>
  void store(void* p, std::size_t stride) const {
    for (std::size_t r = 0; r < 16; ++r) std::memcpy(static_cast<char*>(p) + r * stride, bytes[Tile][r], kBytes);
  }
  template <int Sums, int A, int W>
  void dot() {
    float w[2][16][16];  // of even k, and of odd k
    for (std::size_t k = 0; k < 32; ++k)
      for (std::size_t column = 0; column < 16; ++column)
        w[k % 2][k / 2][column] = number(bytes[W][k / 2] + 4 * column + k % 2 * 2);
    for (std::size_t r = 0; r < 16; ++r) {
      float halves[2][16] = {}, sums[16];
      for (std::size_t k = 0; k < 32; ++k) {
        const float a = number(bytes[A][r] + 2 * k);
        for (std::size_t column = 0; column < 16; ++column)
          halves[k % 2][column] = __builtin_fmaf(a, w[k % 2][k / 2][column], halves[k % 2][column]);
      }
      std::memcpy(sums, bytes[Sums][r], kBytes);
      for (std::size_t column = 0; column < 16; ++column) sums[column] += halves[0][column] + halves[1][column];
      std::memcpy(bytes[Sums][r], sums, kBytes);
    }
  }

 private:
  inline static std::ptrdiff_t in_use_ = 0;

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

/// The levels of this CPU, and the emulation where it isn't one of them; best last.
inline std::vector<const Table*> available_or_emulated() {
  std::vector<const Table*> tables = available();
#if defined(__x86_64__)
  if (cpu_features().avx2 && !cpu_features().amx) tables.push_back(&emulated_amx::kTable);
#endif
  return tables;
}

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
