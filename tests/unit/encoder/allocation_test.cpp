// From `Encoder::forward` in, a call that is no larger than one before it takes no memory of the system: this program
// has allocation functions of its own, which count. Sanitizers have theirs, so there is nothing to see under them.

#include <malloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <atomic>
#include <bertha/heads/sequence_classification.hpp>
#include <bertha/model.hpp>
#include <bertha/pipelines/fill_mask.hpp>
#include <bertha/runtime/thread_pool.hpp>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "../../kernels/amx_emulation.hpp"
#include "../../support/model_writer.hpp"
#include "../../support/sanitizer.hpp"
#include "gtest/gtest.h"

#if !defined(BERTHA_UNDER_SANITIZER)

#include "../../support/replaced_malloc.hpp"

namespace {
std::atomic<std::size_t> allocations{0}, allocated_bytes{0}, held_bytes{0}, most_held_bytes{0};

void count(std::size_t bytes) {
  ++allocations;
  allocated_bytes += bytes;
}
}  // namespace

bool bertha_test::may_allocate(std::size_t bytes) noexcept {
  count(bytes);
  return true;
}
void bertha_test::allocated(void* block) noexcept {
  const std::size_t now = held_bytes += ::malloc_usable_size(block);
  for (std::size_t most = most_held_bytes; most < now && !most_held_bytes.compare_exchange_weak(most, now);) continue;
}
void bertha_test::freed(void* block) noexcept { held_bytes -= ::malloc_usable_size(block); }

