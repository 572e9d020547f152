// A shared library of somebody's that links bertha::compiled: exports.py looks at what it shows to others.

#include <bertha/bertha.hpp>

extern "C" [[gnu::visibility("default")]] int shared_tokens(const char* model, const char* text);

int shared_tokens(const char* model, const char* text) {
  return static_cast<int>(bertha::TextClassifier::load(model).run(text).info.n_tokens);
}
