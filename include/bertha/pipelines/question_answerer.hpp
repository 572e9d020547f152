// Extractive question answering: a question and a context to the part of the context that answers it.
//
// Prints what transformers' `question-answering` pipeline printed last (4.57.6: pipelines/question_answering.py,
// float32; version 5 has none). Long contexts are cut into windows that overlap.

#pragma once

#include <bertha/heads/question_answering.hpp>
#include <bertha/pipelines/answer_spans.hpp>
#include <bertha/pipelines/input.hpp>

BERTHA_NAMESPACE_BEGIN

/// A part of the context: context.substr(start, end - start) is `text`. Empty when the context has no answer.
struct Answer {
  std::string text;
  float score = 0;        ///< probability of start times that of end; equal texts add up, so that it may exceed 1
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
  std::string_view question;
  std::string_view context;
};

/// How candidates become answers. `hf_4_57`: candidates whose texts are equal but for case add up, over all windows.
enum class ScoreRule : std::uint8_t { hf_4_57 };

/// Hugging Face's names and meanings.
struct AnswerOptions {
  std::size_t top_k = 1;
  std::optional<std::size_t> doc_stride = {};   ///< tokens that windows share; unset: min(max_seq_len / 2, 128)
  std::size_t max_answer_len = 15;              ///< in tokens
  std::optional<std::size_t> max_seq_len = {};  ///< of a window, question included; unset: min(model's, 384)
  bool handle_impossible_answer = false;        ///< the empty answer is a candidate too
  bool align_to_words = true;                   ///< answers begin and end with whole words
  ScoreRule score_rule = ScoreRule::hf_4_57;
};

/// A model with a question answering head. Immutable, cheap to copy, shared by any number of threads.
class QuestionAnswerer {
 public:
  using Model = bertha::Model<QuestionAnswering>;

  explicit QuestionAnswerer(Model model) : model_(std::move(model)) {}
  /// `source` is a path, or bytes on a 64-byte boundary. Throws what Model::load throws.
  template <class Source>
  static QuestionAnswerer load(const Source& source, const LoadOptions& options = {}) {
    return QuestionAnswerer(Model::load(source, options));
  }

  /// The best answer. Throws Error{input} when the question or the context is empty or not valid UTF-8, or when the
  /// question leaves no room for the context.
  Answer operator()(std::string_view question, std::string_view context) const {
    AnswerResult result = run(question, context);
    Answer answer = result.empty() ? Answer{} : std::move(result.answers.front());
    answer.info = result.info;
    return answer;
  }

  /// The `top_k` best answers. Throws Error{input | stopped}.
  AnswerResult run(std::string_view question, std::string_view context, const AnswerOptions& options = {},
                   const CallOptions& call = {}) const {
    return std::move(answer({{question, context}}, options, call).front());
  }

  /// The same for many questions, in their order.
  template <InputRange<Question> R>
  std::vector<AnswerResult> run(R&& questions, const AnswerOptions& options = {}, const CallOptions& call = {}) const {
    return answer(detail::gather<Question>(std::forward<R>(questions)), options, call);
  }

  const Model& model() const { return model_; }
  const ModelConfig& config() const { return model_.config(); }
  std::size_t max_length() const { return model_.max_length(); }

 private:
  struct Candidate {
    Answer answer;
    std::string lowered;  // its text as Python's str.lower() has it
    double score = 0;     // adds up in double, as Python's numbers do
  };
  /// What the windows of one question have given so far.
  struct Candidates {
    std::vector<Candidate> list;
    float null_score = 1'000'000;  // the smallest of all windows
    InputInfo info;
  };

  std::vector<AnswerResult> answer(const std::vector<Question>& questions, const AnswerOptions& options,
                                   const CallOptions& call) const;
  std::vector<Encoding> windows(const Question& question, const AnswerOptions& options) const;
  static std::pair<std::size_t, std::size_t> bytes(const Question& question, const Encoding& window,
                                                   const detail::TokenSpan& span, bool align);
  void add(Candidates& candidates, const Question& question, const Encoding& window, MatrixView<const float> logits,
           const AnswerOptions& options) const;
  static AnswerResult rank(Candidates& candidates, const AnswerOptions& options);

  Model model_;
};

inline std::vector<AnswerResult> QuestionAnswerer::answer(const std::vector<Question>& questions,
                                                          const AnswerOptions& options, const CallOptions& call) const {
  if (options.top_k < 1) throw Error(ErrorCode::input, "top_k is 0; expected at least 1");
  if (options.max_answer_len < 1) throw Error(ErrorCode::input, "max_answer_len is 0; expected at least 1");
  const FloatEnvironment environment;
  std::vector<std::vector<Encoding>> windows_of(questions.size());
  model_.for_each(questions.size(), call, [&](std::size_t q) { windows_of[q] = windows(questions[q], options); });

  // The windows of all questions go through the encoder together; `owners` says whose each of them is.
  std::vector<Encoding> encodings;
  std::vector<std::size_t> owners;
  for (std::size_t q = 0; q < questions.size(); ++q)
    for (Encoding& window : windows_of[q]) {
      encodings.push_back(std::move(window));
      owners.push_back(q);
    }
  std::vector<std::vector<float>> logits_of(encodings.size());
  model_.run_each(encodings, call, [&](std::size_t i, MatrixView<const float> logits) {
    logits_of[i].assign(logits.data, logits.data + logits.rows * logits.cols);
  });
  std::vector<Candidates> candidates(questions.size());
  for (std::size_t i = 0; i < encodings.size(); ++i)  // the order of a question's windows decides between equal scores
    add(candidates[owners[i]], questions[owners[i]], encodings[i], {logits_of[i].data(), encodings[i].size(), 2, 2},
        options);
  std::vector<AnswerResult> results;
  for (Candidates& found : candidates) results.push_back(rank(found, options));
  return results;
}

