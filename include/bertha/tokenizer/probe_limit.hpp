// An end to look-ups in hash tables whose keys a file chose so that all have hashes alike.

#pragma once

#include <bertha/error.hpp>
#include <cstddef>

BERTHA_NAMESPACE_BEGIN

/// Counts the taken slots that one look-up in a table with linear probing has passed. Tables that are half full have
/// runs of some fifty of them, with a million keys too.
class ProbeLimit {
 public:
  /// Throws Error{vocabulary} beyond 1,000. `table` is the file's part that is at fault.
  void pass(const char* table) {
    if (++passed_ <= 1000) return;
    throw_error(ErrorCode::vocabulary, {table,
                                        ": too many entries have hashes alike, which makes them slow to find; "
                                        "the model file is damaged, convert it again"});
  }

 private:
  std::size_t passed_ = 0;
};

BERTHA_NAMESPACE_END
