// How much stack a call takes, of its caller's thread and of those that work for it: programs have threads with little.

#include <algorithm>
#include <bertha/bertha.hpp>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <string>
#include <vector>

#include "../../kernels/amx_emulation.hpp"
#include "../../support/model_writer.hpp"
#include "../../support/painted_stack.hpp"
#include "../../support/sanitizer.hpp"
#include "gtest/gtest.h"

#if !defined(BERTHA_UNDER_SANITIZER)

namespace {

constexpr std::size_t kPromised = 48 * 1024;

/// Each task on a thread of its own, one after the other.
class PaintedThreads final : public bertha::Executor {
 public:
  std::size_t concurrency() const noexcept override { return 4; }
  void run(std::size_t tasks, bertha::TaskRef task) override {
    for (std::size_t i = 0; i < tasks; ++i) most_ = std::max(most_, bertha_test::stack_of([&] { task(i); }));
  }
  std::size_t most() const { return most_; }

 private:
  std::size_t most_ = 0;
};

TEST(Stack, OfACallIsSmallInAllPipelinesAndPrecisions) {
  // Of the highest level too, which few CPUs have; under BERTHA_ISA, of the one that it names.
  if (std::getenv("BERTHA_ISA") == nullptr) bertha::kernels::use_level_that_splits();
  std::string text = "the cat";
  for (int i = 0; i < 40; ++i) text += " sat abc.";
  const std::vector<std::string> texts(8, "the cat sat."), one(1, text);
  for (const auto precision :
       {bertha::PrecisionKind::float32, bertha::PrecisionKind::bfloat16, bertha::PrecisionKind::int8}) {
    bertha_test::TinyOptions options;
    options.hidden_size = 96;
    options.intermediate_size = 2112;  // k so long that a level may cut it
    options.max_position_embeddings = 512;
    options.float32_split = true;
    const auto expect_little = [&](const auto& pipeline, const auto& run, const char* what) {
      PaintedThreads threads;
      // One thread first, and first of all: what happens once in a process counts.
      const std::size_t caller = bertha_test::stack_of([&] { run(pipeline, bertha::CallOptions{.max_threads = 1}); });
      run(pipeline, bertha::CallOptions{.executor = &threads});
      EXPECT_LT(caller, kPromised) << what << ' ' << bertha::to_string(precision);
      EXPECT_GT(threads.most(), 0u);
      EXPECT_LT(threads.most(), kPromised) << what << ' ' << bertha::to_string(precision);
    };
    const bertha_test::AlignedBytes classifier(bertha_test::ModelWriter::tiny(options).bytes());
    expect_little(
        bertha::TextClassifier::load(classifier.span(), {.precision = precision}),
        [&](const auto& classify, const bertha::CallOptions& call) {
          classify.run(texts, {}, call);
          classify.run(one, {}, call);
        },
        "classifier");
    options.pooler = "";
    options.head = "token-classification";
    const bertha_test::AlignedBytes recognizer(bertha_test::ModelWriter::tiny(options).bytes());
    expect_little(
        bertha::EntityRecognizer::load(recognizer.span(), {.precision = precision}),
        [&](const auto& find, const bertha::CallOptions& call) {
          find.run(texts, {}, call);
          find.run(one, {}, call);
        },
        "recognizer");
    options.head = "question-answering";
    options.labels = {"start", "end"};
    const bertha_test::AlignedBytes answerer(bertha_test::ModelWriter::tiny(options).bytes());
    expect_little(
        bertha::QuestionAnswerer::load(answerer.span(), {.precision = precision}),
        [&](const auto& ask, const bertha::CallOptions& call) { ask.run("the cat", text, {}, call); }, "answerer");
  }
}

}  // namespace

#else

TEST(Stack, OfACallIsSmallInAllPipelinesAndPrecisions) { GTEST_SKIP() << "sanitizers make frames larger"; }

#endif
