// Times every kernel of every level that this CPU can run, by Google Benchmark, on the sizes of BERT-base:
//
//     cmake -S . -B build -D BERTHA_BUILD_BENCHMARKS=ON && cmake --build build --target bertha_bench_kernels
//     build/bertha_bench_kernels --benchmark_filter=gemm_f32/avx512
//
// GFLOP/s counts products and sums. `share` is that of a loop of the level's multiply-adds (of float32; of bfloat16 or
// int8 for their kernels) on registers, measured when the program begins and printed as `peak/LEVEL`: `per_cycle` there
// is how many of them, of vectors or of tiles, it finishes in a cycle of the clock, which a chain of dependent
// multiplications measures. Both are of the time that the thread ran (`fork_join`: of the clock on the wall; the /s
// behind every counter is Google Benchmark's; shares are plain numbers). Levels without a loop here have no share.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <bertha/encoder/matrix.hpp>
#include <bertha/kernels/table.hpp>
#include <bertha/runtime/parallel_for.hpp>
#include <chrono>
#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

using namespace bertha::kernels;
using bertha::AlignedBuffer;
using bertha::bf16;

/// Multiply-adds on registers; returns something that depends on all. `steps` times kVectors of them.
struct PeakLoop {
  float (*run)(std::size_t steps, float factor);
  std::size_t vectors;  // in a step
  std::size_t lanes;
};

#if defined(__x86_64__)

BERTHA_TARGET_BEGIN("avx2,fma")
float peak_avx2(std::size_t steps, float factor) {
  const __m256 by = _mm256_set1_ps(factor);
  __m256 sum[12];
  BERTHA_UNROLL
  for (int i = 0; i < 12; ++i) sum[i] = _mm256_set1_ps(static_cast<float>(i));
  for (; steps > 0; --steps) {
    BERTHA_UNROLL
    for (int i = 0; i < 12; ++i) sum[i] = _mm256_fmadd_ps(sum[i], by, by);
  }
  BERTHA_UNROLL
  for (int i = 1; i < 12; ++i) sum[0] = _mm256_add_ps(sum[0], sum[i]);
  return _mm256_cvtss_f32(sum[0]);
}
BERTHA_TARGET_END

