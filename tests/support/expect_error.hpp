// Checks that something throws a bertha::Error of one code whose message holds certain words.

#pragma once

#include <gtest/gtest.h>

#include <bertha/error.hpp>
#include <exception>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

namespace bertha_test {

/// Calls `act` and returns the message of the Error{code} that it must throw; records a failure, with `what` in it, if
/// it throws none, another one, or one whose message lacks one of `words`.
inline std::string expect_error(bertha::ErrorCode code, std::initializer_list<std::string_view> words,
                                const std::function<void()>& act, const std::string& what = "") {
  try {
    act();
  } catch (const bertha::Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(name(error.code()), name(code)) << what << "\n" << message;
    for (std::string_view word : words)
      EXPECT_NE(message.find(word), message.npos) << what << "\n" << word << "\n" << message;
    return message;
  } catch (const std::exception& error) {
    ADD_FAILURE() << what << "\nno bertha::Error: " << error.what();
    return {};
  }
  ADD_FAILURE() << what << "\nnothing was thrown, expected " << name(code);
  return {};
}

}  // namespace bertha_test
