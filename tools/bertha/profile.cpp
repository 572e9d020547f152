// inspect --profile: where the time of a call goes, by stage of the encoder and kernel.
//
// The calls run with a table of functions that time those of the level. A kernel is a plain function that is handed
// nothing but its operands, so what it took is noted in this source; which stage it belongs to is read off its
// operands.

#include <algorithm>
#include <atomic>
#include <type_traits>
#include <utility>

#include "calls.hpp"
#include "for_people.hpp"

namespace program {
namespace {

using bertha::kernels::Table;
using nlohmann::ordered_json;

enum Stage : std::size_t {
  kEmbeddings,
  kQueryKeyValue,
  kAttention,
  kAttentionOutput,
  kIntermediate,
  kOutput,
  kNorm,
  kQuantising,
  kHead,
  kStages
};
constexpr const char* kStageNames[kStages] = {"embeddings",   "attention.query_key_value",
                                              "attention",    "attention.output",
                                              "intermediate", "output",
                                              "norm",         "quantising",
                                              "head"};

struct Noted {
  std::atomic<std::uint64_t> calls{0}, ns{0}, flop{0};
};
struct Notes {
  const Table* real = nullptr;
  bertha::ModelConfig config;
} notes;
/// What was noted of one operation, from any thread.
template <auto slot>
Noted noted[kStages];

bool nearer(std::size_t size, std::size_t to, std::size_t than) {
  const auto distance = [size](std::size_t other) { return size > other ? size - other : other - size; };
  return distance(to) < distance(than);
}

/// By what distinguishes the linear layers of one model: a residual is added to two of them, which differ in the number
/// of inputs (rounded up in some precisions: where both become the same, both count as `output`); an activation follows
/// one, and perhaps the head's. Of a gated network the factors come first, in parts of another size than an attention
/// head.
template <class Gemm>
Stage stage_of_product(const Gemm& args) {
  const bertha::ModelConfig& config = notes.config;
  if (args.gated) return kIntermediate;
  if (args.residual) return nearer(args.k, config.intermediate_size, config.hidden_size) ? kOutput : kAttentionOutput;
  if (args.activation == config.hidden_act) return kIntermediate;
  const std::size_t width = 3 * bertha::kernels::padded(config.head_size());
  if (args.activation != bertha::Activation::none) return kHead;
  if (nearer(args.k, config.embedding_size, config.hidden_size)) return kEmbeddings;
  if (args.n_panels * 16 == width) return kQueryKeyValue;
  return config.gating && args.rows > 1 ? kIntermediate : kHead;
}

/// The stage of a kernel's operands, and the floating-point (or integer) operations of their products.
template <class Operands, class... Rest>
std::pair<Stage, std::uint64_t> describe(const Operands& args, const Rest&...) {
  if constexpr (requires { args.activation; })
    return {stage_of_product(args), std::uint64_t{2} * args.rows * args.k * args.n_panels * 16};
  else if constexpr (requires { args.query; })
    return {kAttention, std::uint64_t{4} * args.length * args.length * args.head_size};
  else if constexpr (requires { args.angle_stride; })
    return {kAttention, 0};
  else if constexpr (requires { args.word; })
    return {kEmbeddings, 0};
  else if constexpr (requires { args.gamma; })
    return {kNorm, 0};
  else if constexpr (
      requires { args.q; } || requires { args.y_stride; } || requires { args.n_panels; })
    return {kQuantising, 0};
  else
    return {kHead, 0};
}

/// A function of the table, timed.
template <auto slot, class... Operands>
void timed(Operands... operands) {
  const auto [stage, flop] = describe(operands...);
  const auto begin = std::chrono::steady_clock::now();
  (notes.real->*slot)(operands...);
  const std::chrono::nanoseconds passed = std::chrono::steady_clock::now() - begin;
  Noted& note = noted<slot>[stage];
  note.calls.fetch_add(1, std::memory_order_relaxed);
  note.ns.fetch_add(static_cast<std::uint64_t>(passed.count()), std::memory_order_relaxed);
  constexpr bool kHalves = [] {  // k counts both halves of a number
    if constexpr (std::is_same_v<decltype(slot), decltype(&Table::gemm_split)>) return slot == &Table::gemm_split;
    return false;
  }();
  note.flop.fetch_add(kHalves ? flop / 2 : flop, std::memory_order_relaxed);
}

template <auto slot, class... Operands>
void time(bertha::kernels::Slot<void(Operands...)>& function) {
  if (function) function.run = &timed<slot, Operands...>;
}

/// The level's table with every function timed.
const Table& timing_table() {
  static const Table timing = [] {
    Table table = *notes.real;
    bertha::kernels::for_each_slot([&]<auto slot>(std::string_view) { time<slot>(table.*slot); });
    return table;
  }();
  return timing;
}

}  // namespace

int profile(const BenchArguments& arguments, Output& out) {
  {
    const auto file = bertha::WeightFile::open(arguments.model);
    notes.config = file.config();
  }
  notes.real = &bertha::kernels::preferred_table();
  bertha::kernels::table(&timing_table());
  const Call call = make_call(arguments);
  const auto encodings =
      random_encodings(arguments.batch, arguments.length, std::max<std::size_t>(1, notes.config.vocab_size));
  for (int i = 0; i < 2; ++i) call(encodings);  // to warm up
  bertha::kernels::for_each_slot([]<auto slot>(std::string_view) {
    for (Noted& note : noted<slot>) note.calls = note.ns = note.flop = 0;
  });
  const double repeat = static_cast<double>(arguments.repeat);
  const double ms = time_ms([&] {
                      for (std::size_t i = 0; i < arguments.repeat; ++i) call(encodings);
                    }) /
                    repeat;

  std::size_t threads = bertha::default_executor().concurrency();
  if (arguments.threads != 0) threads = std::min(threads, arguments.threads);
  const double all_ms = ms * static_cast<double>(threads);
  std::vector<ordered_json> stages;
  double kernels_ms = 0;
  const auto add = [&](const char* stage, double stage_ms) -> ordered_json& {
    return stages.emplace_back(ordered_json{{"stage", stage}, {"ms", stage_ms}, {"share", stage_ms / all_ms}});
  };
  bertha::kernels::for_each_slot([&]<auto slot>(std::string_view operation) {
    for (std::size_t stage = 0; stage < kStages; ++stage) {
      const Noted& note = noted<slot>[stage];
      if (note.calls == 0) continue;
      const double ns = static_cast<double>(note.ns);
      kernels_ms += ns / 1e6 / repeat;
      ordered_json& row = add(kStageNames[stage], ns / 1e6 / repeat);
      row["kernel"] = operation;
      row["level"] = (notes.real->*slot).level;
      row["calls"] = note.calls / arguments.repeat;
      if (note.flop > 0) row["gflop_per_s"] = static_cast<double>(note.flop) / ns;
    }
  });
  add("outside of kernels", std::max(0.0, all_ms - kernels_ms));
  std::sort(stages.begin(), stages.end(),
            [](const ordered_json& a, const ordered_json& b) { return a["ms"].get<double>() > b["ms"].get<double>(); });
  const ordered_json facts = {
      {"ms", ms},
      {"level", notes.real->level},
      {"precision", bertha::to_string(arguments.load.precision.value_or(notes.config.precision))},
      {"batch", arguments.batch},
      {"length", arguments.length},
      {"threads", threads},
      {"repeat", arguments.repeat},
      {"stages", stages}};
  out.text(arguments.json ? for_machines(facts) : for_people(facts));
  return 0;
}

}  // namespace program
