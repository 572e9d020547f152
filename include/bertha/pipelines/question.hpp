// What is asked, and of what.

#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include <bertha/version.hpp>

BERTHA_NAMESPACE_BEGIN

/// A question with its context, or with several passages, whose answers are ranked together. A view: all must outlive
/// the call.
struct Question {
  /// How many texts may hold the answer.
  std::size_t n_passages() const { return passages.empty() ? 1 : passages.size(); }
  std::string_view passage(std::size_t i) const { return passages.empty() ? context : passages[i]; }
  std::size_t size() const {
    std::size_t bytes = question.size();
    for (std::size_t i = 0; i < n_passages(); ++i) bytes += passage(i).size();
    return bytes;
  }

  std::string_view question;
  std::string_view context = {};                    ///< where there are no passages
  std::span<const std::string_view> passages = {};  ///< in place of the context
};

BERTHA_NAMESPACE_END
