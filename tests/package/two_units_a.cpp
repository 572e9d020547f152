// The first of two sources that both include the whole library: see two_units_b.cpp and CMakeLists.txt.

#include <bertha/bertha.hpp>

#include "two_units.hpp"

// With an argument, the other source is compiled for another instruction set: then the two must share no table.
int main(int argc, char**) {
  const bool mixed = argc > 1;
  if (mixed && !__builtin_cpu_supports("avx2")) return 77;
  bool told = false;
  try {
    bertha::TextClassifier::load("no-such-file.safetensors");
  } catch (const bertha::Error& error) {
    told = error.code() == bertha::ErrorCode::file;
  }
  const Seen other = seen_in_b();
  const bool same_table = other.table == &bertha::kernels::table();
  return told && other.missing_file_is_told && same_table != mixed ? 0 : 1;
}
