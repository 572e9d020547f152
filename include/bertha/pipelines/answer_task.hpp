// One question and its context, or several passages, to answers: the task of QuestionAnswerer.
//
// Equals transformers' `question-answering` pipeline as it was last (4.57.6: pipelines/question_answering.py, float32;
// version 5 has none). Long contexts are cut into windows that overlap.

#pragma once

#include <algorithm>
#include <bertha/pipelines/answer.hpp>
#include <bertha/pipelines/answer_candidates.hpp>
#include <bertha/pipelines/answer_options.hpp>
#include <bertha/pipelines/answer_places.hpp>
#include <bertha/pipelines/answer_spans.hpp>
#include <bertha/pipelines/calibrated_spans.hpp>
#include <bertha/pipelines/option_checks.hpp>
#include <bertha/pipelines/question.hpp>
#include <bertha/pipelines/shared_tokens.hpp>
#include <bertha/pipelines/task.hpp>
#include <bertha/runtime/pool.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// The task of one call; the tokenizer, the configuration and the options must outlive it.
class AnswerTask {
 public:
  using Input = Question;
  using Options = AnswerOptions;
  using Result = AnswerResult;
  static constexpr std::string_view noun = "question";

  /// Throws Error{input} for options that contradict each other.
  AnswerTask(const Tokenizer& tokenizer, const ModelConfig& config, const AnswerOptions& options);

  /// The windows of the context, each with the question; of passages, one passage after the other.
  std::vector<Encoding> encode(const Question& input, const Stop& stop) const;
  /// logits [tokens, 2] of each window.
  AnswerResult decode(const Question& input, std::span<const Encoding> windows,
                      std::span<const MatrixView<const float>> logits) const;

 private:
  void require_room(std::size_t question, std::size_t context) const;
  bool may_be_impossible() const { return options_.handle_impossible_answer || options_.no_answer_threshold; }
  std::vector<detail::WindowSpans> spans_of(std::span<const Encoding> windows,
                                            std::span<const MatrixView<const float>> logits) const;
  void put_no_answer_first(std::vector<detail::AnswerCandidate>& answers, float null_score) const;

  const Tokenizer& tokenizer_;
  const AnswerOptions& options_;
  std::size_t max_seq_len_, doc_stride_ = 0;
  std::size_t n_special_;  // tokens of a window that are neither the question's nor the context's
  mutable detail::Pool<detail::SharedTokens> contexts_;  // of threads
};

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION AnswerTask::AnswerTask(const Tokenizer& tokenizer, const ModelConfig& config,
                                       const AnswerOptions& options)
    : tokenizer_(tokenizer),
      options_(options),
      max_seq_len_(options.max_seq_len.value_or(std::min<std::size_t>(config.max_length, 384))),
      n_special_(detail::count_special(tokenizer.special_tokens().pair)) {
  if (options.top_k < 1) throw_error(ErrorCode::input, {"top_k is 0; expected at least 1"});
  if (options.max_answer_len < 1) throw_error(ErrorCode::input, {"max_answer_len is 0; expected at least 1"});
  detail::require_value("score_rule", options.score_rule, ScoreRule::calibrated, "ScoreRule's");
  if (max_seq_len_ > config.max_length)
    throw_error(ErrorCode::input, {"max_seq_len is ", max_seq_len_, "; the model takes at most ", config.max_length});
  if (max_seq_len_ < n_special_)
    throw_error(ErrorCode::input, {"max_seq_len is ", max_seq_len_, "; the special tokens alone take ", n_special_});
  const std::size_t room = max_seq_len_ - n_special_, largest = room - std::min<std::size_t>(room, 1);
  doc_stride_ = options.doc_stride.value_or(std::min({max_seq_len_ / 2, std::size_t{128}, largest}));
  if (doc_stride_ > largest)
    throw_error(ErrorCode::input, {"doc_stride (", doc_stride_, ") is too large: in max_seq_len (", max_seq_len_,
                                   ") there is room for ", room,
                                   " tokens beside the special ones, and the stride must "
                                   "be less; lower doc_stride or raise max_seq_len"});
}

BERTHA_FUNCTION std::vector<Encoding> AnswerTask::encode(const Question& input, const Stop& stop) const {
  if (input.question.empty()) throw_error(ErrorCode::input, {"the question is empty; expected a text"});
  require_utf8(input.question, "question");
  const EncodeOptions read = {.split_special_tokens = options_.split_special_tokens, .stop = stop};
  const EncodeOptions cut = {.truncation = Truncation::only_second, .max_length = max_seq_len_, .stride = doc_stride_};
  const TokenSequence question = tokenizer_.tokens(input.question, read);
  const auto shared = contexts_.take();
  std::vector<Encoding> all;
  for (std::size_t p = 0; p < input.n_passages(); ++p) {
    const std::string name = input.passages.empty() ? "context" : concat({"passage ", p});
    if (input.passage(p).empty()) throw_error(ErrorCode::input, {"the ", name, " is empty; expected a text"});
    require_utf8(input.passage(p), name);
    const auto context = (*shared)(tokenizer_, input.passage(p), read);
    require_room(question.size(), context->size());
    for (Encoding& window : tokenizer_.encode_windows(question, *context, cut)) {
      window.sample = static_cast<std::uint32_t>(p);
      all.push_back(std::move(window));
    }
  }
  return all;
}

