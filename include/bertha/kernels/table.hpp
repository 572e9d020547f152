// Which functions run: one table, chosen at first use by what the CPU can do, or by the environment variable
// BERTHA_ISA. The operations themselves are described in operations.hpp.

#pragma once

#include <atomic>
#include <bertha/error.hpp>
#include <bertha/kernels/cpu.hpp>
#include <bertha/kernels/operations.hpp>
#if defined(BERTHA_DEFINES_FUNCTIONS)
#include <bertha/kernels/scalar.hpp>
#if defined(__x86_64__)
#include <bertha/kernels/amx.hpp>
#include <bertha/kernels/avx2.hpp>
#include <bertha/kernels/avx2_vnni.hpp>
#include <bertha/kernels/avx512.hpp>
#include <bertha/kernels/avx512_bf16.hpp>
#include <bertha/kernels/avx512_vnni.hpp>
#elif defined(__aarch64__)
#include <bertha/kernels/neon.hpp>
#include <bertha/kernels/neon_dot.hpp>
#endif
#endif
#include <cstdlib>
#include <string>
#include <vector>

BERTHA_NAMESPACE_BEGIN

namespace kernels {

/// The tables of a CPU with these features, best last. Every level that this build knows is there with all features.
BERTHA_FUNCTION std::vector<const Table*> tables_for(const CpuFeatures& features);

/// The tables that this CPU and its system have the registers for, best last; see may_run. For tests and `inspect`.
/// Thread-safe.
BERTHA_FUNCTION std::vector<const Table*> available();

/// Whether the system lets this process run functions of one of `available()`: asks it for the registers of AMX where
/// `table` needs them. Thread-safe.
BERTHA_FUNCTION bool may_run(const Table& table);

/// The table of `level` among `tables`; of an empty name, the best one that is `permitted`, which is asked of no level
/// below the one that is returned, and, where it is named, of no other. Throws Error{unsupported} that lists the names
/// when there is no such level, the CPU lacks it, or it is not permitted.
BERTHA_FUNCTION const Table& select_table(std::string_view level, const std::vector<const Table*>& tables,
                                          bool (*permitted)(const Table&) = may_run);

/// The table of the best level of this CPU, or of the one that the environment variable BERTHA_ISA names (empty counts
/// as unset). Throws Error{unsupported} when that name is unknown or the CPU lacks it. Thread-safe.
BERTHA_FUNCTION const Table& preferred_table();

/// The table that this process uses: `preferred_table()` as it was at the first call, unless that call named another,
/// of functions that do the same and something besides, as `bertha inspect --profile` does. Throws what that throws.
/// Thread-safe.
BERTHA_FUNCTION const Table& table(const Table* instead = nullptr);

#if defined(BERTHA_DEFINES_FUNCTIONS)

BERTHA_FUNCTION std::vector<const Table*> tables_for([[maybe_unused]] const CpuFeatures& features) {
  std::vector<const Table*> tables = {&scalar::kTable};
#if defined(__x86_64__)
  if (features.avx2) tables.push_back(&avx2::kTable);
  if (features.avx2_vnni) tables.push_back(&avx2_vnni::kTable);
  if (features.avx512) tables.push_back(&avx512::kTable);
  if (features.avx512_vnni) tables.push_back(&avx512_vnni::kTable);
  if (features.avx512_bf16) tables.push_back(&avx512_bf16::kTable);
  if (features.amx) tables.push_back(&amx::kTable);
#elif defined(__aarch64__)
  if (features.neon) tables.push_back(&neon::kTable);
  if (features.neon_dot) tables.push_back(&neon_dot::kTable);
#endif
  return tables;
}

BERTHA_FUNCTION std::vector<const Table*> available() { return tables_for(cpu_features()); }

BERTHA_FUNCTION bool may_run([[maybe_unused]] const Table& table) {
#if defined(__x86_64__)
  if (&table == &amx::kTable) return may_use_tiles();
#endif
  return true;
}

BERTHA_FUNCTION const Table& select_table(std::string_view level, const std::vector<const Table*>& tables,
                                          bool (*permitted)(const Table&)) {
  if (level.empty()) {
    std::size_t best = tables.size() - 1;
    while (best > 0 && !permitted(*tables[best])) --best;
    return *tables[best];
  }
  const auto named = [level](const std::vector<const Table*>& list) -> const Table* {
    for (const Table* table : list)
      if (table->level == level) return table;
    return nullptr;
  };
  const auto names = [](const std::vector<const Table*>& list) {
    std::string text;
    for (const Table* table : list) text.append(text.empty() ? "" : ", ").append(table->level);
    return text;
  };
  const Table* table = named(tables);
  if (table && permitted(*table)) return *table;
  if (table)
    throw_error(ErrorCode::unsupported, {"BERTHA_ISA: the system refuses this process the registers of the level '",
                                         level, "'; unset BERTHA_ISA or name another of ", names(tables)});
  const std::vector<const Table*> known = tables_for(CpuFeatures::all());
  if (named(known))
    throw_error(ErrorCode::unsupported, {"BERTHA_ISA: this CPU can't run the level '", level, "'; it can run ",
                                         names(tables), "; unset BERTHA_ISA or name one"});
  throw_error(ErrorCode::unsupported,
              {"BERTHA_ISA: there is no level '", level, "'; this build has ", names(known), ", this CPU can run ",
               names(tables), "; unset BERTHA_ISA or name one of those"});
}

BERTHA_FUNCTION const Table& preferred_table() {
  const char* level = std::getenv("BERTHA_ISA");
  return select_table(level ? level : "", available());
}

BERTHA_FUNCTION const Table& table(const Table* instead) {
  // Not a static object's own guard: a child of fork() would wait for a thread that it doesn't have, if that was
  // choosing. Threads that come to choose at the same time all do, and use what the first of them has set.
  static constinit std::atomic<const Table*> chosen{nullptr};
  const Table* found = chosen.load(std::memory_order_acquire);
  if (found) return *found;
  if (!instead) instead = &preferred_table();
  return chosen.compare_exchange_strong(found, instead, std::memory_order_acq_rel) ? *instead : *found;
}

#endif

}  // namespace kernels

BERTHA_NAMESPACE_END