extern "C" {
void* mmap(void* address, std::size_t size, int protection, int flags, int file, off_t offset) noexcept {
  count(size);
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

/// Bytes that `f` takes of the system, given back or not.
template <class F>
std::size_t bytes_of(const F& f) {
  const std::size_t before = allocated_bytes;
  f();
  return allocated_bytes - before;
}

/// The most bytes of glibc's that `f` has at a time.
template <class F>
std::size_t most_bytes_of(const F& f) {
  const std::size_t before = most_held_bytes = held_bytes.load();
  f();
  return most_held_bytes - before;
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
  const auto in_turn = [] {
    for (int i = 0; i < 10; ++i) std::free(seen(std::realloc(seen(std::calloc(10, 1000)), 20'000)));
  };
  EXPECT_GE(most_bytes_of(in_turn), 20'000u);
  EXPECT_LT(most_bytes_of(in_turn), 40'000u);
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

/// As many threads as it was told, all of them the caller's: what they would need can be counted without having them.
class Pretended final : public bertha::Executor {
 public:
  explicit Pretended(std::size_t threads) : threads_(threads) {}
  std::size_t concurrency() const noexcept override { return threads_; }
  void run(std::size_t tasks, bertha::TaskRef task) override {
    for (std::size_t i = 0; i < tasks; ++i) task(i);
  }

 private:
  std::size_t threads_;
};

class EncoderAllocations : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    static const bool splits = bertha::kernels::use_level_that_splits();
    if (GetParam().split && !splits) GTEST_SKIP() << "this CPU lacks AVX2";
  }
};

/// A model that runs as `kind`, and the bytes that it was loaded from.
struct Loaded {
  Loaded(bertha_test::TinyOptions options, Kind kind)
      : bytes(ModelWriter::tiny(with_split(options, kind.split)).bytes()),
        file(bertha::WeightFile::from_bytes(bytes.span(), "bytes", {.memory = bertha::Memory::low})),
        encoder(file, with_precision(file.config(), kind.precision)) {}
  static bertha_test::TinyOptions with_split(bertha_test::TinyOptions options, bool split) {
    options.float32_split = split;
    return options;
  }
  static bertha::ModelConfig with_precision(bertha::ModelConfig config, bertha::PrecisionKind precision) {
    config.precision = precision;
    return config;
  }
  bertha_test::AlignedBytes bytes;
  bertha::WeightFile file;
  bertha::AnyEncoder encoder;
};

TEST_P(EncoderAllocations, EndWithTheFirstCallOfASize) {
  bertha_test::TinyOptions options;
  options.embedding_size = 20;
  options.num_hidden_layers = 3;
  options.layer_weights = {0, 1, 0};
  options.max_position_embeddings = 400;
  const Loaded model(options, GetParam());
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
      auto output = model.encoder.forward(batch, work);
      model.encoder.pool(output, work);
    };
    EXPECT_GT(allocations_of([&] { forward(batches.front()); }), 0u);
    for (const bertha::Batch& batch : batches) forward(batch);
    for (int round = 0; round < 20; ++round)
      for (const bertha::Batch& batch : batches)
        EXPECT_EQ(allocations_of([&] { forward(batch); }), 0u)
            << threads << " threads, " << batch.sequences() << " sequences";
  }
}

/// Bytes that a first call on `threads` threads takes.
std::size_t bytes_of_first_call(const Loaded& model, std::size_t threads, const std::vector<std::size_t>& lengths) {
  const bertha::Batch batch = batch_of(lengths);
  Pretended pool(threads);
  return bytes_of([&] {
    bertha::Workspace work;
    work.prepare({.executor = &pool});
    model.encoder.forward(batch, work);
  });
}

bertha_test::TinyOptions four_attention_heads() {
  bertha_test::TinyOptions options;
  options.hidden_size = 64;
  options.num_attention_heads = 4;
  options.intermediate_size = 256;
  options.max_position_embeddings = 1500;
  return options;
}

TEST_P(EncoderAllocations, OfATextThatThreadsShareGrowWithAttentionHeadsAndNotWithThreads) {
  const Loaded model(four_attention_heads(), GetParam());
  EXPECT_LT(bytes_of_first_call(model, 64, {1500}), 4 * bytes_of_first_call(model, 1, {1500}));
}

TEST_P(EncoderAllocations, OfALongTextAmongShortOnesAreThoseOfATextThatThreadsShare) {
  const Loaded model(four_attention_heads(), GetParam());
  std::vector<std::size_t> lengths(40, 256);
  const std::size_t short_ones = bytes_of_first_call(model, 64, lengths);
  lengths.insert(lengths.begin() + 20, 1500);
  EXPECT_LT(bytes_of_first_call(model, 64, lengths), short_ones + 4 * bytes_of_first_call(model, 1, {1500}));
}

INSTANTIATE_TEST_SUITE_P(
    Precision, EncoderAllocations,
    testing::Values(Kind{bertha::PrecisionKind::float32, false}, Kind{bertha::PrecisionKind::float32, true},
                    Kind{bertha::PrecisionKind::bfloat16, false}, Kind{bertha::PrecisionKind::int8, false}),
    [](const auto& test) {
      return std::string(bertha::to_string(test.param.precision)) + (test.param.split ? "_split" : "");
    });

TEST(TokenizerAllocations, EndOnceTextsOfASizeHaveBeenSeen) {
  const bertha_test::AlignedBytes bytes(ModelWriter::tiny().bytes());
  auto file = bertha::WeightFile::from_bytes(bytes.span());
  const auto tokenizer = bertha::Tokenizer::load(file);
  bertha::Encoding encoding;
  const auto encode = [&] { tokenizer.encode_into(encoding, "a b, \u00e4b \u4e2d c! abc"); };
  for (int i = 0; i < 3; ++i) encode();  // the second time words are kept, the third they are found
  EXPECT_EQ(allocations_of(encode), 0u);
}

TEST(ModelAllocations, OfATextOfHundredsOfMasksHoldTheLogitsOfFew) {
  bertha_test::TinyOptions options = {.head = "masked-lm", .max_position_embeddings = 400};
  for (int i = 0; i < 20'000; ++i) options.vocabulary.push_back("word" + std::to_string(i));
  const bertha_test::AlignedBytes bytes(ModelWriter::tiny(options).bytes());
  const auto fill = bertha::FillMask::load(bytes.span());
  std::string text;
  const auto most = [&](std::size_t masks) {
    while (text.size() < masks * 7) text += "[MASK] ";
    return most_bytes_of([&] { fill.run(text, {.top_k = 1}, {.max_threads = 1}); });
  };
  const std::size_t row = options.vocabulary.size() * sizeof(float);
  EXPECT_GT(most(60), 60 * row);
  EXPECT_LT(most(390), 100 * row);
}

TEST(ModelAllocations, WithLowMemoryAreNoneOfTheSizeOfTheWeights) {
  if (!bertha::kernels::use_level_that_splits()) GTEST_SKIP() << "this CPU lacks AVX2";
  bertha_test::TinyOptions options = four_attention_heads();
  options.float32_split = true;
  options.intermediate_size = 4096;
  const std::size_t weights = 2 * options.hidden_size * options.intermediate_size * sizeof(float);
  const bertha_test::AlignedBytes bytes(ModelWriter::tiny(options).bytes());
  const auto bytes_of_load = [&](bertha::Memory memory) {
    return bytes_of([&] { bertha::Model<bertha::SequenceClassification>::load(bytes.span(), {.memory = memory}); });
  };
  EXPECT_LT(bytes_of_load(bertha::Memory::low), weights / 2);
  EXPECT_GT(bytes_of_load(bertha::Memory::fast), weights);
}

}  // namespace

#else

TEST(Allocations, AreCounted) { GTEST_SKIP() << "the sanitizer has allocation functions of its own"; }

#endif