/// Throws Error{input} where a question of so many tokens leaves no room for the context, or none to move on.
BERTHA_FUNCTION void AnswerTask::require_room(std::size_t question, std::size_t context) const {
  const std::size_t room = max_seq_len_ - n_special_, left = room - std::min(room, question);
  if (doc_stride_ < left || question + context <= room) return;
  if (left == 0)
    throw_error(ErrorCode::input, {"the question has ", question, question == 1 ? " token" : " tokens",
                                   ", which leaves no room for the context in max_seq_len ", max_seq_len_,
                                   "; shorten the question or raise max_seq_len"});
  throw_error(ErrorCode::input, {"doc_stride is ", doc_stride_, ", but the question leaves room for ", left,
                                 " tokens of the context in max_seq_len ", max_seq_len_,
                                 "; the stride must be less: lower doc_stride or raise max_seq_len"});
}

/// The candidates of each window. A window has no more spans than pairs of tokens. Some turn out equal once they are
/// aligned to words; so more are taken than are asked for, but by transformers 4.52.
BERTHA_FUNCTION std::vector<detail::WindowSpans> AnswerTask::spans_of(
    std::span<const Encoding> windows, std::span<const MatrixView<const float>> logits) const {
  const auto n_of = [&](std::size_t tokens) {
    const std::size_t n = std::min(options_.top_k, tokens * tokens);
    return options_.align_to_words && options_.score_rule != ScoreRule::hf_4_52 ? 2 * n + 10 : n;
  };
  if (options_.score_rule == ScoreRule::calibrated)
    return detail::calibrated_spans(windows, logits,
                                    {.n = n_of(max_seq_len_),
                                     .max_answer_len = options_.max_answer_len,
                                     .stride = doc_stride_,
                                     .with_null = may_be_impossible()});
  std::vector<detail::WindowSpans> found;
  for (std::size_t w = 0; w < windows.size(); ++w)
    found.push_back(detail::answer_spans(logits[w], windows[w], tokenizer_.special_tokens().cls_token_id,
                                         n_of(windows[w].size()), options_.max_answer_len));
  return found;
}

BERTHA_FUNCTION void AnswerTask::put_no_answer_first(std::vector<detail::AnswerCandidate>& answers,
                                                     float null_score) const {
  const auto has_text = [](const detail::AnswerCandidate& answer) { return !answer.text.empty(); };
  const auto best = std::find_if(answers.begin(), answers.end(), has_text);
  if (best != answers.end() && best->score >= static_cast<double>(*options_.no_answer_threshold)) return;
  std::erase_if(answers, [&](const detail::AnswerCandidate& answer) { return !has_text(answer); });
  answers.insert(answers.begin(), detail::AnswerCandidate{{}, static_cast<double>(null_score), 0, 0, 0});
  answers.resize(std::min(answers.size(), options_.top_k));
}

BERTHA_FUNCTION AnswerResult AnswerTask::decode(const Question& input, std::span<const Encoding> windows,
                                                std::span<const MatrixView<const float>> logits) const {
  const std::vector<detail::WindowSpans> spans = spans_of(windows, logits);
  detail::AnswerCandidates candidates(options_.score_rule);
  AnswerResult result;
  std::vector<InputInfo> infos;  // of each passage
  float null_score = 1'000'000;  // the smallest of all windows
  for (std::size_t begin = 0, end = 0; begin < windows.size(); begin = end) {
    while (end < windows.size() && windows[end].sample == windows[begin].sample) ++end;
    const std::size_t passage = windows[begin].sample;
    const std::string_view context = input.passage(passage);
    const detail::AnswerPlaces places(input.question, context, options_.align_to_words);
    for (std::size_t w = begin; w < end; ++w) {
      for (const detail::TokenSpan& span : spans[w].spans) {
        const auto [from, to] = places(windows[w], span);
        candidates.add({from < to ? context.substr(from, to - from) : std::string_view(),
                        static_cast<double>(span.score), from, to, passage});
      }
      null_score = std::min(null_score, spans[w].null_score);
    }
    infos.push_back(detail::input_info(windows.subspan(begin, end - begin), 1));
    result.info.n_tokens += infos.back().n_tokens;
    result.info.n_unknown += infos.back().n_unknown;
  }
  if (infos.size() == 1) result.info = infos.front();
  if (options_.handle_impossible_answer) candidates.add_impossible(null_score);

  std::vector<detail::AnswerCandidate> best = candidates.best(options_.top_k).answers;
  if (options_.no_answer_threshold) put_no_answer_first(best, null_score);
  for (const detail::AnswerCandidate& answer : best)
    result.answers.push_back({std::string(answer.text), static_cast<float>(answer.score), answer.start, answer.end,
                              infos[answer.passage], answer.passage});
  return result;
}

#endif

BERTHA_NAMESPACE_END
