// A program that knows nothing of bertha: `plugin_host [--one-cpu] PLUGIN...`. Opens, calls and closes each plugin 100
// times, which makes no more threads than once, and forks afterwards. With one CPU a plugin has no threads, and goes.
// Strings bring the C++ library in before a plugin does, which would be kept loaded by it.

#include <dirent.h>
#include <dlfcn.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstddef>
#include <cstdio>
#include <string>

namespace {

int failures = 0;

void expect(bool right, const std::string& plugin, const char* what) {
  if (right) return;
  std::fputs((plugin + ": " + what + '\n').c_str(), stderr);
  ++failures;
}

int threads() {
  int count = -2;  // . and ..
  DIR* folder = ::opendir("/proc/self/task");
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count;
}

bool call_works(const std::string& plugin) {
  void* object = ::dlopen(plugin.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (object == nullptr) return false;
  const auto calls = reinterpret_cast<int (*)()>(::dlsym(object, "plugin_calls"));
  return calls != nullptr && calls() == 1000 && ::dlclose(object) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const bool one_cpu = argc > 1 && argv[1] == std::string("--one-cpu");
  if (one_cpu) {
    cpu_set_t cpus;
    ::sched_getaffinity(0, sizeof cpus, &cpus);
    std::size_t first = 0;
    while (!CPU_ISSET(first, &cpus)) ++first;
    CPU_ZERO(&cpus);
    CPU_SET(first, &cpus);
    ::sched_setaffinity(0, sizeof cpus, &cpus);
  }
  for (int i = one_cpu ? 2 : 1; i < argc; ++i) {
    const std::string plugin = argv[i];
    expect(call_works(plugin), plugin, "the first call fails");
    const int threads_of_one = threads();
    for (int round = 1; round < 100; ++round) expect(call_works(plugin), plugin, "a later call fails");
    ::usleep(20'000);  // by now its threads have gone to sleep, and wake where they slept
    expect(call_works(plugin), plugin, "a call of sleeping threads fails");
    expect(threads() == threads_of_one, plugin, "opening it again makes more threads");
    if (one_cpu)
      expect(::dlopen(plugin.c_str(), RTLD_NOW | RTLD_NOLOAD) == nullptr, plugin, "it stays, though it has no threads");
    const pid_t child = ::fork();
    if (child == 0) ::_exit(call_works(plugin) ? 0 : 1);
    int status = -1;
    ::waitpid(child, &status, 0);
    expect(status == 0, plugin, "a child of fork() fails");
  }
  return failures == 0 ? 0 : 1;
}