BERTHA_TARGET_BEGIN("avx512f")
float peak_avx512(std::size_t steps, float factor) {
  const __m512 by = _mm512_set1_ps(factor);
  __m512 sum[16];
  BERTHA_UNROLL
  for (int i = 0; i < 16; ++i) sum[i] = _mm512_set1_ps(static_cast<float>(i));
  for (; steps > 0; --steps) {
    BERTHA_UNROLL
    for (int i = 0; i < 16; ++i) sum[i] = _mm512_fmadd_ps(sum[i], by, by);
  }
  BERTHA_UNROLL
  for (int i = 1; i < 16; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  return _mm512_cvtss_f32(sum[0]);
}
BERTHA_TARGET_END

BERTHA_TARGET_BEGIN("avx512f,avx512vnni")
float peak_avx512_vnni(std::size_t steps, float factor) {
  const __m512i by = _mm512_set1_epi8(static_cast<char>(64 * factor));
  __m512i sum[16];
  BERTHA_UNROLL
  for (int i = 0; i < 16; ++i) sum[i] = _mm512_set1_epi32(i);
  for (; steps > 0; --steps) {
    BERTHA_UNROLL
    for (int i = 0; i < 16; ++i) sum[i] = _mm512_dpbusd_epi32(sum[i], by, by);
  }
  BERTHA_UNROLL
  for (int i = 1; i < 16; ++i) sum[0] = _mm512_add_epi32(sum[0], sum[i]);
  return _mm512_cvtss_f32(_mm512_cvtepi32_ps(sum[0]));
}
BERTHA_TARGET_END

BERTHA_TARGET_BEGIN("avx512f,avx512bf16")
float peak_avx512_bf16(std::size_t steps, float factor) {
  const __m512bh by = _mm512_cvtne2ps_pbh(_mm512_set1_ps(factor), _mm512_set1_ps(factor));
  __m512 sum[16];
  BERTHA_UNROLL
  for (int i = 0; i < 16; ++i) sum[i] = _mm512_set1_ps(static_cast<float>(i));
  for (; steps > 0; --steps) {
    BERTHA_UNROLL
    for (int i = 0; i < 16; ++i) sum[i] = _mm512_dpbf16_ps(sum[i], by, by);
  }
  BERTHA_UNROLL
  for (int i = 1; i < 16; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  return _mm512_cvtss_f32(sum[0]);
}
BERTHA_TARGET_END

BERTHA_AMX_BEGIN
float peak_amx(std::size_t steps, float factor) {
  // Not zeros: of those the units take less power, and the clock of a CPU that is short of it is higher.
  alignas(64) bf16 numbers[512];
  for (std::size_t i = 0; i < 512; ++i)
    numbers[i] = static_cast<bf16>(0x3c00 + i * 77 % 256 + (factor > 0 ? i % 2 * 0x8000 : 0));
  alignas(64) float sums[256];
  const bertha::kernels::amx::Tiles tiles;
  tiles.configure(kTileConfig);
  tiles.zero<0>();
  tiles.zero<1>();
  tiles.zero<2>();
  tiles.zero<3>();
  tiles.load<4>(numbers, 64);
  tiles.load<5>(numbers, 64);
  tiles.load<6>(numbers, 64);
  tiles.load<7>(numbers, 64);
  for (; steps > 0; --steps) {
    tiles.dot_bf16<0, 4, 6>();
    tiles.dot_bf16<1, 4, 7>();
    tiles.dot_bf16<2, 5, 6>();
    tiles.dot_bf16<3, 5, 7>();
  }
  tiles.store<0>(sums, 64);
  tiles.release();
  return sums[0];
}
BERTHA_AMX_END

// By the level whose products they bound: those of float32 for the first two (and the levels above), of int8 for
// avx512_vnni (and those above), of bfloat16 for the others.
const std::map<std::string_view, PeakLoop> kPeakLoops = {{"avx2", {peak_avx2, 12, 8}},
                                                         {"avx512", {peak_avx512, 16, 16}},
                                                         {"avx512_vnni", {peak_avx512_vnni, 16, 64}},
                                                         {"avx512_bf16", {peak_avx512_bf16, 16, 32}},
                                                         {"amx", {peak_amx, 4, 16 * 16 * 32}}};

std::string_view float32_peak(std::string_view level) {
  return level.starts_with("a") && level != "avx2" ? "avx512" : level;
}
std::string_view int8_peak(std::string_view level) {
  return level == "avx512_vnni" || level == "avx512_bf16" || level == "amx" ? "avx512_vnni" : "";
}
std::string_view bfloat16_peak(std::string_view level) {
  return level == "avx512_bf16" || level == "amx" ? level : float32_peak(level);
}

/// Cycles of a nanosecond: multiplications that wait for each other take three cycles on every x86-64 CPU of the
/// levels.
double clock_ghz() {
  constexpr std::size_t kSteps = 50'000;
  double best = 0;  // of many short ones: other programs take time from some
  for (int turn = 0; turn < 50; ++turn) {
    std::size_t x = 3;
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < kSteps; ++i)
      asm volatile("imul %0, %0\n imul %0, %0\n imul %0, %0\n imul %0, %0" : "+r"(x));
    const std::chrono::duration<double, std::nano> passed = std::chrono::steady_clock::now() - begin;
    best = std::max(best, 12.0 * kSteps / passed.count());
  }
  return best;
}

#else

const std::map<std::string_view, PeakLoop> kPeakLoops;
std::string_view float32_peak(std::string_view level) { return level; }
std::string_view int8_peak(std::string_view) { return ""; }
std::string_view bfloat16_peak(std::string_view level) { return level; }
double clock_ghz() { return 0; }

#endif

double peak_gflops(const PeakLoop& loop) {
  const std::size_t steps = 12'800'000 / (loop.vectors * loop.lanes);
  double best = 0;
  for (int i = 0; i < 100; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(loop.run(steps, 0.5f));
    const std::chrono::duration<double, std::nano> passed = std::chrono::steady_clock::now() - begin;
    best = std::max(best, 2.0 * static_cast<double>(steps * loop.vectors * loop.lanes) / passed.count());
  }
  return best;
}

/// One kernel at one size: what is timed, and its floating-point operations.
struct Job {
  std::string name;
  std::function<void()> run;
  double flop = 0;
  std::string_view peak = "";  // the loop of multiply-adds that it is to have a share of
};

template <class Element>
Element* filled(std::vector<AlignedBuffer<Element>>& buffers, std::size_t size, Element value) {
  buffers.emplace_back(size);
  std::fill_n(buffers.back().data(), size, value);
  return buffers.back().data();
}

/// bfloat16 numbers between 0.01 and 0.03, of both signs.
bf16* varied(std::vector<AlignedBuffer<bf16>>& buffers, std::size_t size) {
  bf16* numbers = filled(buffers, size, bf16{});
  for (std::size_t i = 0; i < size; ++i) numbers[i] = static_cast<bf16>(0x3c00 + i * 77 % 251 + i % 2 * 0x8000);
  return numbers;
}

/// Memory of all jobs; as long as the program.
struct Operands {
  std::vector<AlignedBuffer<float>> floats;
  std::vector<AlignedBuffer<std::int8_t>> bytes;
  std::vector<AlignedBuffer<bf16>> halves;
  std::vector<AlignedBuffer<std::int32_t>> ints;
  std::vector<AlignedBuffer<std::byte>> scratch;
};

constexpr std::size_t kHidden = 768, kHeadSize = 64, kWidth = 192;

void add_products(std::vector<Job>& jobs, Operands& m, const Table& table, std::size_t rows, std::size_t k,
                  std::size_t n) {
  using bertha::Activation;
  const std::string size = std::to_string(rows) + "x" + std::to_string(k) + "x" + std::to_string(n);
  const double flop = 2.0 * static_cast<double>(rows * k * n);
  // Rows a line further apart than their numbers, as those of an encoder are: not a multiple of 1 KB.
  const std::size_t out_stride = n + 16, a_stride = k + 16, bf16_stride = round_up(k, 32) + 32;
  const std::size_t s8_stride = (k + 64) * table.quantised_bytes;
  m.scratch.emplace_back(product_scratch(rows));
  std::byte* scratch = m.scratch.back().data();
  GemmF32 f32{.a = filled(m.floats, rows * a_stride, 0.5f),
              .a_stride = a_stride,
              .panels = filled(m.floats, k * n, 0.01f),
              .bias = filled(m.floats, n, 0.1f),
              .out = filled(m.floats, rows * out_stride, 0.0f),
              .out_stride = out_stride,
              .rows = rows,
              .k = k,
              .n_panels = n / 16,
              .scratch = scratch};
  jobs.push_back({"gemm_f32/" + std::string(table.level) + "/" + size, [=, &table] { table.gemm_f32(f32); }, flop,
                  float32_peak(table.level)});
  f32.activation = Activation::gelu;
  jobs.push_back({"gemm_f32_gelu/" + std::string(table.level) + "/" + size, [=, &table] { table.gemm_f32(f32); }, flop,
                  float32_peak(table.level)});
  const GemmS8 s8{.a = filled(m.bytes, round_up(rows, kTileRows) * s8_stride, std::int8_t{5}),
                  .a_stride = s8_stride,
                  .a_scale = filled(m.floats, rows, 0.01f),
                  .panels = filled(m.bytes, k * n, std::int8_t{3}),
                  .scale = filled(m.floats, n, 0.01f),
                  .sum = filled(m.ints, n, static_cast<std::int32_t>(3 * k)),
                  .bias = f32.bias,
                  .out = f32.out,
                  .out_stride = out_stride,
                  .rows = rows,
                  .k = k,
                  .n_panels = n / 16,
                  .scratch = scratch};
  jobs.push_back({"gemm_s8/" + std::string(table.level) + "/" + size, [=, &table] { table.gemm_s8(s8); }, flop,
                  int8_peak(table.level)});
  const std::size_t k_pairs = round_up(k, 32);
  const GemmBf16 rounded{.a = varied(m.halves, rows * bf16_stride),
                         .a_stride = bf16_stride,
                         .panels = varied(m.halves, k_pairs * n),
                         .bias = f32.bias,
                         .out = f32.out,
                         .out_stride = out_stride,
                         .rows = rows,
                         .k = k_pairs,
                         .n_panels = n / 16,
                         .scratch = scratch};
  jobs.push_back({"gemm_bf16/" + std::string(table.level) + "/" + size, [=, &table] { table.gemm_bf16(rounded); }, flop,
                  bfloat16_peak(table.level)});
}

void add_rows(std::vector<Job>& jobs, Operands& m, const Table& table, std::size_t length) {
  const std::string end = std::string(1, '/').append(table.level).append(1, '/') + std::to_string(length);
  float* qkv = filled(m.floats, length * kWidth, 0.1f);
  m.scratch.emplace_back(attention_scratch(length, kHeadSize));
  const Attention attention{.query = qkv,
                            .key = qkv + kHeadSize,
                            .value = qkv + 2 * kHeadSize,
                            .stride = kWidth,
                            .length = length,
                            .head_size = kHeadSize,
                            .scale = 0.125f,
                            .context = filled(m.floats, length * kHeadSize, 0.0f),
                            .context_stride = kHeadSize,
                            .scratch = m.scratch.back().data()};
  const double flop = 4.0 * static_cast<double>(length * length * kHeadSize);
  jobs.push_back(
      {"attention_f32" + end, [=, &table] { table.attention_f32(attention); }, flop, float32_peak(table.level)});
  jobs.push_back(
      {"attention_bf16" + end, [=, &table] { table.attention_bf16(attention); }, flop, bfloat16_peak(table.level)});
  jobs.push_back({"attention_s8" + end, [=, &table] { table.attention_s8(attention); }, flop, int8_peak(table.level)});
  Attention fine = attention;
  fine.fine = true;
  jobs.push_back(
      {"attention_s8/fine" + end, [=, &table] { table.attention_s8(fine); }, 1.5 * flop, int8_peak(table.level)});
  float* x = filled(m.floats, length * kHidden, 0.25f);
  for (std::size_t i = 0; i < length * kHidden; ++i) x[i] = static_cast<float>(i % 251) * 0.01f;
  const LayerNormRows norm{.x = x,
                           .stride = kHidden,
                           .rows = length,
                           .size = kHidden,
                           .gamma = filled(m.floats, kHidden, 1.0f),
                           .beta = filled(m.floats, kHidden, 0.5f),
                           .eps = 1e-12f,
                           .y = x,
                           .y_stride = kHidden};
  jobs.push_back({"layer_norm" + end, [=, &table] { table.layer_norm(norm); }});
  const QuantiseRows quantise{.x = x,
                              .stride = kHidden,
                              .rows = length,
                              .size = kHidden,
                              .q = filled(m.bytes, length * kHidden, std::int8_t{0}),
                              .q_stride = kHidden,
                              .scale = filled(m.floats, length, 0.0f)};
  jobs.push_back({"quantise_rows" + end, [=, &table] { table.quantise_rows(quantise); }});
  jobs.push_back({"softmax" + end, [=, &table] { table.softmax(x, length); }});
  jobs.push_back({"sigmoid" + end, [=, &table] { table.sigmoid(x, length); }});
}

void measure(benchmark::State& state, const Job& job, double peak) {
  for (auto _ : state) job.run();
  if (job.flop == 0) return;
  const double all = job.flop * static_cast<double>(state.iterations()) / 1e9;
  state.counters["GFLOP/s"] = benchmark::Counter(all, benchmark::Counter::kIsRate);
  if (peak > 0) state.counters["share"] = benchmark::Counter(all / peak, benchmark::Counter::kIsRate);
}

}  // namespace

