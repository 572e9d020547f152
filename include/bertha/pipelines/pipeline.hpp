// What all pipelines have: a model, a task, and calls for one input and for many.

#pragma once

#include <bertha/pipelines/input.hpp>
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
    auto outcomes = run_task(model_, task(options), std::span<const Input>(views), call, BadInput::ends_the_call);
    std::vector<Result> results;
    results.reserve(outcomes.size());
    for (auto& outcome : outcomes) results.push_back(std::move(outcome).value());
    return results;
  }

  /// The same, with an outcome for each input: a bad one is none of the others' business. Throws Error{stopped}, and
  /// Error{input} for options that no input could run with.
  template <InputRange<Input> R>
  std::vector<Outcome<Result>> try_run(R&& inputs, const Options& options = {}, const CallOptions& call = {}) const {
    const auto views = detail::views_of<Input>(std::forward<R>(inputs));
    return run_task(model_, task(options), std::span<const Input>(views), call);
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
