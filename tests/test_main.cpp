// GoogleTest's main(), and one thing before it: a run that BERTHA_ISA forces to a level this CPU lacks ends with 77,
// which ctest counts as skipped.

#include <gtest/gtest.h>

#include <bertha/kernels/cpu.hpp>
#include <cstdlib>
#include <iostream>
#include <string_view>

int main(int argc, char** argv) {
  const char* level = std::getenv("BERTHA_ISA");
  if (level != nullptr && level == std::string_view("avx2") && !bertha::kernels::cpu_features().avx2) {
    std::cout << "skipped: this CPU lacks avx2\n";
    return 77;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
