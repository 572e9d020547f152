// A user's program: what an absent model file leads to.

#include <bertha/bertha.hpp>

int main() {
  try {
    bertha::TextClassifier::load("no-such-file.safetensors");
  } catch (const bertha::Error& error) {
    return error.code() == bertha::ErrorCode::file ? 0 : 1;
  }
  return 1;
}
