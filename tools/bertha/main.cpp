// The `bertha` program: the pipelines on lines and JSON lines, and tools for model files. See README.md.
//
// Exit status: 0; 1 when a line was bad, a file isn't reproduced or a stream failed; 2 when nothing could be done at
// all, for what was asked or for the model file; 141, as after SIGPIPE, when nobody reads the output any more.

#include <signal.h>
#include <unistd.h>

#include <bertha/error.hpp>
#include <cstdio>
#include <exception>

#include "command_line.hpp"
#include "streams.hpp"

namespace {

int fail(int status, const char* message) {
  std::fprintf(stderr, "bertha: %s\n", message);
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    program::Output out(STDOUT_FILENO);
    const int status = program::run_command_line(argc, argv, out);
    out.close();
    return status;
  } catch (const program::ClosedPipe&) {
    return 128 + SIGPIPE;
  } catch (const program::StreamError& error) {
    return fail(1, error.what());
  } catch (const bertha::Error& error) {
    return fail(error.code() == bertha::ErrorCode::self_test ? 1 : 2, error.what());
  } catch (const std::exception& error) {
    return fail(2, error.what());
  }
}
