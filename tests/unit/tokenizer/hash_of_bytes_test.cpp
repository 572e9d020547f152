// The hash of short strings: every byte counts, and its upper bits are spread.

#include <gtest/gtest.h>

#include <bertha/tokenizer/hash_of_bytes.hpp>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace {

using bertha::hash_of_bytes;

TEST(HashOfBytes, DiffersWithEachByteAndWithTheSize) {
  std::set<std::uint64_t> hashes;
  std::size_t strings = 0;
  for (std::size_t size = 0; size <= 40; ++size) {
    hashes.insert(hash_of_bytes(std::string(size, 'a')));
    ++strings;
    for (std::size_t at = 0; at < size; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        if (byte == 'a') continue;
        std::string text(size, 'a');
        text[at] = static_cast<char>(byte);
        hashes.insert(hash_of_bytes(text));
        ++strings;
      }
    }
  }
  EXPECT_EQ(hashes.size(), strings);
}

TEST(HashOfBytes, SpreadsWordsOverTheSlotsOfATable) {
  for (const std::size_t letters : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 12u}) {  // that all words begin with
    std::vector<int> slots(1024);
    for (int word = 0; word < 1024; ++word) {
      std::string text(letters, 'x');
      text += static_cast<char>('a' + word / 32);
      text += static_cast<char>('a' + word % 32);
      ++slots[hash_of_bytes(text) >> 54];
    }
    std::size_t pairs = 0;
    for (const int words : slots) pairs += static_cast<std::size_t>(words * (words - 1) / 2);
    EXPECT_LT(pairs, 1024u) << letters;  // 512 by chance
  }
}

}  // namespace
