// The way of a pipeline's inputs through a model: encoded on all threads, packed, run, decoded. A task says how one
// input is encoded and decoded; everything else is here, for single calls and for batches.

#pragma once

#include <bertha/model.hpp>
#include <bertha/pipelines/outcome.hpp>
#include <concepts>
#include <span>
#include <string_view>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// What a pipeline does with one input, its options being bound to it. `encode` gives the windows of an input, one or
/// more, and looks at `stop` now and then while a long text is encoded, as EncodeOptions::stop is; `decode` makes the
/// result of them and their logits, a row for each sequence or token as the head gives them.
/// Both throw Error where the input is bad, and are called from several threads at once, in the FloatEnvironment.
/// `Input` is a view whose `size()` is its bytes; `noun` is what messages call it. A task may also have `head(loaded)`,
/// the head of its call, made of the model's, and, for one that gives chosen_rows, `chosen(window)`, the positions; and
/// `weight(input)`, its bytes in place of `size()` where it gets more windows than its text is long.
template <class T>
concept Task = requires(const T& task, const typename T::Input& input, const Stop& stop,
                        std::span<const Encoding> windows, std::span<const MatrixView<const float>> logits) {
  typename T::Options;
  { T::noun } -> std::convertible_to<std::string_view>;
  { input.size() } -> std::convertible_to<std::size_t>;
  { task.encode(input, stop) } -> std::same_as<std::vector<Encoding>>;
  { task.decode(input, windows, logits) } -> std::same_as<typename T::Result>;
};

/// What a batch does with an input that is bad: an Outcome of its own, or the end of the call.
enum class BadInput : std::uint8_t { is_an_outcome, ends_the_call };

namespace detail {

/// A task that chooses the tokens of a window which its head makes rows of.
template <class T>
concept ChoosesTokens = requires(const T& task, const Encoding& window) {
  { task.chosen(window) } -> std::same_as<std::vector<std::uint32_t>>;
};

/// The head that a task's call runs with.
template <class T, class H>
decltype(auto) head_of(const T& task, const H& loaded) {
  if constexpr (requires { task.head(loaded); })
    return H(task.head(loaded));
  else
    return (loaded);
}

/// The bytes that an input counts for.
template <class T>
std::size_t weight_of(const T& task, const typename T::Input& input) {
  if constexpr (requires { task.weight(input); })
    return task.weight(input);
  else
    return input.size();
}

/// The inputs that are worked on together: about 16 packs of text, so that packs are of like lengths and threads find
/// work, while a batch of any size holds the encodings and logits of a few thousand texts only.
class Slice {
 public:
  explicit Slice(std::size_t max_batch_tokens) : limit_(std::max<std::size_t>(kLeastTokens, max_batch_tokens)) {}
  /// True when the slice has room for one more input of so many bytes; it always has for the first.
  bool add(std::size_t bytes) {
    const bool fits = bytes_ / kBytesPerToken < limit_;
    if (fits) bytes_ += bytes + kBytesPerToken;  // an input without bytes has special tokens at least
    return fits;
  }

 private:
  static constexpr std::size_t kLeastTokens = 16'384, kBytesPerToken = 64;  // four in fact, and times 16 packs
  std::size_t limit_;
  std::size_t bytes_ = 0;
};

/// Calls f(); an Error of it is that of input `item`, but for the end of the whole call.
BERTHA_FUNCTION std::optional<Error> error_of_item(std::size_t item, FunctionRef<> f);

/// Throws `error` with its item named: "text 3 of 8: ...".
[[noreturn]] BERTHA_FUNCTION void throw_item_error(const Error& error, std::string_view noun, std::size_t n);

/// Throws Error{input} where the encoder would refuse the encoding: a pack has more than one text's.
BERTHA_FUNCTION void check_encoding(const Encoding& encoding, const Tokenizer& tokenizer, const ModelConfig& config);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION std::optional<Error> error_of_item(std::size_t item, FunctionRef<> f) {
  try {
    f();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::stopped) throw;
    return Error(error.code(), error.what(), item);
  }
  return std::nullopt;
}

BERTHA_FUNCTION void throw_item_error(const Error& error, std::string_view noun, std::size_t n) {
  const std::size_t item = error.item().value_or(0);
  throw Error(error.code(), concat({noun, " ", item + 1, " of ", n, ": ", error.what()}), item);
}

BERTHA_FUNCTION void check_encoding(const Encoding& encoding, const Tokenizer& tokenizer, const ModelConfig& config) {
  const std::size_t n_types = std::max<std::size_t>(1, config.type_vocab_size);
  if (encoding.size() == 0)
    throw_error(ErrorCode::input, {"the text has no tokens, not even special ones; expected at least one"});
  if (encoding.size() > config.max_length)
    throw_error(ErrorCode::input,
                {"the text has ", encoding.size(), " tokens, special tokens included; the model takes at most ",
                 config.max_length, "; shorten it or allow truncation"});
  require_rows(encoding.ids, config.vocab_size, tokenizer);
  for (const std::uint32_t type : encoding.type_ids)
    if (type >= n_types)
      throw_error(ErrorCode::input,
                  {"a token has type ", type, "; the model knows ", n_types, " types: it takes no pairs"});
}

#endif

}  // namespace detail

