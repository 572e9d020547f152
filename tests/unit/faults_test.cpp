// What fails in the middle: each allocation of a load and of a call in turn, and each system call that opens, measures,
// maps or reads a file. An exception comes out, nothing is lost, and the model is as good as before. This program has
// functions of its own in their places; sanitizers have theirs, so there is nothing to see under them.

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <bertha/bertha.hpp>
#include <cstdarg>
#include <cstdlib>
#include <functional>
#include <limits>
#include <new>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "../support/further_tokenizers.hpp"
#include "../support/model_writer.hpp"
#include "../support/sanitizer.hpp"
#include "gtest/gtest.h"

#if !defined(BERTHA_UNDER_SANITIZER)

#include "../support/replaced_malloc.hpp"

namespace {

constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();

std::atomic<std::size_t> allocations_left{kNever};  // until one fails, and all after it, or
std::atomic<bool> one_fails{false};                 // none of them
std::atomic<std::size_t> calls_left{kNever};        // of the system, likewise
std::atomic<std::size_t> most_read{kNever};         // bytes that read() gives at once
std::atomic<std::ptrdiff_t> live{0};                // bytes

bool fails(std::atomic<std::size_t>& left) {
  std::size_t n = left.load();
  while (n != kNever && n != 0 && !left.compare_exchange_weak(n, n - 1)) {
  }
  if (n == 0 && one_fails) left = kNever;
  return n == 0;
}

}  // namespace

bool bertha_test::may_allocate(std::size_t) noexcept { return !fails(allocations_left); }
void bertha_test::allocated(void* block) noexcept { live += static_cast<std::ptrdiff_t>(malloc_usable_size(block)); }
void bertha_test::freed(void* block) noexcept { live -= static_cast<std::ptrdiff_t>(malloc_usable_size(block)); }

extern "C" {
void* mmap(void* address, std::size_t size, int protection, int flags, int file, off_t offset) noexcept {
  if (fails(file >= 0 ? calls_left : allocations_left)) {
    errno = file >= 0 ? ENODEV : ENOMEM;
    return MAP_FAILED;
  }
  live += static_cast<std::ptrdiff_t>(size);
  return reinterpret_cast<void*>(::syscall(SYS_mmap, address, size, protection, flags, file, offset));
}
int munmap(void* address, std::size_t size) noexcept {
  live -= static_cast<std::ptrdiff_t>(size);
  return static_cast<int>(::syscall(SYS_munmap, address, size));
}
int open(const char* path, int flags, ...) {
  if (fails(calls_left)) {
    errno = EMFILE;
    return -1;
  }
  std::va_list rest;
  va_start(rest, flags);
  const int mode = va_arg(rest, int);
  va_end(rest);
  return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}
ssize_t read(int file, void* to, std::size_t size) {
  if (fails(calls_left)) {
    errno = EIO;
    return -1;
  }
  return ::syscall(SYS_read, file, to, std::min(size, most_read.load()));
}
}

