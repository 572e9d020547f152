// How much stack a call takes: it runs on a stack that was filled with a mark, and what is left of the mark shows how
// deep it went.

#pragma once

#include <pthread.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "gtest/gtest.h"

namespace bertha_test {

/// Bytes of stack that a thread has touched when it has called `call`, with what a thread takes to begin and end.
template <class Call>
std::size_t stack_touched(const Call& call) {
  constexpr std::size_t kSize = 1 << 20;
  constexpr unsigned char kMark = 0xa5;
  const std::unique_ptr<void, void (*)(void*)> stack(std::aligned_alloc(4096, kSize), std::free);
  std::memset(stack.get(), kMark, kSize);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  EXPECT_EQ(pthread_attr_setstack(&attributes, stack.get(), kSize), 0);
  pthread_t thread;
  const auto run = [](void* argument) -> void* {
    (*static_cast<const Call*>(argument))();
    return nullptr;
  };
  EXPECT_EQ(pthread_create(&thread, &attributes, run, const_cast<Call*>(&call)), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  const auto* bytes = static_cast<const unsigned char*>(stack.get());
  std::size_t untouched_bytes = 0;
  while (untouched_bytes < kSize && bytes[untouched_bytes] == kMark) ++untouched_bytes;
  return kSize - untouched_bytes;
}

/// What `call` takes beside what every thread does: its thread's local memory lies on the stack too.
template <class Call>
std::size_t stack_of(const Call& call) {
  return stack_touched(call) - stack_touched([] {});
}

}  // namespace bertha_test
