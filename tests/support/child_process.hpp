// What a test says of a child of fork().

#pragma once

#include <sys/wait.h>
#include <unistd.h>

namespace bertha_test {

/// Forks; the child calls `act`, ends with 0 when that is true, and is killed after 20 seconds.
template <class Act>
int status_of_child(const Act& act) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    ::_exit(act() ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}

}  // namespace bertha_test
