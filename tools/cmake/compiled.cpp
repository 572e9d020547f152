// The object of bertha::compiled: the functions that its users' sources only see declared (include/bertha/version.hpp).

#define BERTHA_COMPILED_OBJECT
#include <bertha/bertha.hpp>
