#include <gtest/gtest.h>

#include <sched.h>
#include <bertha/runtime/cpu_count.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace {

using bertha::detail::cgroup_cpus;
using bertha::detail::kNoLimit;
using bertha::detail::quota_cpus;

/// A folder that stands for /sys/fs/cgroup.
class CpuCount : public testing::Test {
 protected:
  CpuCount() {
    std::string name = (std::filesystem::temp_directory_path() / "bertha-cgroup-XXXXXX").string();
    mount_ = ::mkdtemp(name.data());
  }
  ~CpuCount() override { std::filesystem::remove_all(mount_); }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = mount_ + "/" + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  std::string mount_;
};

TEST_F(CpuCount, RoundsQuotasDownToWholeCpus) {
  EXPECT_EQ(quota_cpus("400000", "100000"), 4u);
  EXPECT_EQ(quota_cpus("399999\n", "100000\n"), 3u);
  EXPECT_EQ(quota_cpus("50000", "100000"), 1u);
  for (const char* none : {"max", "-1", "", "0", "x", "99999999999999999999999"})
    EXPECT_EQ(quota_cpus(none, "100000"), kNoLimit);
  for (const char* none : {"", "0", "-5"}) EXPECT_EQ(quota_cpus("400000", none), kNoLimit);
}

TEST_F(CpuCount, TakesTheLeastQuotaOfTheGroupsAroundTheProcess) {
  write("cpu.max", "max 100000\n");
  write("outer/cpu.max", "300000 100000\n");
  write("outer/inner/cpu.max", "800000 100000\n");
  EXPECT_EQ(cgroup_cpus("0::/outer/inner\n", mount_), 3u);
  EXPECT_EQ(cgroup_cpus("0::/outer/inner/leaf", mount_), 3u);
  EXPECT_EQ(cgroup_cpus("0::/other\n", mount_), kNoLimit);
  EXPECT_EQ(cgroup_cpus("0::/\n", mount_), kNoLimit);
  write("cpu.max", "250000 100000\n");
  EXPECT_EQ(cgroup_cpus("0::/\n", mount_), 2u);
  EXPECT_EQ(cgroup_cpus("0::/../../elsewhere\n", mount_), 2u);
}

TEST_F(CpuCount, ReadsGroupsOfTheFirstVersion) {
  write("cpu,cpuacct/pod/cpu.cfs_quota_us", "500000\n");
  write("cpu,cpuacct/pod/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroup_cpus("4:memory:/pod\n3:cpu,cpuacct:/pod\n0::/\n", mount_), 5u);
  EXPECT_EQ(cgroup_cpus("4:memory:/pod\n3:cpuset:/pod\n", mount_), kNoLimit);
  write("cpu/pod/cpu.cfs_quota_us", "200000\n");
  write("cpu/pod/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroup_cpus("1:cpu:/pod\n", mount_), 2u);
  write("cpu/pod/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(cgroup_cpus("1:cpu:/pod\n", mount_), kNoLimit);
}

TEST_F(CpuCount, TakesGarbageForNoLimit) {
  write("cpu.max", "nonsense");
  for (const char* text : {"", "\n\n", "0", "0:", "0::", "0::relative", ":::", "a:b:c\n0::/\n", "3:cpu:/x\n"}) {
    EXPECT_EQ(cgroup_cpus(text, mount_), kNoLimit) << text;
  }
}

TEST_F(CpuCount, CountsTheCpusOfTheAffinityMask) {
  EXPECT_GE(bertha::usable_cpus(), 1u);
  EXPECT_LE(bertha::usable_cpus(), bertha::detail::affinity_cpus());
  std::size_t seen = 0;
  std::thread([&] {  // the mask of a thread of its own, so that no other test has it
    cpu_set_t mask;
    ASSERT_EQ(::sched_getaffinity(0, sizeof mask, &mask), 0);
    for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &mask)) continue;
      CPU_ZERO(&mask);
      CPU_SET(cpu, &mask);
    }
    ASSERT_EQ(::sched_setaffinity(0, sizeof mask, &mask), 0);
    seen = bertha::detail::affinity_cpus();
  })
      .join();
  EXPECT_EQ(seen, 1u);
}

}  // namespace
