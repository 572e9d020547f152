// Whether a tokenizer can stand in place of a model file's own.

#pragma once

#include <algorithm>
#include <bertha/error.hpp>
#include <bertha/tokenizer/stored_strings.hpp>
#include <cstdint>
#include <string_view>

BERTHA_NAMESPACE_BEGIN

/// Throws Error{vocabulary}, naming the file, where an id has one token in the file's vocabulary and another in that
/// of the tokenizer that is given. Either may have ids without a token, and be the shorter one.
BERTHA_FUNCTION void require_same_vocabulary(const StoredStrings& own, const StoredStrings& given,
                                             std::string_view file);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION void require_same_vocabulary(const StoredStrings& own, const StoredStrings& given,
                                             std::string_view file) {
  for (std::uint32_t id = 0; id < std::min(own.size(), given.size()); ++id) {
    if (own[id].empty() || given[id].empty() || own[id] == given[id]) continue;
    throw_error(ErrorCode::vocabulary,
                {file, ": token ", id, " is ", detail::shown(own[id]), ", but ", detail::shown(given[id]),
                 " in the tokenizer that was given; give one with the model's own ids"});
  }
}

#endif

BERTHA_NAMESPACE_END
