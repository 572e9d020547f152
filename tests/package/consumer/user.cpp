// A user of the shared library, which links no bertha: an exception of the library is bertha::Error here too.

#include <bertha/error.hpp>

#include "library.hpp"

int main() {
  try {
    load_a_missing_file();
  } catch (const bertha::Error& error) {
    return error.code() == bertha::ErrorCode::file ? 0 : 1;
  }
  return 1;
}
