// A shared library with bertha inside, and what its user sees of it.

#pragma once

/// Throws bertha::Error: there is no such file.
[[gnu::visibility("default")]] void load_a_missing_file();
