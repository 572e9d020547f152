// Every kernel of every level, for inner_loops.py to look at.

#include <bertha/kernels/table.hpp>

std::vector<const bertha::kernels::Table*> every_table();
std::vector<const bertha::kernels::Table*> every_table() { return bertha::kernels::available(); }