inline std::vector<Encoding> QuestionAnswerer::windows(const Question& question, const AnswerOptions& options) const {
  if (question.question.empty()) throw Error(ErrorCode::input, "the question is empty; expected a text");
  if (question.context.empty()) throw Error(ErrorCode::input, "the context is empty; expected a text");
  const std::size_t length = options.max_seq_len.value_or(std::min<std::size_t>(max_length(), 384));
  if (length > max_length())
    throw Error(ErrorCode::input, "max_seq_len is " + std::to_string(length) + "; the model takes at most " +
                                      std::to_string(max_length()));
  const std::size_t stride = options.doc_stride.value_or(std::min<std::size_t>(length / 2, 128));
  if (stride > length)
    throw Error(ErrorCode::input, "doc_stride (" + std::to_string(stride) + ") is larger than max_seq_len (" +
                                      std::to_string(length) + ")");
  return model_.tokenizer().encode_windows(
      question.question, question.context,
      {.truncation = Truncation::only_second, .max_length = length, .stride = stride});
}

/// The bytes of the context that a span covers: of its words, when both of its ends are in words, else of its tokens.
inline std::pair<std::size_t, std::size_t> QuestionAnswerer::bytes(const Question& question, const Encoding& window,
                                                                   const detail::TokenSpan& span, bool align) {
  // The first and the last token of the word that `token` belongs to; the word's number is looked up in the context
  // even when the token itself is in the question (a [CLS] that was written there).
  const auto word_of = [&](std::size_t token) {
    std::pair<std::size_t, std::size_t> range{window.size(), 0};
    if (window.words[token] == Encoding::kNone) return range;
    for (std::size_t i = 0; i < window.size(); ++i)
      if (window.sequences[i] == 1 && !window.special[i] && window.words[i] == window.words[token])
        range = {std::min(range.first, i), i};
    return range;
  };
  if (align) {
    const std::size_t first = word_of(span.start).first;
    const auto last_word = word_of(span.end);
    if (first < window.size() && last_word.first < window.size())
      return {window.offsets[first].start, window.offsets[last_word.second].end};
  }
  // An offset of a token in the question counts code points there, as it does in Python, and is then taken for one of
  // the context, which may be shorter.
  const auto in_context = [&](std::size_t token, std::size_t byte) {
    if (window.sequences[token] != 0 || window.special[token]) return byte;
    std::size_t at = 0;
    for (std::size_t n = utf8::count(question.question.substr(0, byte)); n > 0 && at < question.context.size(); --n)
      at += utf8::decode(question.context, at).size;
    return at;
  };
  return {in_context(span.start, window.offsets[span.start].start), in_context(span.end, window.offsets[span.end].end)};
}

inline void QuestionAnswerer::add(Candidates& candidates, const Question& question, const Encoding& window,
                                  MatrixView<const float> logits, const AnswerOptions& options) const {
  // A window has no more spans than pairs of tokens. Some turn out equal once they are aligned to words; so more are
  // taken than are asked for.
  const std::size_t top_k = std::min(options.top_k, window.size() * window.size());
  const std::size_t n = options.align_to_words ? 2 * top_k + 10 : top_k;
  const auto found =
      detail::answer_spans(logits, window, model_.tokenizer().config().cls_token_id, n, options.max_answer_len);
  for (const detail::TokenSpan& span : found.spans) {
    const auto [start, end] = bytes(question, window, span, options.align_to_words);
    const std::string_view text = start < end ? question.context.substr(start, end - start) : std::string_view();
    std::string lowered = python_lower(text);
    const auto same = std::find_if(candidates.list.begin(), candidates.list.end(),
                                   [&](const Candidate& candidate) { return candidate.lowered == lowered; });
    if (same != candidates.list.end())
      same->score += static_cast<double>(span.score);
    else
      candidates.list.push_back(
          {{std::string(text), 0, start, end, {}}, std::move(lowered), static_cast<double>(span.score)});
  }
  candidates.null_score = std::min(candidates.null_score, found.null_score);

  const InputInfo part = detail::describe(window, 1);
  InputInfo& info = candidates.info;
  if (info.n_tokens == 0) info.covered = part.covered;
  info.covered.end = std::max(info.covered.end, part.covered.end);
  info.n_tokens += part.n_tokens;
  info.n_unknown += part.n_unknown;
}

inline AnswerResult QuestionAnswerer::rank(Candidates& candidates, const AnswerOptions& options) {
  auto& list = candidates.list;
  if (options.handle_impossible_answer) list.push_back({{}, {}, static_cast<double>(candidates.null_score)});
  std::stable_sort(list.begin(), list.end(), [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
  AnswerResult result{{}, candidates.info};
  for (Candidate& candidate : list) {
    if (result.size() == options.top_k) break;
    candidate.answer.score = static_cast<float>(candidate.score);
    result.answers.push_back(std::move(candidate.answer));
  }
  return result;
}

BERTHA_NAMESPACE_END
