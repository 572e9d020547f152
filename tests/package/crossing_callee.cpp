// Compiled for AVX2; its caller is not. A type of bertha between them must not link.

#include <bertha/error.hpp>

int code_of(const bertha::Error& error);

int code_of(const bertha::Error& error) { return static_cast<int>(error.code()); }