namespace detail {

/// The outcomes of a slice of inputs, in their order; their errors' items count from `first`. `look` sees the outcomes
/// when all are encoded, before any goes through the encoder, and again in the end.
template <class M, Task T, class H>
std::vector<Outcome<typename T::Result>> run_slice(const M& model, const T& task, const H& head,
                                                   std::span<const typename T::Input> inputs, std::size_t first_item,
                                                   const CallOptions& call, const Stop& stop,
                                                   FunctionRef<std::span<const Outcome<typename T::Result>>> look) {
  std::vector<Outcome<typename T::Result>> outcomes(inputs.size());
  std::vector<std::vector<Encoding>> windows_of(inputs.size());
  model.for_each(inputs.size(), call, [&](std::size_t i) {
    const auto error = error_of_item(first_item + i, [&] {
      windows_of[i] = task.encode(inputs[i], stop);
      for (const Encoding& window : windows_of[i]) check_encoding(window, model.tokenizer(), model.config());
    });
    if (error) outcomes[i] = *error;
  });
  look(outcomes);

  // The windows of all good inputs go through the encoder together: those of input i are first[i] to first[i + 1].
  // An input is decoded as soon as its last window has run, so that no more than a pack's logits are held.
  std::vector<Encoding> windows;
  std::vector<std::vector<std::uint32_t>> chosen;
  std::vector<std::size_t> first = {0}, input_of, left(inputs.size()), complete;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (outcomes[i])
      for (Encoding& window : windows_of[i]) {
        if constexpr (ChoosesTokens<T>) chosen.push_back(task.chosen(window));
        windows.push_back(std::move(window));
        input_of.push_back(i);
      }
    first.push_back(windows.size());
    left[i] = first[i + 1] - first[i];
    if (left[i] == 0 && outcomes[i]) complete.push_back(i);
  }
  std::vector<MatrixView<const float>> logits(windows.size());
  std::vector<std::vector<float>> kept(windows.size());  // of windows whose input has others that have not run yet
  const auto decode_complete = [&] {
    model.for_each(complete.size(), call, [&](std::size_t at) {
      const std::size_t i = complete[at], n = first[i + 1] - first[i];
      const auto error = error_of_item(first_item + i, [&] {
        outcomes[i] = task.decode(inputs[i], std::span<const Encoding>(windows).subspan(first[i], n),
                                  std::span<const MatrixView<const float>>(logits).subspan(first[i], n));
      });
      if (error) outcomes[i] = *error;
      for (std::size_t window = first[i]; window < first[i + 1]; ++window) kept[window] = {};
    });
    complete.clear();
  };
  decode_complete();
  const auto take_pack = [&](std::span<const std::size_t> pack, const Logits& found) {
    const float* rows = found.values.data();
    for (const std::size_t window : pack) {
      const std::size_t i = input_of[window], n = rows_of(head.gives, windows[window], chosen, window);
      logits[window] = {rows, n, found.cols, found.cols};
      if (first[i + 1] - first[i] > 1) {
        kept[window].assign(rows, rows + n * found.cols);
        logits[window].data = kept[window].data();
      }
      if (--left[i] == 0) complete.push_back(i);
      rows += n * found.cols;
    }
    decode_complete();
  };
  model.run_packs(head, windows, chosen, call, take_pack);
  look(outcomes);
  return outcomes;
}

}  // namespace detail

/// Runs `task` for every input, on all threads, and calls visit(outcome) for each in their order, as soon as those that
/// it ran with are complete; with `BadInput::ends_the_call` all are results, and the error of the first bad input is
/// thrown, its item named. Throws Error{stopped}, what is no input's fault, and what `visit` throws. Thread-safe.
template <class M, Task T, class Visit>
void visit_task(const M& model, const T& task, std::span<const typename T::Input> inputs, const CallOptions& call,
                BadInput bad_input, Visit&& visit) {
  const Stop stop = call.stop();
  const auto& head = detail::head_of(task, model.head());
  const auto look = [&](std::span<const Outcome<typename T::Result>> outcomes) {
    if (bad_input == BadInput::is_an_outcome) return;
    for (const auto& outcome : outcomes)
      if (!outcome) detail::throw_item_error(outcome.error(), T::noun, inputs.size());
  };
  for (std::size_t begin = 0, end = 0; begin < inputs.size(); begin = end) {
    for (detail::Slice slice(call.max_batch_tokens);
         end < inputs.size() && slice.add(detail::weight_of(task, inputs[end]));)
      ++end;
    auto outcomes = detail::run_slice(model, task, head, inputs.subspan(begin, end - begin), begin, call, stop, look);
    for (auto& outcome : outcomes) visit(std::move(outcome));
  }
}

/// The outcomes of `visit_task`.
template <class M, Task T>
std::vector<Outcome<typename T::Result>> run_task(const M& model, const T& task,
                                                  std::span<const typename T::Input> inputs,
                                                  const CallOptions& call = {},
                                                  BadInput bad_input = BadInput::is_an_outcome) {
  std::vector<Outcome<typename T::Result>> outcomes;
  outcomes.reserve(inputs.size());
  visit_task(model, task, inputs, call, bad_input,
             [&](Outcome<typename T::Result>&& outcome) { outcomes.push_back(std::move(outcome)); });
  return outcomes;
}

BERTHA_NAMESPACE_END
