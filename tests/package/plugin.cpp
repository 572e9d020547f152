// A plugin with bertha's threads in it: see plugin_host.cpp.

#include <atomic>
#include <bertha/runtime/parallel_for.hpp>

extern "C" [[gnu::visibility("default")]] int plugin_calls();

int plugin_calls() {
  std::atomic<int> calls{0};
  bertha::parallel_for(nullptr, 64, 1000, [&](std::size_t, std::size_t) { ++calls; });
  return calls;
}
