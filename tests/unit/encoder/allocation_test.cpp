// From `Encoder::forward` in, a call that is no larger than one before it takes no memory of the system: this program
// has allocation functions of its own, which count. Sanitizers have theirs, so there is nothing to see under them.

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <atomic>
#include <bertha/encoder/encoder.hpp>
#include <bertha/runtime/thread_pool.hpp>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "../../kernels/amx_emulation.hpp"
#include "../../support/model_writer.hpp"
#include "gtest/gtest.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif

#if !defined(UNDER_SANITIZER)

namespace {
std::atomic<std::size_t> allocations{0};
}  // namespace

// What glibc's own functions are called inside; operator new comes to one of these.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) noexcept {
  ++allocations;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) noexcept {
  ++allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) noexcept {
  ++allocations;
  return __libc_realloc(memory, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  ++allocations;
  return __libc_memalign(alignment, size);
}
void* memalign(std::size_t alignment, std::size_t size) noexcept {
  ++allocations;
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) noexcept {
  ++allocations;
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}
void* mmap(void* address, std::size_t size, int protection, int flags, int file, off_t offset) noexcept {
  ++allocations;
  return reinterpret_cast<void*>(::syscall(SYS_mmap, address, size, protection, flags, file, offset));
}
}

namespace {

using bertha_test::ModelWriter;

/// Allocations that `f` makes, on all threads.
template <class F>
std::size_t allocations_of(const F& f) {
  const std::size_t before = allocations;
  f();
  return allocations - before;
}

/// The compiler may leave out memory that nobody looks at: it can't know that nobody does.
void* seen(void* memory) {
  __asm__ volatile("" : "+r"(memory));
  return memory;
}

TEST(Allocations, AreCounted) {
  EXPECT_EQ(allocations_of([&] { std::free(seen(std::malloc(100))); }), 1u);
  EXPECT_EQ(allocations_of([&] { std::free(seen(std::calloc(2, 50))); }), 1u);
  EXPECT_EQ(allocations_of([&] { std::free(seen(std::realloc(std::malloc(10), 10'000))); }), 2u);
  EXPECT_EQ(allocations_of([&] { std::free(seen(std::aligned_alloc(64, 128))); }), 1u);
  EXPECT_EQ(allocations_of([&] {
              void* aligned = nullptr;
              if (::posix_memalign(&aligned, 64, 100) == 0) std::free(seen(aligned));
            }),
            1u);
  EXPECT_EQ(allocations_of([&] { ::operator delete(seen(::operator new(100))); }), 1u);
  EXPECT_GE(allocations_of([] { bertha::AlignedBuffer<float> buffer(1000); }), 1u);
  EXPECT_EQ(allocations_of([&] {
              void* page = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              ::munmap(page, 4096);
            }),
            1u);
}

bertha::Batch batch_of(const std::vector<std::size_t>& lengths) {
  bertha::Batch batch;
  for (const std::size_t length : lengths) batch.add(std::vector<std::uint32_t>(length, 5));
  return batch;
}

/// `split`: float32 as bfloat16 halves, made in each call.
struct Kind {
  bertha::PrecisionKind precision;
  bool split;
};

class EncoderAllocations : public testing::TestWithParam<Kind> {};

TEST_P(EncoderAllocations, EndWithTheFirstCallOfASize) {
  static const bool splits = bertha::kernels::use_level_that_splits();
  if (GetParam().split && !splits) GTEST_SKIP() << "this CPU lacks AVX2";
  bertha_test::TinyOptions options;
  options.float32_split = GetParam().split;
  options.embedding_size = 20;
  options.num_hidden_layers = 3;
  options.max_position_embeddings = 400;
  const bertha_test::AlignedBytes bytes(ModelWriter::tiny(options).bytes());
  auto file = bertha::WeightFile::from_bytes(bytes.span(), "bytes", {.memory = bertha::Memory::low});
  bertha::ModelConfig config = file.config();
  config.precision = GetParam().precision;
  const bertha::AnyEncoder encoder(file, config);
  // Whole chunks, one that all threads share, and both; then smaller calls than the largest.
  std::vector<bertha::Batch> batches;
  batches.push_back(batch_of(std::vector<std::size_t>(40, 60)));
  batches.push_back(batch_of({400}));
  batches.push_back(batch_of({256, 256, 256, 17, 256, 256}));
  batches.push_back(batch_of({1}));
  for (const std::size_t threads : {1u, 2u}) {
    auto& pool = *new bertha::detail::ThreadPool(2);  // its threads have no end, so neither has it
    bertha::Workspace work;
    work.prepare({.executor = &pool, .max_threads = threads});
    const auto forward = [&](const bertha::Batch& batch) {
      auto output = encoder.forward(batch, work);
      encoder.pool(output, work);
    };
    EXPECT_GT(allocations_of([&] { forward(batches.front()); }), 0u);
    for (const bertha::Batch& batch : batches) forward(batch);
    for (int round = 0; round < 20; ++round)
      for (const bertha::Batch& batch : batches)
        EXPECT_EQ(allocations_of([&] { forward(batch); }), 0u)
            << threads << " threads, " << batch.sequences() << " sequences";
  }
}

INSTANTIATE_TEST_SUITE_P(
    Precision, EncoderAllocations,
    testing::Values(Kind{bertha::PrecisionKind::float32, false}, Kind{bertha::PrecisionKind::float32, true},
                    Kind{bertha::PrecisionKind::bfloat16, false}, Kind{bertha::PrecisionKind::int8, false}),
    [](const auto& test) {
      return std::string(bertha::to_string(test.param.precision)) + (test.param.split ? "_split" : "");
    });

}  // namespace

#else

TEST(Allocations, AreCounted) { GTEST_SKIP() << "the sanitizer has allocation functions of its own"; }

#endif
