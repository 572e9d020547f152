// The `scalar` level: the specification of every operation, in plain C++. std::fma is a call of the C library where the
// program isn't compiled for a CPU that has it: right, and slow.

#pragma once

#include <bertha/kernels/lanes_generic.hpp>

BERTHA_NAMESPACE_BEGIN
BERTHA_STRICT_BEGIN

namespace kernels::scalar {

#define BERTHA_LANE_INLINE inline
#include <bertha/kernels/level.inl>
#undef BERTHA_LANE_INLINE

inline constexpr Table kTable = own_table("scalar");

}  // namespace kernels::scalar

BERTHA_STRICT_END
BERTHA_NAMESPACE_END
