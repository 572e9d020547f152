// A vocabulary for tokenizers whose words begin with Metaspace's mark.

#pragma once

#include <string>
#include <vector>

namespace bertha_test {

/// Tokens by id: 5 is the mark, 6 to 8 are letters, 9 and 11 what merges (6, 7) and (9, 8) make, 12 what (5, 6) makes,
/// 14 what (6, 6) makes.
inline std::vector<std::string> marked_vocabulary() {
  const std::string mark = "\xE2\x96\x81";
  return {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",   mark,       "a", "b",
          "c",     "ab",    "B",     "abc",   mark + "a", "\xC3\xA9", "aa"};
}

}  // namespace bertha_test
