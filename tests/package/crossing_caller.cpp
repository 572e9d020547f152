// Compiled without AVX2: see crossing_callee.cpp.

#include <bertha/error.hpp>

int code_of(const bertha::Error& error);

int main() { return code_of(bertha::Error(bertha::ErrorCode::file, "")); }
