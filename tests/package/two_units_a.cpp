// The first of two sources that both include the whole library: see two_units_b.cpp and CMakeLists.txt.

#include <bertha/bertha.hpp>

#include "two_units.hpp"

int main() {
#if defined(BERTHA_TEST_MIXED)
  if (!__builtin_cpu_supports("avx2")) return 77;
#endif
  bool told = false;
  try {
    bertha::TextClassifier::load("no-such-file.safetensors");
  } catch (const bertha::Error& error) {
    told = error.code() == bertha::ErrorCode::file;
  }
  const Seen other = seen_in_b();
  const bool same_table = other.table == &bertha::kernels::table();
#if defined(BERTHA_TEST_MIXED)
  return told && other.missing_file_is_told && !same_table ? 0 : 1;
#else
  return told && other.missing_file_is_told && same_table ? 0 : 1;
#endif
}
