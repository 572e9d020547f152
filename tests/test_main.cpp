// GoogleTest's main(), and one thing before it: a run that BERTHA_ISA forces to a level this CPU lacks ends with 77,
// which ctest counts as skipped.

#include <gtest/gtest.h>

#include <algorithm>
#include <bertha/kernels/table.hpp>
#include <cstdlib>
#include <iostream>
#include <vector>

int main(int argc, char** argv) {
  const char* level = std::getenv("BERTHA_ISA");
  const auto among = [level](const std::vector<const bertha::kernels::Table*>& tables) {
    return std::any_of(tables.begin(), tables.end(), [level](const auto* table) { return table->level == level; });
  };
  if (level != nullptr && !among(bertha::kernels::available()) &&
      among(bertha::kernels::tables_for(bertha::kernels::CpuFeatures::all()))) {
    std::cout << "skipped: this CPU lacks " << level << '\n';
    return 77;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
