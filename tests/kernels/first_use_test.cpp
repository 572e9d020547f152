// What the first use of the kernels, and of the pool, does in a process that forks in the middle of it: the child has
// none of the threads that were at it, so it must wait for none. Every test begins in a child that has used neither
// yet.

#include <gtest/gtest.h>

#include <unistd.h>
#include <array>
#include <atomic>
#include <bertha/error.hpp>
#include <bertha/kernels/known_answers.hpp>
#include <bertha/kernels/table.hpp>
#include <bertha/runtime/parallel_for.hpp>
#include <cstddef>
#include <cstring>
#include <thread>

#include "../support/child_process.hpp"
#include "../support/sanitizer.hpp"

namespace {

using bertha::kernels::Table;
using bertha_test::status_of_child;

enum Pause : int { none, wanted, reached };
std::atomic<int> pause_in_getenv{none};
std::atomic<int> pause_in_kernel{none};

/// Stops the first thread that comes by until the process ends.
void pass(std::atomic<int>& pause) {
  int expected = wanted;
  if (pause.compare_exchange_strong(expected, reached)) ::pause();
}

}  // namespace

/// In place of the C library's: a thread that reads BERTHA_ISA can be held there.
extern "C" char* getenv(const char* name) noexcept {
  const std::size_t length = std::strlen(name);
  if (std::strcmp(name, "BERTHA_ISA") == 0) pass(pause_in_getenv);
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry)
    if (std::strncmp(*entry, name, length) == 0 && (*entry)[length] == '=') return *entry + length + 1;
  return nullptr;
}

namespace {

/// First use as a model's loading has it.
bool kernels_work() {
  bertha::kernels::require_known_answers();
  std::array<float, 3> x = {1.0f, 1.0f, 1.0f};
  bertha::kernels::table().softmax(x.data(), x.size());
  return x[0] == x[2] && x[0] > 0.0f;
}

/// And as a call has it: with the pool.
bool calls_work() {
  std::atomic<std::size_t> done{0};
  bertha::parallel_for(nullptr, 4, 9, [&](std::size_t, std::size_t) { ++done; });
  return kernels_work() && done == 9;
}

/// Whether a child works that is forked while another thread is held where `pause` says.
bool works_in_a_child(std::atomic<int>& pause) {
  pause = wanted;
  std::thread(kernels_work).detach();
  while (pause != reached) std::this_thread::yield();
  return status_of_child(kernels_work) == 0 && kernels_work();
}

TEST(FirstUse, IsDoneAnewInAChildForkedWhileTheLevelIsChosen) {
  EXPECT_EQ(status_of_child([] { return works_in_a_child(pause_in_getenv); }), 0);
}

TEST(FirstUse, IsDoneAnewInAChildForkedWhileKnownAnswersAreChecked) {
  EXPECT_EQ(status_of_child([] {
              static Table pausing = bertha::kernels::preferred_table();
              static const Table real = pausing;
              pausing.layer_norm = {[](const bertha::kernels::LayerNormRows& rows) {
                                      pass(pause_in_kernel);
                                      real.layer_norm(rows);
                                    },
                                    "pausing"};
              return &bertha::kernels::table(&pausing) == &pausing && works_in_a_child(pause_in_kernel);
            }),
            0);
}

TEST(FirstUse, WorksInEveryChildForkedAtAnyTimeOfIt) {
#if defined(BERTHA_UNDER_SANITIZER)
  GTEST_SKIP() << "the child may find a lock taken around the sanitizer's memory";
#endif
  int failed = 0;
  for (int process = 0; process < 300; ++process) {
    failed += status_of_child([] {
                std::array<std::thread, 3> users;
                for (std::thread& user : users) user = std::thread(calls_work);
                bool works = true;
                for (int child = 0; child < 3; ++child) works = status_of_child(calls_work) == 0 && works;
                for (std::thread& user : users) user.join();
                return works && calls_work();
              }) != 0;
  }
  EXPECT_EQ(failed, 0);
}

TEST(FirstUse, GivesAllThreadsTheSameTable) {
  for (int process = 0; process < 50; ++process) {
    EXPECT_EQ(status_of_child([] {
                static Table other = bertha::kernels::preferred_table();
                std::array<const Table*, 4> seen{};
                std::array<std::thread, 4> users;
                for (std::size_t i = 0; i < users.size(); ++i)
                  users[i] = std::thread([&, i] { seen[i] = &bertha::kernels::table(i % 2 != 0 ? &other : nullptr); });
                for (std::thread& user : users) user.join();
                return seen[0] == seen[1] && seen[0] == seen[2] && seen[0] == seen[3] &&
                       seen[0] == &bertha::kernels::table();
              }),
              0);
  }
}

}  // namespace
