// One question and its context to answers: the task of QuestionAnswerer.
//
// Equals transformers' `question-answering` pipeline as it was last (4.57.6: pipelines/question_answering.py, float32;
// version 5 has none). Long contexts are cut into windows that overlap.

#pragma once

#include <algorithm>
#include <bertha/pipelines/answer_candidates.hpp>
#include <bertha/pipelines/answer_spans.hpp>
#include <bertha/pipelines/input.hpp>
#include <bertha/pipelines/task.hpp>
#include <bertha/tokenizer/offsets.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A part of the context: context.substr(start, end - start) is `text`. Empty when the context has no answer.
struct Answer {
  std::string text;
  float score = 0;        ///< probability of start times that of end, as AnswerOptions::score_rule says
  std::size_t start = 0;  ///< bytes of the context, half-open
  std::size_t end = 0;
  InputInfo info = {};  ///< `covered` counts bytes of the context
};

/// The best answers of a context, best first; there may be fewer than were asked for, and none for an odd context.
struct AnswerResult {
  std::vector<Answer> answers;
  InputInfo info;

  auto begin() const { return answers.begin(); }
  auto end() const { return answers.end(); }
  std::size_t size() const { return answers.size(); }
  bool empty() const { return answers.empty(); }
  const Answer& operator[](std::size_t i) const { return answers[i]; }
};

/// A question with its context. A view: both must outlive the call.
struct Question {
  std::size_t size() const { return question.size() + context.size(); }

  std::string_view question;
  std::string_view context;
};

/// Hugging Face's names and meanings.
struct AnswerOptions {
  std::size_t top_k = 1;
  std::optional<std::size_t> doc_stride = {};   ///< tokens that windows share; unset: min(max_seq_len / 2, 128)
  std::size_t max_answer_len = 15;              ///< in tokens
  std::optional<std::size_t> max_seq_len = {};  ///< of a window, question included; unset: min(model's, 384)
  bool handle_impossible_answer = false;        ///< the empty answer is a candidate too
  bool align_to_words = true;                   ///< answers begin and end with whole words
  /// The default is what transformers prints: equal answers of one context add up over its windows, so its scores must
  /// not be compared between contexts. To choose among contexts, or to set a threshold, take ScoreRule::best.
  ScoreRule score_rule = ScoreRule::hf_4_57;
};

/// The task of one call; the tokenizer, the configuration and the options must outlive it.
class AnswerTask {
 public:
  using Input = Question;
  using Options = AnswerOptions;
  using Result = AnswerResult;
  static constexpr std::string_view noun = "question";

  /// Throws Error{input} for options that contradict each other.
  AnswerTask(const Tokenizer& tokenizer, const ModelConfig& config, const AnswerOptions& options);

  /// The windows of the context, each with the question.
  std::vector<Encoding> encode(const Question& input, const Stop& stop) const;
  /// logits [tokens, 2] of each window.
  AnswerResult decode(const Question& input, std::span<const Encoding> windows,
                      std::span<const MatrixView<const float>> logits) const;

 private:
  void require_room(const Question& input, const Stop& stop) const;

  const Tokenizer& tokenizer_;
  const AnswerOptions& options_;
  std::size_t max_seq_len_, doc_stride_;
  std::size_t n_special_ = 0;  // tokens of a window that are neither the question's nor the context's
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION AnswerTask::AnswerTask(const Tokenizer& tokenizer, const ModelConfig& config,
                                       const AnswerOptions& options)
    : tokenizer_(tokenizer),
      options_(options),
      max_seq_len_(options.max_seq_len.value_or(std::min<std::size_t>(config.max_length, 384))),
      doc_stride_(options.doc_stride.value_or(std::min<std::size_t>(max_seq_len_ / 2, 128))) {
  if (options.top_k < 1) throw_error(ErrorCode::input, {"top_k is 0; expected at least 1"});
  if (options.max_answer_len < 1) throw_error(ErrorCode::input, {"max_answer_len is 0; expected at least 1"});
  if (options.score_rule > ScoreRule::best)
    throw_error(ErrorCode::input,
                {"score_rule is ", static_cast<unsigned>(options.score_rule), ", which is none of ScoreRule's"});
  if (max_seq_len_ > config.max_length)
    throw_error(ErrorCode::input, {"max_seq_len is ", max_seq_len_, "; the model takes at most ", config.max_length});
  if (doc_stride_ > max_seq_len_)
    throw_error(ErrorCode::input, {"doc_stride (", doc_stride_, ") is larger than max_seq_len (", max_seq_len_, ")"});
  for (const TemplatePiece& piece : tokenizer.special_tokens().pair)
    n_special_ += static_cast<std::size_t>(piece.kind == TemplatePiece::Kind::special);
  if (max_seq_len_ < n_special_)
    throw_error(ErrorCode::input, {"max_seq_len is ", max_seq_len_, "; the special tokens alone take ", n_special_});
}

BERTHA_FUNCTION std::vector<Encoding> AnswerTask::encode(const Question& input, const Stop& stop) const {
  if (input.question.empty()) throw_error(ErrorCode::input, {"the question is empty; expected a text"});
  if (input.context.empty()) throw_error(ErrorCode::input, {"the context is empty; expected a text"});
  require_utf8(input.question, "question");
  require_utf8(input.context, "context");
  require_room(input, stop);
  return tokenizer_.encode_windows(
      input.question, input.context,
      {.truncation = Truncation::only_second, .max_length = max_seq_len_, .stride = doc_stride_, .stop = stop});
}

/// Throws Error{input} where the question leaves no room for the context, or none to move on.
BERTHA_FUNCTION void AnswerTask::require_room(const Question& input, const Stop& stop) const {
  const auto n_tokens = [&](std::string_view text) {
    return tokenizer_.encode(text, {.add_special_tokens = false, .stop = stop}).size();
  };
  const std::size_t room = max_seq_len_ - n_special_, question = n_tokens(input.question);
  const std::size_t left = room - std::min(room, question);
  if (doc_stride_ < left || question + n_tokens(input.context) <= room) return;
  if (left == 0)
    throw_error(ErrorCode::input, {"the question has ", question, question == 1 ? " token" : " tokens",
                                   ", which leaves no room for the context in max_seq_len ", max_seq_len_,
                                   "; shorten the question or raise max_seq_len"});
  throw_error(ErrorCode::input, {"doc_stride is ", doc_stride_, ", but the question leaves room for ", left,
                                 " tokens of the context in max_seq_len ", max_seq_len_,
                                 "; the stride must be less: lower doc_stride or raise max_seq_len"});
}

namespace detail {

/// Where spans of the tokens of a window lie in the context.
class AnswerPlaces {
 public:
  AnswerPlaces(const Question& input, bool align_to_words)
      : align_to_words_(align_to_words),
        context_size_(input.context.size()),
        question_(input.question, OffsetUnit::code_point),
        context_(input.context, OffsetUnit::code_point) {}