namespace {

using bertha_test::AlignedBytes;
using bertha_test::ModelWriter;
using bertha_test::TempFile;
using bertha_test::TinyOptions;

/// Runs `f` with its first allocation failing, then with its second, and so on, until it ends; that one alone, or all
/// after it too. What is held afterwards
/// is what was held before, but for the last time. Returns how often it failed.
std::size_t fail_each_allocation(const std::function<void()>& f, bool one, bool keeps_memory = false) {
  one_fails = one;
  for (std::size_t n = 0;; ++n) {
    const std::ptrdiff_t before = live;
    bool failed = true;
    allocations_left = n;
    try {
      f();
      failed = false;
    } catch (const std::bad_alloc&) {
    } catch (const bertha::Error&) {  // a map that the system has no memory for
    }
    allocations_left = kNever;
    if (!failed) return n;
    if (!keeps_memory) {
      EXPECT_EQ(live - before, 0) << "when allocation " << n << " fails";
    }
  }
}

TinyOptions options_of(const char* head, const char* precision) {
  TinyOptions options;
  options.precision = precision;
  options.head = head;
  if (std::string(head) != "sequence-classification") options.pooler = "";
  if (std::string(head) == "question-answering") options.labels = {"start", "end"};
  if (std::string(head) == "token-classification") options.labels = {"O", "B-PER", "I-PER"};
  return options;
}

template <class Pipeline>
void expect_whole_loads(const char* head) {
  for (const char* precision : {"float32", "bfloat16", "int8"}) {
    ModelWriter model = ModelWriter::tiny(options_of(head, precision));
    if (std::string(head) == "embedding" || std::string(head) == "masked-lm") model.format = "2";
    const TempFile file(model.bytes());
    for (const bool copy : {false, true}) {
      const auto load = [&] { Pipeline::load(file.path(), {.copy = copy}); };
      load();  // what a process has once
      for (const bool one : {false, true}) EXPECT_GT(fail_each_allocation(load, one), 50u);
    }
  }
}

TEST(Faults, LeaveNothingBehindWhenAnAllocationOfALoadFails) {
  expect_whole_loads<bertha::TextClassifier>("sequence-classification");
  expect_whole_loads<bertha::EntityRecognizer>("token-classification");
  expect_whole_loads<bertha::QuestionAnswerer>("question-answering");
  expect_whole_loads<bertha::FillMask>("masked-lm");
  expect_whole_loads<bertha::Embedder>("embedding");
}

/// A model that has never been called, each of whose first call's allocations fails in turn; then it answers as one
/// that saw no fault, and nothing is left of it.
template <class Pipeline, class Run>
void expect_whole_calls(const char* head, const Run& run) {
  for (const char* precision : {"float32", "bfloat16", "int8"}) {
    for (const auto& [threads, one] : {std::pair(1u, false), {1u, true}, {2u, false}, {2u, true}}) {
      ModelWriter model = ModelWriter::tiny(options_of(head, precision));
      if (std::string(head) == "embedding" || std::string(head) == "masked-lm") model.format = "2";
      const AlignedBytes bytes(model.bytes());
      const bertha::CallOptions call = {.max_threads = threads};
      const auto expected = run(Pipeline::load(bytes.span()), call);
      const std::ptrdiff_t before = live;
      {
        const auto pipeline = Pipeline::load(bytes.span());
        EXPECT_GT(fail_each_allocation([&] { run(pipeline, call); }, one, true), 5u);
        EXPECT_EQ(run(pipeline, call), expected) << precision;
      }
      EXPECT_EQ(live - before, 0) << head << ' ' << precision << ' ' << threads;
    }
  }
}

const std::vector<std::string> kTexts = {"the cat sat.", "a b c", "the cat sat abc the cat", "", "cat"};

TEST(Faults, LeaveAModelAsGoodAsBeforeWhenAnAllocationOfACallFails) {
  expect_whole_calls<bertha::TextClassifier>("sequence-classification", [](const auto& pipeline, const auto& call) {
    std::vector<float> found;
    for (const auto& result : pipeline.run(kTexts, {}, call))
      for (const auto& label : result.labels) found.push_back(label.score);
    return found;
  });
  expect_whole_calls<bertha::EntityRecognizer>("token-classification", [](const auto& pipeline, const auto& call) {
    std::vector<float> found;
    for (const auto& result : pipeline.run(kTexts, {.ignore_labels = {}}, call))
      for (const auto& entity : result) found.push_back(entity.score);
    return found;
  });
  expect_whole_calls<bertha::QuestionAnswerer>("question-answering", [](const auto& pipeline, const auto& call) {
    std::vector<float> found;
    for (const auto& answer : pipeline.run({"the cat", kTexts[2]}, {.top_k = 3}, call)) found.push_back(answer.score);
    return found;
  });
  expect_whole_calls<bertha::FillMask>("masked-lm", [](const auto& pipeline, const auto& call) {
    std::vector<float> found;
    const auto result = pipeline.run("the [MASK] sat.", {}, call);
    for (const auto& filling : result.masks.at(0)) found.push_back(filling.score);
    return found;
  });
  expect_whole_calls<bertha::Embedder>("embedding", [](const auto& pipeline, const auto& call) {
    std::vector<float> found;
    for (const auto& result : pipeline.run(kTexts, {}, call)) found.insert(found.end(), result.begin(), result.end());
    return found;
  });
}

/// Memory that a tokenizer keeps grows in several steps, any of which may be the one that fails.
TEST(Faults, LeaveATokenizerAsGoodAsBeforeWhenAnAllocationOfACallFails) {
  const std::vector<std::string> texts = {
      "abc cab the cats. AB ab111", "\xC3\x89\xCC\x81\xCC\xA7 <a>x y~ A\xCC\x8A\xE4\xB8\xAD",
      std::string(40, 'a') + " \xEF\xB7\xBA \xC4\xB0\xF0\x9F\x98\x80", "b b abc abc a!"};
  std::vector<ModelWriter> models = bertha_test::further_tokenizers();
  models.push_back(ModelWriter::tiny());
  for (std::size_t i = 0; i < models.size(); ++i) {
    const TempFile file(models[i].bytes());
    const auto load = [&] {
      auto opened = bertha::WeightFile::open(file.path());
      return bertha::Tokenizer::load(opened);
    };
    const auto tokens_of = [&](const bertha::Tokenizer& tokenizer) {
      std::vector<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>> all;
      for (const std::string& text : texts)
        for (const auto& encoding : {tokenizer.encode(text), tokenizer.encode(text, texts[0])})
          for (std::size_t t = 0; t < encoding.size(); ++t)
            all.emplace_back(encoding.ids[t], encoding.offsets[t].start, encoding.offsets[t].end);
      return all;
    };
    const auto expected = tokens_of(load());
    for (const bool one : {false, true}) {
      const std::ptrdiff_t before = live;
      {
        const bertha::Tokenizer tokenizer = load();
        const auto call = [&] { tokens_of(tokenizer); };
        EXPECT_GT(fail_each_allocation(call, one, true), 20u);
        EXPECT_EQ(tokens_of(tokenizer), expected) << i;
      }
      EXPECT_EQ(live - before, 0) << i;
    }
  }
}

TEST(Faults, AreNoneInThousandsOfLoadsAndNothingGrows) {
  const TempFile file(ModelWriter::tiny().bytes());
  const auto load = [&] { bertha::TextClassifier::load(file.path())("the cat"); };
  load();
  const std::ptrdiff_t before = live;
  const int loads = std::getenv("BERTHA_FULL") != nullptr ? 10'000 : 2000;
  for (int i = 0; i < loads; ++i) load();
  EXPECT_EQ(live - before, 0);
}

TEST(Faults, OfTheSystemAreNamedWithTheFileAndTheReason) {
  const TempFile file(ModelWriter::tiny().bytes());
  for (const bool copy : {false, true}) {
    const auto load = [&] { bertha::TextClassifier::load(file.path(), {.copy = copy}); };
    load();
    std::size_t n = 0;
    for (one_fails = false;; ++n) {
      const std::ptrdiff_t before = live;
      calls_left = n;
      try {
        load();
        calls_left = kNever;
        break;
      } catch (const bertha::Error& error) {
        calls_left = kNever;
        EXPECT_EQ(error.code(), bertha::ErrorCode::file);
        EXPECT_NE(std::string(error.what()).find(file.path()), std::string::npos) << error.what();
      }
      EXPECT_EQ(live - before, 0) << "when call " << n << " of the system fails";
    }
    EXPECT_GE(n, 2u) << "one to open and one to map or read";
  }
}

TEST(Faults, AreNoneWhereTheSystemGivesAFileByteByByte) {
  const TempFile file(ModelWriter::tiny().bytes());
  const auto expected = bertha::TextClassifier::load(file.path())("the cat").score;
  most_read = 7;
  const auto found = bertha::TextClassifier::load(file.path(), {.copy = true})("the cat").score;
  most_read = kNever;
  EXPECT_EQ(found, expected);
}

}  // namespace

#endif
