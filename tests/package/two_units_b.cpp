// The second of two sources that both include the whole library.

#include <bertha/bertha.hpp>

#include "two_units.hpp"

Seen seen_in_b() {
  Seen seen{&bertha::kernels::table(), false};
  try {
    bertha::TextClassifier::load("no-such-file.safetensors");
  } catch (const bertha::Error& error) {
    seen.missing_file_is_told = error.code() == bertha::ErrorCode::file;
  }
  return seen;
}
