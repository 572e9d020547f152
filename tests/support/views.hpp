// Whether this compiler compiles the views of its standard library: clang before 16 fails on those of libstdc++ 12.

#pragma once

#include <ranges>

#if !defined(__clang__) || __clang_major__ >= 16
#define BERTHA_TEST_HAS_VIEWS
#endif
