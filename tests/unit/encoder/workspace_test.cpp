#include <gtest/gtest.h>

#include <atomic>
#include <bertha/encoder/workspace.hpp>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "../../support/child_process.hpp"
#include "../../support/sanitizer.hpp"

namespace {

using bertha::Workspace;
using bertha::detail::WorkspacePool;

const bertha::CallOptions one_thread{.max_threads = 1};

TEST(WorkspacePool, HandsOutWhatWasGivenBack) {
  WorkspacePool pool;
  Workspace* first = nullptr;
  {
    const auto lease = pool.take(one_thread);
    first = &*lease;
    (*lease).hidden.reserve(1000);
  }
  const auto again = pool.take(one_thread);
  EXPECT_EQ(&*again, first);
  EXPECT_EQ((*again).hidden.size(), 1000u);
  const auto other = pool.take(one_thread);
  EXPECT_NE(&*other, first);
}

TEST(WorkspacePool, GivesAnyNumberOfCallersOneEach) {
  WorkspacePool pool;
  for (int round = 0; round < 2; ++round) {
    std::vector<std::unique_ptr<WorkspacePool::Lease>> leases;
    std::set<const Workspace*> different;
    for (int i = 0; i < 200; ++i) {
      leases.emplace_back(new WorkspacePool::Lease(pool.take(one_thread)));
      different.insert(&**leases.back());
    }
    EXPECT_EQ(different.size(), 200u);
  }
}

TEST(WorkspacePool, ServesAChildThatWasForkedWhileOtherThreadsTookAndGaveBack) {
#if defined(BERTHA_UNDER_SANITIZER)
  GTEST_SKIP() << "the child may find a lock taken around the sanitizer's memory";
#endif
  WorkspacePool pool;
  std::atomic<bool> enough{false};
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      while (!enough) pool.take(one_thread);
    });
  }
  int failed = 0;
  for (int round = 0; round < 300 && failed == 0; ++round) {
    failed += bertha_test::status_of_child([&] {  // which would wait for a lock that nobody gives back
                for (int i = 0; i < 10; ++i) (*pool.take(one_thread)).hidden.reserve(100);
                return true;
              }) != 0;
  }
  EXPECT_EQ(failed, 0);
  enough = true;
  for (std::thread& caller : callers) caller.join();
}

}  // namespace