  /// The bytes of the context that a span covers: of its words, when both of its ends are in words, else of its tokens.
  std::pair<std::size_t, std::size_t> operator()(const Encoding& window, const TokenSpan& span) const {
    if (align_to_words_) {
      const auto first = word_of(window, span.start), last = word_of(window, span.end);
      if (first.size() > 0 && last.size() > 0)
        return {window.offsets[first.begin].start, window.offsets[last.end - 1].end};
    }
    return {in_context(window, span.start, window.offsets[span.start].start),
            in_context(window, span.end, window.offsets[span.end].end)};
  }

 private:
  /// The tokens of the word that `token` belongs to; the word's number is looked up in the context even when the token
  /// itself is in the question (where somebody wrote "[CLS]" into it).
  static TokenRange word_of(const Encoding& window, std::size_t token) {
    const std::uint32_t word = window.words[token];
    if (word == Encoding::kNone) return {};
    const auto is_context = [](std::uint32_t sequence) { return sequence == 1; };
    const auto& sequences = window.sequences;  // the context's tokens stand together, its words in their order
    const auto begin = std::find_if(sequences.begin(), sequences.end(), is_context) - sequences.begin();
    const auto end = std::find_if_not(sequences.begin() + begin, sequences.end(), is_context) - sequences.begin();
    const auto found = std::equal_range(window.words.begin() + begin, window.words.begin() + end, word);
    return {static_cast<std::size_t>(found.first - window.words.begin()),
            static_cast<std::size_t>(found.second - window.words.begin())};
  }

  /// An offset of a token in the question counts code points, as it does in Python, and is then taken for one of the
  /// context, which may be shorter.
  std::size_t in_context(const Encoding& window, std::size_t token, std::size_t byte) const {
    if (window.sequences[token] != 0 || window.special[token]) return byte;
    const std::size_t code_points = question_(byte);
    if (code_points >= context_(context_size_)) return context_size_;
    std::size_t low = 0, high = context_size_;  // the last byte that so many code points come before
    while (high - low > 1) {
      const std::size_t middle = low + (high - low) / 2;
      (context_(middle) <= code_points ? low : high) = middle;
    }
    return low;
  }

  bool align_to_words_;
  std::size_t context_size_;
  OffsetConverter question_, context_;
};

}  // namespace detail

BERTHA_FUNCTION AnswerResult AnswerTask::decode(const Question& input, std::span<const Encoding> windows,
                                                std::span<const MatrixView<const float>> logits) const {
  const detail::AnswerPlaces places(input, options_.align_to_words);
  detail::AnswerCandidates candidates(options_.score_rule);
  float null_score = 1'000'000;  // the smallest of all windows
  for (std::size_t w = 0; w < windows.size(); ++w) {
    const Encoding& window = windows[w];
    // A window has no more spans than pairs of tokens. Some turn out equal once they are aligned to words; so more are
    // taken than are asked for.
    const std::size_t top_k = std::min(options_.top_k, window.size() * window.size());
    const std::size_t n = options_.align_to_words ? 2 * top_k + 10 : top_k;
    const auto found =
        detail::answer_spans(logits[w], window, tokenizer_.special_tokens().cls_token_id, n, options_.max_answer_len);
    for (const detail::TokenSpan& span : found.spans) {
      const auto [start, end] = places(window, span);
      candidates.add({start < end ? input.context.substr(start, end - start) : std::string_view(),
                      static_cast<double>(span.score), start, end});
    }
    null_score = std::min(null_score, found.null_score);
  }
  if (options_.handle_impossible_answer) candidates.add_impossible(null_score);

  AnswerResult result{{}, detail::input_info(windows, 1)};
  for (const detail::AnswerCandidate& best : candidates.best(options_.top_k).answers)
    result.answers.push_back(
        {std::string(best.text), static_cast<float>(best.score), best.start, best.end, result.info});
  return result;
}

#endif

BERTHA_NAMESPACE_END
