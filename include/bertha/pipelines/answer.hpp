// What is answered.

#pragma once

#include <bertha/pipelines/input.hpp>
#include <cstddef>
#include <string>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A part of the context: context.substr(start, end - start) is `text`. Empty when the context has no answer.
struct Answer {
  std::string text;
  float score = 0;        ///< probability of start times that of end, as AnswerOptions::score_rule says
  std::size_t start = 0;  ///< bytes of the context, half-open
  std::size_t end = 0;
  InputInfo info = {};      ///< `covered` counts bytes of the context
  std::size_t passage = 0;  ///< which of the passages is the context; 0 for the empty answer
};

/// The best answers of a context, or of several, best first; there may be fewer than were asked for, and none for an
/// odd context.
struct AnswerResult {
  std::vector<Answer> answers;
  InputInfo info;  ///< of several passages: together, and `covered` of none

  auto begin() const { return answers.begin(); }
  auto end() const { return answers.end(); }
  std::size_t size() const { return answers.size(); }
  bool empty() const { return answers.empty(); }
  const Answer& operator[](std::size_t i) const { return answers[i]; }
};

BERTHA_NAMESPACE_END
