// What the two sources of link.two_units know of each other. Nothing of bertha: link.mixed_units compiles the second
// one for another instruction set.

#pragma once

/// What `level_a` and `level_b` return: the kernels that this source got, and the code of the error that it saw.
struct Seen {
  const void* table;
  bool missing_file_is_told;
};

Seen seen_in_b();
