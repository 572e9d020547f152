#include "library.hpp"

#include <bertha/bertha.hpp>

void load_a_missing_file() { bertha::TextClassifier::load("no-such-file.safetensors"); }
