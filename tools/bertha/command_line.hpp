// What the arguments ask for.

#pragma once

#include "streams.hpp"

namespace program {

/// Runs the command that the arguments name. Returns the exit status; throws what the commands throw.
int run_command_line(int argc, char** argv, Output& out);

}  // namespace program
