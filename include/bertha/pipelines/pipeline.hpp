// What all pipelines have: a model, a task, and calls for one input and for many.

#pragma once

#include <bertha/pipelines/input.hpp>
#include <bertha/pipelines/stream.hpp>
#include <bertha/pipelines/task.hpp>
#include <string>
#include <utility>
#include <vector>

BERTHA_NAMESPACE_BEGIN

/// A model whose head fits the task. Immutable, cheap to copy, shared by any number of threads.
template <Task T, Head H>
class Pipeline {
 public:
  using Model = bertha::Model<H>;
  using Input = typename T::Input;
  using Options = typename T::Options;
  using Result = typename T::Result;

  explicit Pipeline(Model model) : model_(std::move(model)) {}

  /// The result for one input. Throws Error{input | stopped}.
  Result run(const Input& input, const Options& options = {}, const CallOptions& call = {}) const {
    return run_task(model_, task(options), std::span(&input, 1), call).front().value();
  }

  /// The results for many inputs, in their order. Throws Error{input | stopped}: of several inputs that are bad it
  /// names the first, and `item()` is its index.
  template <InputRange<Input> R>
  std::vector<Result> run(R&& inputs, const Options& options = {}, const CallOptions& call = {}) const {
    const auto views = detail::views_of<Input>(std::forward<R>(inputs));
    std::vector<Result> results;
    results.reserve(views.size());
    visit_task(model_, task(options), std::span<const Input>(views), call, BadInput::ends_the_call,
               [&](Outcome<Result>&& outcome) { results.push_back(std::move(outcome).value()); });
    return results;
  }

  /// The same, with an outcome for each input: a bad one is none of the others' business. Throws Error{stopped}, and
  /// Error{input} for options that no input could run with.
  template <InputRange<Input> R>
  std::vector<Outcome<Result>> try_run(R&& inputs, const Options& options = {}, const CallOptions& call = {}) const {
    const auto views = detail::views_of<Input>(std::forward<R>(inputs));
    return run_task(model_, task(options), std::span<const Input>(views), call);
  }

  /// visit(i, outcome) for each of any number of inputs, in their order: `inputs` is a range, which may make its
  /// elements as it goes, or a function that gives a std::optional, empty at the end. Elements (std::string, views,
  /// pairs of views) are held until they have been visited, about a megabyte of text at a time; nothing grows with
  /// their number. Returns it. Throws Error{stopped}, and what `inputs` and `visit` throw.
  template <class Source, class Visit>
  std::size_t run_stream(Source&& inputs, Visit&& visit, const Options& options = {},
                         const CallOptions& call = {}) const {
    return stream_task(model_, task(options), std::forward<Source>(inputs), std::forward<Visit>(visit), call);
  }

  const Model& model() const { return model_; }
  const std::vector<std::string>& labels() const { return model_.labels(); }
  const ModelConfig& config() const { return model_.config(); }
  std::size_t max_length() const { return model_.max_length(); }

 private:
  T task(const Options& options) const { return T(model_.tokenizer(), model_.config(), options); }

  Model model_;
};

BERTHA_NAMESPACE_END
