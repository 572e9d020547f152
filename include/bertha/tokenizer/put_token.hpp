// Where a model of words puts the tokens that it finds.

#pragma once

#include <bertha/runtime/function_ref.hpp>
#include <bertha/version.hpp>
#include <cstddef>
#include <cstdint>

BERTHA_NAMESPACE_BEGIN

/// Called with a token's id, and the bytes [begin, end) of the word that it is. No template, so that models are
/// compiled once and not for each who calls them.
using PutToken = FunctionRef<std::uint32_t, std::size_t, std::size_t>;

BERTHA_NAMESPACE_END
