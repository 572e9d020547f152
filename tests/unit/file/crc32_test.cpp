#include <gtest/gtest.h>

#include "../../support/container_writer.hpp"

#include <bertha/file/crc32.hpp>
#include <span>
#include <string>

namespace {

std::uint32_t crc_of(const std::string& text) { return bertha::crc32(std::as_bytes(std::span(text))); }

TEST(Crc32, HasTheCheckValueOfItsCatalogueEntry) {
  EXPECT_EQ(crc_of("123456789"), 0xCBF43926u);  // "CRC-32/ISO-HDLC", which zlib computes
  EXPECT_EQ(crc_of(""), 0u);
}

TEST(Crc32, EqualsTheBitwiseDefinitionAtEveryLengthAndAlignment) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(i * 37 + i / 11);
  for (std::size_t begin = 0; begin < 9; ++begin) {
    for (std::size_t size = 0; size < 70; ++size) {
      const std::string part = text.substr(begin, size);
      EXPECT_EQ(bertha::crc32(std::as_bytes(std::span(text)).subspan(begin, size)),
                bertha_test::ContainerWriter::crc32(part));
    }
  }
}

}  // namespace
