#include <gtest/gtest.h>

#include "../../support/container_writer.hpp"
#include "../../support/expect_error.hpp"

#include <sys/stat.h>
#include <unistd.h>
#include <bertha/file/mapped_file.hpp>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace {

using bertha::ErrorCode;
using bertha::MappedFile;
using bertha_test::expect_error;
using bertha_test::TempFile;

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

TEST(MappedFile, HoldsTheBytesOfTheFileAtA64ByteBoundary) {
  const std::string bytes = "some bytes, no multiple of a page\n";
  const TempFile file(bytes);
  for (auto mode : {MappedFile::Mode::map, MappedFile::Mode::copy}) {
    const MappedFile mapped(file.path(), mode);
    EXPECT_EQ(text_of(mapped), bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(mapped.bytes().data()) % 64, 0u);
  }
}

TEST(MappedFile, ReadsACopyLargerThanOneReadReturns) {
  std::string bytes(3 << 20, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 % 251);
  const TempFile file(bytes);
  EXPECT_EQ(text_of(MappedFile(file.path(), MappedFile::Mode::copy)), bytes);
}

// The flags that /proc/self/smaps has for the mapping at an address, "rd mr mw me hg" as it may be.
std::string flags_of_mapping(const void* address) {
  std::ifstream maps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%zx-%zx ", &begin, &end) == 2) {
      const auto at = reinterpret_cast<std::uintptr_t>(address);
      inside = begin <= at && at < end;
    } else if (inside && line.starts_with("VmFlags:")) {
      return line.substr(8) + ' ';
    }
  }
  return "";
}

TEST(MappedFile, AsksForLargePages) {
  if (::access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) != 0) GTEST_SKIP() << "this system has none";
  const TempFile file(std::string(5 << 20, 'x'));
  for (auto mode : {MappedFile::Mode::map, MappedFile::Mode::copy}) {
    const MappedFile mapped(file.path(), mode);
    EXPECT_NE(flags_of_mapping(mapped.bytes().data()).find(" hg "), std::string::npos);
  }
}

TEST(MappedFile, ACopyOutlivesTheFileAndItsTruncation) {
  const TempFile file("still here");
  const MappedFile copy(file.path(), MappedFile::Mode::copy);
  ASSERT_EQ(::truncate(file.path().c_str(), 0), 0);
  EXPECT_EQ(text_of(copy), "still here");
}

TEST(MappedFile, StaysValidWhenTheFileIsRemovedAndTheObjectMoved) {
  auto file = std::make_unique<TempFile>("moved bytes");
  MappedFile first(file->path());
  file.reset();
  const std::byte* address = first.bytes().data();
  const MappedFile second = std::move(first);
  EXPECT_EQ(second.bytes().data(), address);
  EXPECT_EQ(text_of(second), "moved bytes");
  EXPECT_TRUE(first.bytes().empty());
}

TEST(MappedFile, CopiesBytesOfAnyAlignment) {
  const std::string bytes = "xunaligned";
  const MappedFile copy = MappedFile::copy_of(std::as_bytes(std::span(bytes)).subspan(1));
  EXPECT_EQ(text_of(copy), "unaligned");
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(copy.bytes().data()) % 64, 0u);
}

TEST(MappedFile, NamesAMissingFileAndTheReason) {
  expect_error(ErrorCode::file, {"'/no/such/file'", "No such file"}, [] { MappedFile file("/no/such/file"); });
  expect_error(ErrorCode::file, {"''", "No such file"}, [] { MappedFile file(""); });
}

TEST(MappedFile, RefusesWhatIsNoRegularFile) {
  expect_error(ErrorCode::file, {"'/' is a directory; name the model file in it."}, [] { MappedFile file("/"); });
  expect_error(ErrorCode::file, {"/dev/zero' is not a regular file; copy it to one."},
               [] { MappedFile file("/dev/zero"); });
  const TempFile place("");
  const std::string fifo = place.path() + ".fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  expect_error(ErrorCode::file, {".fifo", "regular"}, [&] { MappedFile file(fifo); });  // and doesn't wait for a writer
  ::unlink(fifo.c_str());
}

TEST(MappedFile, RefusesAnEmptyFile) {
  const TempFile file("");
  expect_error(ErrorCode::file, {"' is empty."}, [&] { MappedFile mapped(file.path()); });
}

TEST(MappedFile, NamesTheReasonWhenAFileIsUnreadable) {
  const TempFile file("secret");
  ASSERT_EQ(::chmod(file.path().c_str(), 0), 0);
  if (::access(file.path().c_str(), R_OK) == 0) GTEST_SKIP() << "this user may read everything";
  expect_error(ErrorCode::file, {"denied"}, [&] { MappedFile mapped(file.path()); });
}

}  // namespace
