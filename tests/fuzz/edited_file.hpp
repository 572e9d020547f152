// A right model file with edits that a fuzzer chooses.

#pragma once

#include "input.hpp"

#include <string>

namespace bertha_fuzz {

/// The bytes of one of a dozen small files, each of another kind, after at most eight edits of its JSON, node by node,
/// and of its tensors' bytes, shapes, types and names; then of its header's JSON and of any of its bytes. Throws
/// nlohmann::json::exception for edits that there is no JSON for. Compiled apart, and not watched by the fuzzer.
std::string edited_file(Input& input);

}  // namespace bertha_fuzz