int main(int argc, char** argv) {
#if !defined(__OPTIMIZE__)
#error "a build without optimisation has nothing to time: configure with CMAKE_BUILD_TYPE=Release"
#endif
  Operands memory;
  std::vector<Job> jobs;
  std::map<std::string_view, double> peaks;
  for (const Table* table : available()) {
    const std::string level(table->level);
    if (const auto loop = kPeakLoops.find(table->level); loop != kPeakLoops.end()) {
      peaks[table->level] = peak_gflops(loop->second);
      const double vectors = static_cast<double>(loop->second.vectors * 1000);
      benchmark::RegisterBenchmark(
          std::string("peak/").append(level).c_str(), [loop, vectors](benchmark::State& state) {
            const double ghz = clock_ghz();
            for (auto _ : state) benchmark::DoNotOptimize(loop->second.run(1000, 0.5f));
            const double all = vectors * static_cast<double>(state.iterations()) / 1e9;
            const double flop = 2.0 * static_cast<double>(loop->second.lanes);
            state.counters["GFLOP/s"] = benchmark::Counter(all * flop, benchmark::Counter::kIsRate);
            state.counters["per_cycle"] = benchmark::Counter(all / ghz, benchmark::Counter::kIsRate);
            state.counters["GHz"] = ghz;
          });
    }
    for (const std::size_t rows : std::initializer_list<std::size_t>{16, 128, 512}) {
      add_products(jobs, memory, *table, rows, 768, 768);
      add_products(jobs, memory, *table, rows, 768, 3072);
      add_products(jobs, memory, *table, rows, 3072, 768);
    }
    for (const std::size_t length : std::initializer_list<std::size_t>{16, 128, 384})
      add_rows(jobs, memory, *table, length);
    for (Job& job : jobs) {
      const double peak = peaks[job.peak];
      benchmark::RegisterBenchmark(job.name.c_str(),
                                   [job, peak](benchmark::State& state) { measure(state, job, peak); });
    }
    jobs.clear();
  }
  // What a call pays each time that it hands work to all threads and waits for them.
  benchmark::RegisterBenchmark("fork_join", [](benchmark::State& state) {
    const std::size_t threads = bertha::default_executor().concurrency();
    for (auto _ : state) bertha::parallel_for(nullptr, threads, threads, [](std::size_t, std::size_t) {});
    state.counters["threads"] = static_cast<double>(threads);
  })->UseRealTime();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
